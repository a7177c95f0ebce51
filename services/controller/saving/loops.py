"""One loop into a file: exactly one pass, or several, its first sample a downbeat, as loud as it is played."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from services.controller.saving.encoding import MP3_WARNING, check_length, encode
from services.controller.saving.interrupting import interruptible
from services.controller.saving.music import one_pass, repeated, section_of
from services.controller.saving.place import Target, find_target, occupied, placed, taken_error
from services.controller.saving.tags import Tags, file_name, tags_of
from shared.errors import AudioFileError, UsageError
from shared.levels import playing_gain
from shared.music import Loop
from shared.units import STATION_CHANNELS, STATION_RATE, Audio


@dataclass(frozen=True)
class SaveOrder:
    """What is to be saved, and where."""

    loop: Loop
    target: Path
    """The whole path, of a file or a folder."""
    format: str = ""
    """Empty: as the file's name says, WAV where it says nothing."""
    force: bool = False
    """Write over a file that is there."""
    section: str = ""
    """Of a piece: the section that is meant."""
    loudness: float | None = None
    """LUFS at which the station plays; None: as the loop lies on the disk."""


@dataclass(frozen=True)
class Saved:
    path: Path
    frames: int
    sample_rate: int
    warning: str = ""


def check_order(order: SaveOrder) -> Target:
    """Where the order's file goes.

    Raises
    ------
    UsageError
        An unknown format, a name that contradicts it, or a path that does not begin at the root.
    StoreError
        The path cannot be one.
    """
    if not order.target.is_absolute():
        raise UsageError("save needs the file's whole path.")
    section = section_of(order.loop, order.section)
    bars = section.bars if section is not None else order.loop.bars
    return find_target(str(order.target), Path("/"), order.format, lambda form: file_name(order.loop, form, bars))


def save_loop(order: SaveOrder) -> Saved:
    """Write one pass of the loop, whole or not at all. Blocks; for a thread that may wait for the disk.

    Raises
    ------
    UsageError
        As ``check_order``.
    StoreError
        The file is there already, or cannot be written.
    AudioFileError
        The loop's own file is gone.
    """
    target = check_order(order)
    if occupied(target.path) and not order.force:
        raise taken_error(target.path)
    samples, rate = read_loop(order.loop, order.loudness)
    one = one_pass(samples, order.loop, section_of(order.loop, order.section))
    write_file(
        target.path,
        target.form,
        tags_of(order.loop, len(one)),
        repeated(one, 1),
        frames=len(one),
        rate=rate,
        force=order.force,
    )
    return Saved(target.path, len(one), rate, MP3_WARNING if target.form == "mp3" else "")


def read_loop(loop: Loop, loudness: float | None = None) -> tuple[Audio, int]:
    """The loop's samples as the player plays them, on the 24-bit grid, and their rate.

    Raises
    ------
    AudioFileError
        The file is gone or broken.
    """
    import numpy as np

    from shared.audio_files import read_audio, snap_to_grid

    source = Path(loop.path)
    if not source.is_file():
        raise AudioFileError("The loop's file is no longer there: save the one that plays now.")
    samples, rate = read_audio(source)
    gain = 1.0 if loudness is None else playing_gain(loop, loudness)
    return (samples if gain == 1.0 else snap_to_grid(samples * np.float32(gain))), rate


def write_file(
    path: Path,
    form: str,
    tags: Tags,
    blocks: Iterable[Audio],
    *,
    frames: int,
    rate: int = STATION_RATE,
    channels: int = STATION_CHANNELS,
    force: bool = False,
) -> None:
    """Write ``frames`` of sound, whole or not at all.

    Raises
    ------
    UsageError
        This format does not hold so much.
    StoreError
        The file is there already, or cannot be written.
    AudioFileError
        The encoder failed.
    """
    check_length(form, frames, channels)
    with placed(path, force=force) as file, interruptible() as until:
        encode(file, form, tags, until(blocks), rate=rate, channels=channels)
