"""What ``infiniloop save`` writes: a loop, its parts and its score, or the song of it; asked for before it is made."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.controller.cli.progress import ProgressLine
from services.controller.counting import number_of
from shared.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from services.controller.saving import Target
    from shared.music import Loop, Section
    from shared.units import Audio


@dataclass
class Wish:
    """What is asked for beside the loop itself."""

    file: str
    format: str = ""
    passes: int = 1
    minutes: float | None = None
    fade_in_s: float = 0.0
    fade_out_s: float = 0.0
    conform: bool = False
    stems: bool = False
    midi: bool = False
    force: bool = False
    """Write over what is there; also said by answering a question with yes."""


@dataclass
class Work:
    """What is written, and what is told of it."""

    loop: Loop
    one: Audio
    rate: int
    bpm: float | None
    stems: dict[Path, Audio] = field(default_factory=dict)
    midi: tuple[Path, bytes] | None = None


def here() -> Path:
    """The folder in which the listener stands."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise StoreError("The folder in which you are is gone: go to another one.") from None


def at_tempo(loop: Loop, wish: Wish, section: Section | None) -> Loop:
    """The loop as it will be saved, for its name."""
    if not wish.conform:
        return loop
    from msgspec.structs import replace

    from services.controller.cli.conforming import conformed
    from services.controller.saving.music import span_of

    start, end = span_of(loop, section)
    return replace(loop, bpm=float(conformed(end - start, loop.sample_rate, loop.bpm).bpm))


def add_parts(wish: Wish, target: Target, work: Work, section: Section | None) -> None:
    """Make the stems and the score, and bring all of it to a whole tempo where that is wished."""
    from services.controller.cli.conforming import conform, conformed

    new = conformed(len(work.one), work.rate, work.loop.bpm) if wish.conform else None
    if wish.stems or wish.midi:
        from services.controller.cli.composed import recompose
        from shared.paths import Paths

        composition = recompose(work.loop, section, Paths.from_environment(), "stems" if wish.stems else "midi")
        if wish.midi:
            work.midi = (target.beside("", ".mid"), composition.midi(new.bpm if new is not None else None))
            check_places(wish, [work.midi[0]])
        if wish.stems:
            names = [part.name for part in composition.part.sections[0].parts]
            check_places(wish, [target.beside(f"_{name}") for name in names])
            with ProgressLine() as line:
                line.begin(0, "stems")
                made = composition.stems(work.one, lambda fraction: line.show(fraction, "rendering"))
            work.stems = {target.beside(f"_{name}"): stem for name, stem in made.items() if name in names}
    if new is not None:
        from msgspec.structs import replace

        work.one = conform(work.one, new.frames)
        work.stems = {path: conform(stem, new.frames) for path, stem in work.stems.items()}
        work.bpm = float(new.bpm)
        work.loop = replace(work.loop, bpm=work.bpm)


def write_loop(wish: Wish, target: Target, work: Work) -> int:
    """Write the loop, so many passes of it, and what goes beside it; returns the frames of each file."""
    from msgspec.structs import replace

    from services.controller.saving import write_file
    from services.controller.saving.music import repeated
    from services.controller.saving.tags import tags_of
    from shared.durable import replace_file

    frames = wish.passes * len(work.one)
    fades = fades_of(wish, work.rate)
    for path, audio in ((target.path, work.one), *work.stems.items()):
        name = path.stem.removeprefix(f"{target.path.stem}_") if path != target.path else ""
        loop = replace(work.loop, title=f"{work.loop.title} – {name}") if name else work.loop
        write_file(
            path,
            target.form,
            tags_of(loop, frames, loops=fades == (0, 0)),
            with_fades(repeated(audio, wish.passes), frames, fades),
            frames=frames,
            rate=work.rate,
            force=wish.force,
        )
    if work.midi is not None:
        replace_file(*work.midi)
    return frames


def write_song(wish: Wish, target: Target, loop: Loop, loudness: float) -> int:
    """Write so many minutes of the loop's song; returns its frames."""
    from services.controller.cli.song import song_blocks
    from services.controller.saving import read_loop, write_file
    from services.controller.saving.tags import tags_of

    samples, rate = read_loop(loop, loudness)
    frames = round((wish.minutes or 0.0) * 60 * rate)
    write_file(
        target.path,
        target.form,
        tags_of(loop, frames, loops=False),
        with_fades(song_blocks(loop, samples, frames), frames, fades_of(wish, rate)),
        frames=frames,
        rate=rate,
        force=wish.force,
    )
    return frames


def fades_of(wish: Wish, rate: int) -> tuple[int, int]:
    """Frames of the fade in and the fade out."""
    return round(wish.fade_in_s * rate), round(wish.fade_out_s * rate)


def with_fades(blocks: Iterable[Audio], frames: int, fades: tuple[int, int]) -> Iterable[Audio]:
    from services.controller.saving.music import faded

    return faded(blocks, frames, *fades) if any(fades) else blocks


def check_places(wish: Wish, paths: list[Path]) -> None:
    """See before the work that its files can be written; ask before writing over one, where somebody can answer."""
    from services.controller.saving import check_folder, occupied, taken_error

    there = [path for path in paths if occupied(path)]
    if there and not wish.force:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise taken_error(*there)
        names = ", ".join(str(path) for path in there[:3]) + (" …" if len(there) > 3 else "")
        if not click.confirm(f"{names} exists already. Write over it?", err=True):
            raise StoreError("Nothing was written: what was there stays as it is.")
        wish.force = True
    for path in paths:
        check_folder(path)


def stems_in_words(count: int) -> str:
    """What the files of the parts are."""
    return f"its {number_of(count, 'part')}, before the mastering"


def beside(work: Work) -> str:
    """What was written beside the loop, in words."""
    parts = []
    if work.stems:
        parts.append(stems_in_words(len(work.stems)))
    if work.midi is not None:
        parts.append(f"its score {work.midi[0].name}")
    return f"; beside it {' and '.join(parts)}" if parts else ""
