"""Reads a loop or a rendered transition whole into memory, checked, and never opens its file again.

A file may be missing, cut off, of another rate, replaced by something else or a trap; each refusal is one sentence, for
the receipt. Reading goes block by block into the 24-bit planes of `Samples`, so a long loop never lies in memory twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from services.player.samples import Pool, Samples
from shared.audio_files import within
from shared.errors import AudioFileError
from shared.music import Loop, Transition
from shared.units import STATION_CHANNELS, STATION_RATE

if TYPE_CHECKING:
    import soundfile

STARTUP = Path(__file__).parent / "startup"
"""The loops that come with the package."""
SHORTEST_S = 0.5
LONGEST_S = 150.0
"""A piece of several sections fits twice over."""
_BLOCK = 48_000
_LOUDEST = 8.0


@dataclass(frozen=True, slots=True)
class LoadedLoop:
    """A loop and its samples."""

    loop: Loop
    samples: Samples

    @property
    def loop_id(self) -> str:
        return self.loop.loop_id


@dataclass(frozen=True, slots=True)
class LoadedTransition:
    """A rendered transition and its samples."""

    transition: Transition
    samples: Samples


def load_loop(loop: Loop, folders: tuple[Path, ...], pool: Pool | None = None) -> LoadedLoop:
    """Read the loop's file, a WAV of the cache or a FLAC of the library, into memory of ``pool``.

    It must lie below one of ``folders``.

    Raises
    ------
    AudioFileError
        The file is missing, broken, outside the folders, of another rate, shape or length than a loop's, or its
        description does not fit it.
    """
    samples = _read(Path(loop.path), folders, loop.frames, pool, shortest_s=SHORTEST_S)
    for section in loop.sections:
        if not section.start < section.end <= loop.frames:
            raise AudioFileError(f"{loop.path} has a section {section.label} that lies beyond its end.")
    return LoadedLoop(loop, samples)


def load_transition(transition: Transition, folders: tuple[Path, ...], pool: Pool | None = None) -> LoadedTransition:
    """Read a rendered transition's WAV; raises as ``load_loop`` does."""
    samples = _read(Path(transition.path), folders, transition.frames, pool, shortest_s=0.0)
    return LoadedTransition(transition, samples)


def _read(path: Path, folders: tuple[Path, ...], frames: int, pool: Pool | None, *, shortest_s: float) -> Samples:
    import soundfile

    resolved = within(folders, path)
    if not resolved.is_file():
        raise AudioFileError(f"{path} is missing.")
    try:
        with resolved.open("rb") as file, soundfile.SoundFile(file) as sound:
            return _checked(sound, path, frames, pool, shortest_s)
    except (OSError, RuntimeError) as error:  # soundfile's errors are RuntimeErrors
        raise AudioFileError(f"{path} cannot be read as audio ({str(error).rstrip('.')}).") from error


def _checked(sound: soundfile.SoundFile, path: Path, frames: int, pool: Pool | None, shortest_s: float) -> Samples:
    if sound.samplerate != STATION_RATE:
        raise AudioFileError(f"{path} has {sound.samplerate} Hz where the station plays {STATION_RATE}.")
    if sound.channels != STATION_CHANNELS:
        raise AudioFileError(f"{path} has {sound.channels} channels where the station plays {STATION_CHANNELS}.")
    if sound.frames > LONGEST_S * STATION_RATE:
        raise AudioFileError(
            f"{path} is {sound.frames / STATION_RATE:.0f} s long; loops are at most {LONGEST_S:.0f} s."
        )
    if sound.frames < shortest_s * STATION_RATE or sound.frames == 0:
        raise AudioFileError(f"{path} is only {sound.frames} frames long; loops are at least {shortest_s:g} s.")
    if sound.frames != frames:
        raise AudioFileError(f"{path} has {sound.frames} frames where {frames} were announced.")
    samples = Samples(frames, pool)
    block = np.empty((_BLOCK, STATION_CHANNELS), np.float32)
    at = 0
    while at < frames:
        taken = sound.read(out=block[: frames - at])
        if len(taken) == 0:
            raise AudioFileError(f"{path} is cut off: {at} of {frames} frames are there.")
        peak = float(np.abs(taken).max())
        if not peak <= _LOUDEST:  # NaN and infinity compare false
            raise AudioFileError(f"{path} holds values that are not samples.")
        samples.write(taken, at)
        at += len(taken)
    return samples
