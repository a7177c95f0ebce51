"""How good and how fast the loop finder is, alone or against PyMusicLooper.

    python benchmarks/loops.py [--seeds 1,2] [--corpus FOLDER] [--pymusiclooper PYTHON] [--timing N] [--clips N]

By itself: the synthetic clips of ``benchmarks/loop_corpus.py`` for each seed. ``--corpus`` adds the real music and MIDI
that ``benchmarks/loop_corpus_real.py`` built there, or any folder with such lists. ``--pymusiclooper`` names the
interpreter of an environment with PyMusicLooper in it; then it answers the same clips, and processor times are taken
interleaved. The finder is given the samples and the least length, never a truth. One JSON object per figure.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import click
import numpy as np
import soundfile
from numpy.typing import NDArray

from benchmarks.loop_corpus import make, specs
from benchmarks.loop_metrics import CLICK, Answer, Figures, bar_error_ms, in_steady, measure
from services.analyzer.finder import find_loop
from services.analyzer.length import LengthWish
from services.analyzer.records import Rejection

WORKER = Path(__file__).parent / "pymusiclooper_worker.py"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Case:
    """A clip with what is known of it."""

    name: str
    corpus: str
    samples: NDArray[np.float32]
    rate: int
    min_loop_s: float
    bar_s: float | None = None
    beat_s: float | None = None
    pattern_s: float | None = None
    steady_s: tuple[float, float] | None = None


@dataclass
class Tally:
    """One finder's answers."""

    asked: list[Case] = field(default_factory=list)
    answers: list[Answer | None] = field(default_factory=list)
    figures: list[Figures | None] = field(default_factory=list)

    def add(self, case: Case, answer: Answer | None) -> None:
        self.asked.append(Case(**{**case.__dict__, "samples": case.samples[:0]}))
        self.answers.append(answer)
        self.figures.append(None if answer is None else measure(case.samples, case.rate, answer))


def synthetic(seeds: list[int]) -> Iterator[Case]:
    for seed in seeds:
        for spec in specs(seed):
            clip = make(spec)
            yield Case(
                f"{spec.name}-{seed}",
                "synthetic",
                clip.samples,
                spec.rate,
                clip.min_loop_s,
                clip.bar_s,
                clip.beat_s,
                clip.pattern_s,
                clip.steady_s,
            )


def recorded(folder: Path) -> Iterator[Case]:
    for listing in sorted(folder.glob("*.json")):
        for entry in json.loads(listing.read_text()):
            samples, rate = soundfile.read(folder / entry["path"], dtype="float32", always_2d=True)
            steady = entry.get("steady")
            yield Case(
                entry["id"],
                entry["corpus"],
                samples,
                rate,
                entry["min_loop"],
                entry.get("bar_s"),
                entry.get("beat_s"),
                entry.get("pattern_s"),
                tuple(steady) if steady else None,
            )


def ours(case: Case) -> Answer | None:
    found = find_loop(case.samples, case.rate, LengthWish(seconds=case.min_loop_s))
    return None if isinstance(found, Rejection) else Answer(found.start, found.end, found.crossfade)


def theirs(python: str) -> Callable[[Case], Answer | None]:
    def answer(case: Case) -> Answer | None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.wav"
            soundfile.write(path, case.samples, case.rate, subtype="PCM_16")
            command = [python, str(WORKER), str(path), str(case.min_loop_s), "0"]
            run = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **ONE_THREAD})
        if run.returncode != 0:
            return None
        told = json.loads(run.stdout.splitlines()[-1])
        return Answer(told["start"], told["end"])

    return answer


