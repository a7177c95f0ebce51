"""Saving a loop exactly where the listener said: one loop, rotated so that its first sample is a downbeat.

A loop with sections is saved as its first section, which is an exact loop by itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from services.controller import containers
from services.controller.containers import Tags
from shared.errors import AudioFileError, StoreError, UsageError
from shared.music import Loop
from shared.units import Audio

FORMATS = ("wav", "flac", "ogg", "mp3")
_SUFFIXES = MappingProxyType({".wav": "wav", ".flac": "flac", ".ogg": "ogg", ".oga": "ogg", ".mp3": "mp3"})
MP3_WARNING = "MP3 adds silence at both ends and cannot loop without a gap: use wav, flac or ogg for that."


@dataclass(frozen=True)
class SaveOrder:
    """What is to be saved, and where."""

    loop: Loop
    target: Path
    format: str = ""
    """Empty: as the file's name says, WAV where it says nothing."""
    force: bool = False
    """Write over a file that is there."""


@dataclass(frozen=True)
class Saved:
    path: Path
    frames: int
    sample_rate: int
    warning: str = ""


def check_order(order: SaveOrder) -> SaveOrder:
    """The order with its format settled.

    Raises
    ------
    UsageError
        An unknown format, a name that contradicts it, or a target that is no place for a file.
    """
    suffix = order.target.suffix.lower()
    written = order.format.strip().lower() or _SUFFIXES.get(suffix, "" if suffix else "wav")
    if written not in FORMATS:
        raise UsageError(f"{written or suffix} cannot be written: choose one of {', '.join(FORMATS)}.")
    if not order.target.is_absolute():
        raise UsageError("save needs the file's whole path.")
    return SaveOrder(order.loop, order.target, written, order.force)


def save_loop(order: SaveOrder) -> Saved:
    """Write the loop, whole or not at all. Blocks; for the disk thread.

    Raises
    ------
    StoreError
        The file is there already, the folder is not, or the disk is full.
    AudioFileError
        The loop's own file is gone.
    """
    from shared.audio_files import read_audio

    target = order.target
    if target.is_dir():
        raise StoreError(f"{target} is a folder: name a file in it.")
    if target.exists() and not order.force:
        raise StoreError(f"{target} exists already: choose another name, or add --force to write over it.")
    if not target.parent.is_dir():
        raise StoreError(f"The folder {target.parent} does not exist: make it first, or choose another.")
    source = Path(order.loop.path)
    if not source.exists():
        raise AudioFileError("The loop's file is no longer there: save the one that plays now.")
    samples, rate = read_audio(source)
    samples = rotated(samples, order.loop)
    tags = tags_of(order.loop, len(samples), rate)
    write: Callable[[Path, Audio, int, Tags], None] = containers.WRITERS[order.format]
    beside = target.with_name(f".{target.name[:200]}.{os.getpid()}.part")
    try:
        write(beside, samples, rate, tags)
        _place(beside, target, force=order.force)
    except OSError as error:
        raise StoreError(
            f"{target} cannot be written ({(error.strerror or str(error)).lower()}): choose another place."
        ) from error
    finally:
        beside.unlink(missing_ok=True)
    return Saved(target, len(samples), rate, MP3_WARNING if order.format == "mp3" else "")


def rotated(samples: Audio, loop: Loop) -> Audio:
    """One pass of the loop beginning on a downbeat.

    Parameters
    ----------
    samples : float32 [shape=(frames, channels)]
        The loop's file.
    """
    import numpy as np

    start, end = (loop.sections[0].start, loop.sections[0].end) if loop.sections else (0, len(samples))
    downbeats = loop.grid.downbeats if loop.grid is not None else ()
    first = next((frame for frame in downbeats if start <= frame < end), start)
    return np.roll(samples[start:end], start - first, axis=0)


def tags_of(loop: Loop, frames: int, rate: int) -> Tags:
    """What is written into the file: what it is, how it loops, and how it was made."""
    recipe = loop.recipe
    comment = ""
    if recipe is not None:
        made = " ".join(part for part in (recipe.backend, recipe.model, recipe.model_revision) if part)
        seed = f"; seed {recipe.seed}" if recipe.seed is not None else ""
        licence = f"; weights {recipe.weights_licence}" if recipe.weights_licence else ""
        comment = f"{recipe.disclosure or 'generated'}; made by {made}{seed}{licence}; prompt: {recipe.prompt}"
    section = loop.sections[0] if loop.sections else None
    bars = section.bars if section is not None else loop.bars
    return Tags(
        title=loop.title,
        artist=loop.artist,
        genre=loop.genre,
        comment=comment,
        frames=frames,
        sample_rate=rate,
        bpm=loop.bpm,
        beats_per_bar=loop.beats_per_bar,
        beats=bars * loop.beats_per_bar if bars and loop.beats_per_bar else None,
    )


def _place(beside: Path, target: Path, *, force: bool) -> None:
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    if force:
        beside.replace(target)
        return
    try:
        os.link(beside, target)  # refuses where somebody wrote the name in the meantime
    except FileExistsError:
        raise StoreError(f"{target} exists already: choose another name, or add --force to write over it.") from None
    except OSError:  # a file system without links
        beside.replace(target)
