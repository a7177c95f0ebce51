"""``infiniloop generate``: clips or finished loops straight into files, without the station."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from services.controller.cli.asking import PromptCommand, json_option, say
from services.controller.cli.clips import FORMATS, Target, make_all
from services.controller.cli.writing import stems_in_words
from services.controller.commands import check_prompt
from services.controller.counting import number_of
from shared import settings
from shared.errors import StoreError, UsageError
from shared.messages import Job
from shared.paths import Paths

MOST = 100


@click.command(cls=PromptCommand)
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
@click.option("--stems", is_flag=True, help="Each part in a file of its own, too: FILE_drums, FILE_bass, …")
@click.option("--force", is_flag=True, help="Write over files that are there.")
@json_option
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
    stems: bool,
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
    targets = _targets(output, midi, count, stems=stems)
    force = _may_write(targets, force=force)
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
    reports = make_all(paths, chosen, job, targets, loop=loop, force=force)
    say("\n".join(_in_words(report) for report in reports), as_json=as_json, **reports[0], clips=reports)


def _targets(output: Path, midi: Path | None, count: int, *, stems: bool) -> list[Target]:
    """The files: the one that was named, or numbered beside it."""
    if output.suffix.lower() not in FORMATS:
        kinds = ", ".join(suffix[1:] for suffix in FORMATS)
        raise UsageError(f"{output.name} names no format that can be written: let it end in one of {kinds}.")
    if count == 1:
        return [Target(output, midi, stems)]

    def numbered(path: Path, number: int) -> Path:
        return path.with_name(f"{path.stem}-{number:0{len(str(count))}d}{path.suffix}")

    return [Target(numbered(output, n), numbered(midi, n) if midi else None, stems) for n in range(1, count + 1)]


def _may_write(targets: list[Target], *, force: bool) -> bool:
    """See before the work that its results can be written where they were asked for; whether over what is there."""
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
        return force
    names = ", ".join(str(path) for path in there[:3]) + (" …" if len(there) > 3 else "")
    if sys.stdin.isatty() and sys.stderr.isatty():
        click.confirm(f"{names} exists already. Write over it?", abort=True, err=True)
        return True
    raise StoreError(f"{names} exists already: choose another name, or add --force to write over it.")


def _in_words(report: dict[str, Any]) -> str:
    facts = [f"{report['seconds']:.2f} s"]
    if report["plan"]:
        facts.append(report["plan"])
    else:
        facts += [number_of(report["bars"], "bar")] if report["bars"] else []
        facts += [f"{report['bpm']:g} bpm"] if report["bpm"] else []
        facts += [report["key"]] if report["key"] else []
    if report["seed"] is not None:
        facts.append(f"seed {report['seed']}")
    made = " ".join(part for part in (report["backend"], report["model"]) if part)
    speed = f", {report['real_time_factor']:g} × real time" if report["real_time_factor"] else ""
    beside = f"; beside it {stems_in_words(len(report['stems']))}" if report["stems"] else ""
    return (
        f"{report['file']}: {' · '.join(facts)}; made by {made} in {report['generation_s']:.1f} s{speed}{beside}. "
        f"{report['disclosure']}"
    ).strip()
