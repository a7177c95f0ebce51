"""``infiniloop generate``: clips or finished loops straight into files, without the station."""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.controller.cli.progress import ProgressLine
from services.controller.commands import check_prompt
from shared import settings
from shared.errors import NoLoopError, StoreError, UsageError
from shared.messages import Job
from shared.paths import Paths

if TYPE_CHECKING:
    from services.analyzer.making import FinishedLoop
    from services.generator.frames import Made
    from shared.settings.analyzer import AnalyzerSettings
    from shared.units import Audio

MOST = 100
FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG", ".mp3": "MP3"}
_SUBTYPES = {"WAV": "PCM_24", "FLAC": "PCM_24", "OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}


@dataclass(frozen=True)
class _Target:
    """Where one clip goes."""

    audio: Path
    midi: Path | None


@click.command()
@click.argument("prompt")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="WAV, FLAC, Ogg or MP3.")
@click.option("--seconds", type=click.FloatRange(0, 600, min_open=True), metavar="N", help="Length of the clip.")
@click.option("--bars", type=click.IntRange(1, 256), metavar="N", help="Length in bars.")
@click.option("--bpm", type=click.FloatRange(20, 400), metavar="N", help="Tempo.")
@click.option("--key", metavar="Am", help="Key, such as Am or Eb.")
@click.option("--meter", metavar="3/4", help="Metre.")
@click.option("--count", default=1, type=click.IntRange(1, MOST), metavar="N", help="How many: FILE-1, FILE-2, …")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), metavar="S", help="The same seed makes the same clip.")
@click.option("--backend", metavar="B", help="What makes it: auto, musicgen, musicgpt or composer.")
@click.option("--model", metavar="M", help="The model's size, such as small.")
@click.option("--loop", is_flag=True, help="A finished loop: found, levelled, 48 kHz.")
@click.option("--midi", type=click.Path(path_type=Path), metavar="FILE", help="The score, where there is one.")
@click.option("--force", is_flag=True, help="Write over files that are there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on one line.")
def generate(
    *,
    prompt: str,
    output: Path,
    seconds: float | None,
    bars: int | None,
    bpm: float | None,
    key: str | None,
    meter: str | None,
    count: int,
    seed: int | None,
    backend: str | None,
    model: str | None,
    loop: bool,
    midi: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Make clips or loops from the words of PROMPT.

    A prompt that begins with - comes after --: infiniloop generate -o FILE -- "-weird- music".
    """
    words = check_prompt(prompt)
    if seconds is not None and bars is not None:
        raise UsageError("Give either --seconds or --bars, not both.")
    paths = Paths.from_environment()
    paths.create()
    chosen, problems = settings.load(paths, flags={"backend": backend, "model": model})
    for problem in problems:
        click.echo(problem, err=True)
    targets = _targets(output, midi, count)
    _check_targets(targets, force)
    job = Job(
        job_id=f"generate-{os.getpid()}",
        token="command",
        epoch=0,
        prompt=words,
        backend=chosen.generator.backend,
        model=model,
        device=chosen.generator.device,
        seconds=seconds,
        bars=bars,
        bpm=bpm,
        key=key,
        meter=meter,
        seed=seed,
        midi=midi is not None,
    )
    reports = _make_all(paths, chosen, job, targets, loop=loop, force=force)
    if as_json:
        click.echo(json.dumps({**reports[0], "clips": reports}, ensure_ascii=False))
        return
    for report in reports:
        click.echo(_in_words(report))


def _make_all(
    paths: Paths, chosen: settings.Settings, job: Job, targets: list[_Target], *, loop: bool, force: bool
) -> list[dict[str, Any]]:
    import msgspec

    from services.generator.bench import Bench

    reports: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory(prefix="infiniloop-") as folder,
        Bench(paths, chosen.generator) as bench,
        ProgressLine(len(targets)) as line,
    ):
        for number, target in enumerate(targets):
            seed = None if job.seed is None else job.seed + number
            one = msgspec.structs.replace(job, job_id=f"{job.job_id}-{number + 1}", seed=seed)
            clip = Path(folder) / f"{number + 1}.wav"
            line.begin(number, target.audio.name)
            made = bench.make(one, clip, line.show)
            line.show(1.0, "finding the loop" if loop else "writing")
            reports.append(_finish(made, one, target, chosen.analyzer if loop else None, force=force))
            clip.unlink(missing_ok=True)
    return reports


def _finish(made: Made, job: Job, target: _Target, loop: AnalyzerSettings | None, *, force: bool) -> dict[str, Any]:
    """Write what was made to where it was said, as a loop where one is wanted; returns what is told of it."""
    from shared.audio_files import read_audio
    from shared.durable import replace_file

    samples, rate = read_audio(Path(made.path))
    if target.midi is not None and made.midi is None:
        raise UsageError(f"{made.recipe.backend} writes no score: leave --midi out, or add --backend composer.")
    if loop is not None:
        finished = _find_loop(samples, rate, made, job, loop)
        facts = _write_loop(finished, made, target.audio, force=force)
    else:
        _write_clip(target.audio, samples, rate, made)
        truth = made.truth
        facts = {
            "frames": len(samples),
            "sample_rate": rate,
            "bpm": truth.bpm if truth else None,
            "bars": truth.bars if truth else None,
            "key": truth.key if truth else None,
        }
    if target.midi is not None and made.midi is not None:
        replace_file(target.midi.absolute(), made.midi)
    seconds = made.frames / made.sample_rate
    return {
        "file": str(target.audio.absolute()),
        "midi": str(target.midi.absolute()) if target.midi else None,
        "loop": loop is not None,
        "seconds": round(facts["frames"] / facts["sample_rate"], 6),
        **facts,
        "channels": made.channels if loop is None else 2,
        "prompt": job.prompt,
        "plan": made.recipe.plan,
        "backend": made.recipe.backend,
        "model": made.recipe.model,
        "seed": made.recipe.seed,
        "weights_licence": made.recipe.weights_licence,
        "disclosure": made.recipe.disclosure,
        "generation_s": round(made.generation_s, 3),
        "download_s": round(made.download_s, 3),
        "real_time_factor": round(seconds / made.generation_s, 2) if made.generation_s else None,
    }


def _find_loop(samples: Audio, rate: int, made: Made, job: Job, wishes: AnalyzerSettings) -> FinishedLoop:
    from services.analyzer.length import parse_wish
    from services.analyzer.making import make_loop
    from services.analyzer.records import Rejection

    finished = make_loop(
        samples,
        rate,
        truth=made.truth,
        wish=parse_wish(wishes.min_loop),
        asked_bpm=job.bpm,
        asked_key=job.key,
        target_lufs=wishes.loudness,
    )
    if isinstance(finished, Rejection):
        raise NoLoopError(finished.reason)
    return finished


def _write_loop(finished: FinishedLoop, made: Made, target: Path, *, force: bool) -> dict[str, Any]:
    from services.controller.saving import SaveOrder, save_loop
    from shared.audio_files import write_wav
    from shared.units import STATION_RATE

    path = Path(made.path).with_suffix(".loop.wav")
    write_wav(path, finished.samples, STATION_RATE)
    record = finished.record("generated", made.job_id, 0, str(path), made.recipe)
    saved = save_loop(SaveOrder(record, target.absolute(), force=force))
    return {
        "frames": saved.frames,
        "sample_rate": saved.sample_rate,
        "bpm": finished.bpm,
        "bars": record.sections[0].bars if record.sections else finished.bars,
        "key": finished.key,
        "mode": record.mode,
        "lufs": round(finished.lufs, 2),
        "true_peak_dbtp": round(finished.true_peak_dbtp, 2),
        "confidence": round(finished.confidence, 3),
    }


def _write_clip(target: Path, samples: Audio, rate: int, made: Made) -> None:
    """The clip as it was made, and in the file's comment what it is."""
    import numpy as np
    import soundfile

    from shared.durable import replace_file

    container = FORMATS[target.suffix.lower()]
    peak = float(np.abs(samples).max())
    recipe = made.recipe
    seed = f"; seed {recipe.seed}" if recipe.seed is not None else ""
    encoded = io.BytesIO()
    with soundfile.SoundFile(
        encoded, "w", rate, samples.shape[1], subtype=_SUBTYPES[container], format=container
    ) as sound:
        sound.comment = f"{recipe.disclosure or 'generated'}; made by {recipe.backend}{seed}; prompt: {recipe.prompt}"
        sound.write(samples / peak if peak > 1.0 else samples)
    replace_file(target.absolute(), encoded.getvalue())


def _targets(output: Path, midi: Path | None, count: int) -> list[_Target]:
    """The files: the one that was named, or numbered beside it."""
    if output.suffix.lower() not in FORMATS:
        kinds = ", ".join(suffix[1:] for suffix in FORMATS)
        raise UsageError(f"{output.name} names no format that can be written: let it end in one of {kinds}.")
    if count == 1:
        return [_Target(output, midi)]

    def numbered(path: Path, number: int) -> Path:
        return path.with_name(f"{path.stem}-{number:0{len(str(count))}d}{path.suffix}")

    return [_Target(numbered(output, n), numbered(midi, n) if midi else None) for n in range(1, count + 1)]


def _check_targets(targets: list[_Target], force: bool) -> None:
    """See before the work that its results can be written where they were asked for."""
    files = [path for target in targets for path in (target.audio, target.midi) if path is not None]
    for path in files:
        folder = path.absolute().parent
        if path.is_dir():
            raise StoreError(f"{path} is a folder: name a file in it.")
        if not folder.is_dir():
            raise StoreError(f"The folder {folder} does not exist: make it first, or choose another.")
        if not os.access(folder, os.W_OK):
            raise StoreError(f"The folder {folder} may not be written to: choose another.")
    there = [path for path in files if path.exists()]
    if not there or force:
        return
    names = ", ".join(str(path) for path in there[:3]) + (" …" if len(there) > 3 else "")
    if sys.stdin.isatty() and sys.stderr.isatty():
        click.confirm(f"{names} exists already. Write over it?", abort=True, err=True)
        return
    raise StoreError(f"{names} exists already: choose another name, or add --force to write over it.")


def _in_words(report: dict[str, Any]) -> str:
    facts = [f"{report['seconds']:.2f} s"]
    if report["bars"]:
        facts.append(f"{report['bars']} bars")
    if report["bpm"]:
        facts.append(f"{report['bpm']:g} bpm")
    if report["key"]:
        facts.append(report["key"])
    if report["seed"] is not None:
        facts.append(f"seed {report['seed']}")
    made = " ".join(part for part in (report["backend"], report["model"]) if part)
    speed = f", {report['real_time_factor']:g} × real time" if report["real_time_factor"] else ""
    return (
        f"{report['file']}: {' · '.join(facts)}; made by {made} in {report['generation_s']:.1f} s{speed}. "
        f"{report['disclosure']}"
    ).strip()
