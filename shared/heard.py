"""What was heard: the last minutes of the tap on the disk, for those who react when the moment has passed.

A folder of short FLAC files, numbered in their order, 24-bit at the station's rate: the programme before the volume.
Each is written beside and then renamed, so every piece that has its name is whole, whoever was killed meanwhile. In its
comment each says which loops sounded in it (``Song``, as a JSON array). The dashboard writes and drops them
(``services/dashboard/recorder.py``); the command line reads them. Pauses are left out.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from shared.units import STATION_CHANNELS, STATION_RATE, Audio

SUFFIX: Final = ".flac"
PIECE_S: Final = 2.0
"""Length of a piece; those at a pause are shorter."""
SPARE_S: Final = 60.0
"""Kept beyond what is promised, so that nothing goes while it is being read."""


class Song(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A loop that was heard, and what is to be said of it."""

    loop_id: str
    title: str = ""
    artist: str = ""
    disclosure: str = ""
    trained: bool = False
    """Made by a trained model."""


@dataclass(frozen=True)
class Piece:
    """One file of what was heard."""

    path: Path
    number: int
    ended_at: float
    """Seconds since the epoch."""
    bytes: int


def pieces(folder: Path) -> list[Piece]:
    """The pieces of this folder, oldest first; none if it is not there."""
    found = []
    try:
        for path in folder.iterdir():
            if path.suffix == SUFFIX and path.stem.isdigit():
                facts = path.stat()
                found.append(Piece(path, int(path.stem), facts.st_mtime, facts.st_size))
    except FileNotFoundError:  # the folder, or a piece that was dropped in this moment
        if not folder.is_dir():
            return []
    return sorted(found, key=lambda piece: piece.number)


def write_piece(folder: Path, number: int, samples: Audio, songs: Sequence[Song]) -> Path:
    """Add a piece.

    Parameters
    ----------
    samples : float32 [shape=(frames, 2)]

    Raises
    ------
    OSError
        The disk is full, or the folder cannot be written to.
    """
    import soundfile

    path = folder / f"{number:012d}{SUFFIX}"
    encoded = io.BytesIO()
    with soundfile.SoundFile(
        encoded, "w", STATION_RATE, STATION_CHANNELS, format="FLAC", subtype="PCM_24", compression_level=_LEVEL
    ) as sound:
        sound.comment = msgspec.json.encode(songs).decode()
        sound.write(samples)
    beside = path.with_suffix(".part")
    try:
        beside.write_bytes(encoded.getbuffer())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    return path


_LEVEL = 0.4
"""Of FLAC's compression, 0 … 1."""


def read_piece(path: Path) -> Audio:
    """A piece's samples, float32 [shape=(frames, 2)].

    Raises
    ------
    OSError
        It is gone.
    """
    import soundfile

    with path.open("rb") as file, soundfile.SoundFile(file) as sound:
        samples: Audio = sound.read(dtype="float32", always_2d=True)
    return samples


def look_into(path: Path) -> tuple[int, tuple[Song, ...]]:
    """How many frames a piece has and which loops sounded in it, by its head alone; nothing if it is gone or broken."""
    import soundfile

    try:
        with path.open("rb") as file, soundfile.SoundFile(file) as sound:
            return sound.frames, msgspec.json.decode(sound.comment or "[]", type=tuple[Song, ...])
    except (OSError, soundfile.SoundFileError, msgspec.DecodeError):
        return 0, ()