def report(name: str, corpus: str, tally: Tally) -> None:
    """Every figure of one finder on one corpus; a clip without an answer misses its bar and its pattern."""
    rows = [row for row in zip(tally.asked, tally.answers, tally.figures, strict=True) if row[0].corpus == corpus]
    if not rows:
        return
    known = [figure for _, _, figure in rows if figure is not None]

    def say(figure: str, value: float, count: int, unit: str) -> None:
        row = {"benchmark": "loops", "finder": name, "corpus": corpus, "figure": figure}
        print(json.dumps({**row, "value": round(value, 3), "unit": unit, "n": count}), flush=True)

    say("answered", 100 * len(known) / len(rows), len(rows), "%")
    barred = [(case, answer) for case, answer, _ in rows if case.bar_s]
    if barred:
        hits = sum(a is not None and bar_error_ms(a, c.rate, c.bar_s or 1) <= 10 for c, a in barred)
        say("bar multiple within 10 ms", 100 * hits / len(barred), len(barred), "%")
    patterned = [(case, answer) for case, answer, _ in rows if case.pattern_s and case.steady_s and case.beat_s]
    if patterned:
        hits = sum(
            a is not None
            and bar_error_ms(a, c.rate, c.pattern_s or 1) <= 50 * (c.beat_s or 1)
            and in_steady(a, c.rate, c.steady_s or (0, 0))
            for c, a in patterned
        )
        say("pattern multiple inside the steady region", 100 * hits / len(patterned), len(patterned), "%")
    if not known:
        return
    say("outlier seams", 100 * float(np.mean([f.outlier for f in known])), len(known), "%")
    say("clicks", 100 * float(np.mean([f.click > CLICK for f in known])), len(known), "%")
    continuity = [f.continuity for f in known if f.continuity is not None]
    say("mel continuity, median", float(np.median(continuity)), len(continuity), "of random")
    say("loudness step, p95", float(np.percentile([f.step_db for f in known], 95)), len(known), "dB")
    say("length, median", float(np.median([f.seconds for f in known])), len(known), "s")


def time_both(cases: list[Case], python: str | None, count: int) -> None:
    """Processor seconds of a cold process and of a warm analysis, the finders by turns on each clip."""
    own = [sys.executable, "-m", "services", "analyze", "--json", "--repeat", "5", "--min-loop"]
    spent: dict[str, list[tuple[float, float]]] = {"infiniloop": [], "pymusiclooper": []}
    with tempfile.TemporaryDirectory() as folder:
        for case in cases[:: max(1, len(cases) // count)][:count]:
            path = Path(folder) / "clip.wav"
            soundfile.write(path, case.samples, case.rate, subtype="PCM_16")
            runs = {
                "infiniloop": (
                    [*own, str(case.min_loop_s), str(path)],
                    [*own[:-3], "--min-loop", str(case.min_loop_s), str(path)],
                )
            }
            if python is not None:
                worker = [python, str(WORKER), str(path), str(case.min_loop_s)]
                runs["pymusiclooper"] = ([*worker, "3"], [*worker, "0"])
            for name, (warm, cold) in runs.items():
                told, _ = _run(warm)
                _, seconds = _run(cold)
                if told is not None:
                    spent[name].append((seconds, told["warm_cpu_s"]))
    for name, pairs in spent.items():
        if pairs:
            cold, warm = (float(np.median(column)) for column in zip(*pairs, strict=True))
            for figure, value in (("processor time, cold process", cold), ("processor time, warm", warm)):
                row = {"benchmark": "loops", "finder": name, "corpus": "timing", "figure": figure}
                print(json.dumps({**row, "value": round(value, 4), "unit": "s", "n": len(pairs)}), flush=True)


def _run(command: list[str]) -> tuple[dict[str, Any] | None, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **ONE_THREAD})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (json.loads(run.stdout.splitlines()[-1]) if run.returncode == 0 else None), seconds


@click.command()
@click.option("--seeds", default="1", help="Seeds of the synthetic clips, with commas; empty for none.")
@click.option("--corpus", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Real music and MIDI.")
@click.option("--pymusiclooper", metavar="PYTHON", help="Interpreter that has PyMusicLooper.")
@click.option("--timing", default=4, help="Clips that are timed.")
@click.option("--clips", default=1_000, help="Clips of each corpus that are judged, at most.")
def main(seeds: str, corpus: Path | None, pymusiclooper: str | None, timing: int, clips: int) -> None:
    finders = {"infiniloop": ours, **({"pymusiclooper": theirs(pymusiclooper)} if pymusiclooper else {})}
    tallies = {name: Tally() for name in finders}
    timed: list[Case] = []
    chosen = [int(seed) for seed in seeds.split(",") if seed]
    for cases in (synthetic(chosen), recorded(corpus) if corpus else iter(())):
        for case in cases:
            if case.corpus == "synthetic" and len(timed) < 40:
                timed.append(case)
            if sum(asked.corpus == case.corpus for asked in tallies["infiniloop"].asked) >= clips:
                continue
            for name, find in finders.items():
                tallies[name].add(case, find(case))
    for name, tally in tallies.items():
        for kind in dict.fromkeys(case.corpus for case in tally.asked):
            report(name, kind, tally)
    if timing:
        time_both(timed, pymusiclooper, timing)


if __name__ == "__main__":
    main()
