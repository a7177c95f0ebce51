"""``infiniloop analyze``: the loop in any audio file."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from services.analyzer.finder import Study, search, study_clip
from services.analyzer.jumps import find_jumps, find_jumps_beyond
from services.analyzer.length import LengthWish, parse_wish
from services.analyzer.reading import read_any
from services.analyzer.records import FoundLoop, JumpPoint, Rejection
from shared.errors import NoLoopError
from shared.units import Audio


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--min-loop", default="auto", metavar="S", help="Loop at least: seconds, bars as 8bars, or auto.")
@click.option("--repeat", default=0, type=click.IntRange(0, 1000), metavar="N", help="Analyse N times more; time it.")
@click.option("--output", type=click.Path(path_type=Path), metavar="LOOP.wav", help="Write the finished loop.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE.png", help="Draw what was found.")
@click.option("--describe", "further", is_flag=True, help="Add librosa's opinion: tempo, key, tuning, brightness.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on one line.")
def analyze(
    *,
    file: Path,
    min_loop: str,
    repeat: int,
    output: Path | None,
    plot: Path | None,
    further: bool,
    as_json: bool,
) -> None:
    """Find the best loop in an audio FILE.

    The file may be up to ten minutes long. Start and end are
    samples of the file, the end exclusive. Times cover reading and finding.
    """
    wish = parse_wish(min_loop)
    times = _Stopwatch()
    audio, rate, study, found = _read_and_find(file, wish)
    spent = times.read("analysis")
    found = replace(found, jumps=find_jumps(study, found), beyond=find_jumps_beyond(study, found))
    report: dict[str, Any] = {**describe(audio, rate, found), **spent}
    if repeat:
        laps = []
        for _ in range(repeat):
            times = _Stopwatch()
            _read_and_find(file, wish)
            laps.append(times.read("warm"))
        report |= {name: min(lap[name] for lap in laps) for name in laps[0]}
    if further:
        report["description"] = _further(audio[found.start : found.end], rate, found)
    if output is not None:
        _write_loop(output, audio, rate, found)
    if plot is not None:
        from services.analyzer.plot import draw

        plot.write_bytes(draw(study, found))
    click.echo(json.dumps(report) if as_json else _in_words(file, report))


def describe(audio: Audio, rate: int, found: FoundLoop) -> dict[str, Any]:
    """What the command reports of a loop; levels are those of the loop as it lies in the file."""
    from services.analyzer import loudness

    body = audio[found.start : found.end]
    metre = found.metre
    return {
        "start": found.start,
        "end": found.end,
        "sample_rate": rate,
        "mode": "xfade",
        "n": found.crossfade,
        "bpm": metre.bpm if metre is not None else None,
        "beats_per_bar": metre.beats_per_bar if metre is not None else None,
        "bars": found.bars,
        "downbeats": list(metre.downbeats) if metre is not None else [],
        "key": found.key.name if found.key is not None else None,
        "key_confidence": found.key.confidence if found.key is not None else 0.0,
        "confidence": found.confidence,
        "jumps": _listed(found.jumps),
        "jumps_beyond": _listed(found.beyond),
        "lufs": round(loudness.integrated(loudness.power_curve(body, rate), rate), 2),
        "true_peak_dbtp": round(loudness.decibels(loudness.true_peak(body)), 2),
    }


def _listed(jumps: tuple[JumpPoint, ...]) -> list[dict[str, int]]:
    return [{"source": jump.source, "target": jump.target, "n": jump.crossfade} for jump in jumps]


class _Stopwatch:
    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self, name: str) -> dict[str, float]:
        return {
            f"{name}_s": round(time.perf_counter() - self._wall, 6),
            f"{name}_cpu_s": round(time.process_time() - self._cpu, 6),
        }


def _read_and_find(file: Path, wish: LengthWish) -> tuple[Audio, int, Study, FoundLoop]:
    audio, rate = read_any(file)
    study = study_clip(audio, rate)
    if isinstance(study, Rejection):
        raise NoLoopError(study.reason)
    found = search(study, wish)
    if isinstance(found, Rejection):
        raise NoLoopError(found.reason)
    return audio, rate, study, found


def _further(body: Audio, rate: int, found: FoundLoop) -> dict[str, Any]:
    from services.analyzer.second_opinion import describe_further
    from shared.paths import Paths

    told = describe_further(body, rate, Paths.from_environment().cache / "kernels")
    return {
        "bpm": told.bpm,
        "same_tempo": told.same_tempo(found.metre.bpm) if found.metre is not None else None,
        "key": told.key.name if told.key is not None else None,
        "same_key": told.same_key(found.key.name) if found.key is not None else None,
        "tuning_cents": told.tuning_cents,
        "brightness_hz": told.brightness_hz,
        "percussive_share": told.percussive_share,
    }


def _write_loop(output: Path, audio: Audio, rate: int, found: FoundLoop) -> None:
    from services.analyzer.making import finish
    from shared.audio_files import write_wav
    from shared.units import STATION_RATE

    write_wav(output, finish(audio, rate, found).samples, STATION_RATE)


def _in_words(file: Path, report: dict[str, Any]) -> str:
    rate = report["sample_rate"]
    start, end = report["start"] / rate, report["end"] / rate
    lines = [f"{file.name}: loop from {start:.3f} s to {end:.3f} s, {end - start:.3f} s long"]
    if report["bpm"]:
        lines.append(f"  {report['bars']} bars of {report['beats_per_bar']} at {report['bpm']:.1f} beats a minute")
    if report["key"]:
        lines.append(f"  in {report['key']}")
    lines.append(f"  {report['lufs']:.1f} LUFS, true peak {report['true_peak_dbtp']:.1f} dBTP")
    if told := report.get("description"):
        lines.append(
            f"  librosa says {told['bpm']:.1f} beats a minute and {told['key'] or 'no key'}; "
            f"{told['percussive_share']:.0%} percussive, centroid {told['brightness_hz']:.0f} Hz"
        )
    lines.append(f"  seam of {1000 * report['n'] / rate:.0f} ms, confidence {report['confidence']:.0%}")
    return "\n".join(lines)
