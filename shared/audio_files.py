"""Audio files: written completely before anyone hears of them, checked before anyone plays them.

Loops are WAV, 24-bit PCM: samples that lie on that grid survive writing and reading bit for bit.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from shared.errors import AudioFileError, UnknownAudioError
from shared.units import STATION_RATE, Audio

if TYPE_CHECKING:
    import soundfile

MAX_SECONDS = 600.0
MAX_CHANNELS = 64


def snap_to_grid(samples: Audio, bits: int = 24) -> Audio:
    """Round to the integer grid of a PCM file, so that the file holds exactly these samples; clips at full scale."""
    scale = np.float64(2 ** (bits - 1))
    snapped = np.empty(samples.shape, np.float32)
    # Doubles are needed for the rounding alone: a second at a time keeps minutes of music from being there twice over.
    for start in range(0, len(samples), STATION_RATE):
        piece = samples[start : start + STATION_RATE] * scale
        np.round(piece, out=piece)
        np.clip(piece, -scale, scale - 1, out=piece)
        np.divide(piece, scale, out=snapped[start : start + STATION_RATE], casting="same_kind")
    return snapped


def write_wav(path: Path, samples: Audio, sample_rate: int, subtype: str = "PCM_24") -> None:
    """Write a WAV beside its name, force it to the disk, then rename: it is there whole or not at all.

    Parameters
    ----------
    samples : float32 [shape=(frames, channels)]

    Raises
    ------
    AudioFileError
        The disk is full or the folder cannot be written to.
    """
    import soundfile

    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            told = Told(file)
            try:
                soundfile.write(told, samples, sample_rate, subtype=subtype, format="WAV")
            except AssertionError:  # the library asserts that all was written, and does not say why it was not
                raise told.error or OSError(errno.EIO, os.strerror(errno.EIO)) from None
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except (OSError, soundfile.SoundFileError) as error:
        beside.unlink(missing_ok=True)
        raise AudioFileError(f"{path} cannot be written ({_cause(error)}): free some disk space.") from error


class Told:
    """A file for libsndfile that begins where ``file`` stands, and remembers why it could not be written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._begin = file.tell()
        self.error: OSError | None = None
        """What the operating system said; libsndfile itself tells less."""

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            return 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:
            offset += self._begin
        try:
            return self._file.seek(offset, whence) - self._begin
        except OSError as error:  # what was held back could not be written
            self.error = error
            return -1

    def tell(self) -> int:
        return self._file.tell() - self._begin


def read_audio(path: Path, *, max_seconds: float = MAX_SECONDS) -> tuple[Audio, int]:
    """Read a whole audio file.

    Returns
    -------
    samples : float32 [shape=(frames, channels)]
    sample_rate : int, hertz

    Raises
    ------
    UnknownAudioError
        Not audio, as far as soundfile can tell.
    AudioFileError
        Missing, empty, longer than ``max_seconds``, or holding values that are not numbers.
    """
    import soundfile

    if not path.exists():
        raise AudioFileError(f"{path} does not exist: check the name.")
    if not path.is_file():
        raise AudioFileError(f"{path} is not a file: name an audio file.")
    try:
        with path.open("rb") as file, soundfile.SoundFile(file.fileno(), closefd=False) as sound:
            return _read_checked(sound, str(path), max_seconds)
    except (OSError, soundfile.SoundFileError) as error:
        raise UnknownAudioError(f"{path} cannot be read as audio ({_cause(error)}).") from error


def within(folders: Iterable[Path], path: Path) -> Path:
    """Where a file lies that another process named.

    Raises
    ------
    AudioFileError
        Outside all of ``folders``, links included.
    """
    resolved = path.resolve()
    if not any(resolved.is_relative_to(folder.resolve()) for folder in folders):
        raise AudioFileError(f"{path} lies outside the station's folders and is refused.")
    return resolved


def read_within(folders: Iterable[Path], path: Path, *, max_seconds: float = MAX_SECONDS) -> tuple[Audio, int]:
    """Read a file that another process named; raises as ``within`` and ``read_audio`` do."""
    within(folders, path)
    return read_audio(path, max_seconds=max_seconds)


def to_flac(samples: Audio, sample_rate: int) -> bytes:
    """A 24-bit FLAC file in memory: how a clip travels between machines."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sample_rate, format="FLAC", subtype="PCM_24")
    return buffer.getvalue()


def from_bytes(data: bytes, *, name: str = "the clip", max_seconds: float = MAX_SECONDS) -> tuple[Audio, int]:
    """Read an audio file that came in a message; raises as ``read_audio`` does."""
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            return _read_checked(sound, name, max_seconds)
    except (OSError, soundfile.SoundFileError) as error:
        raise AudioFileError(f"{name} cannot be read as audio ({_cause(error)}).") from error


def _read_checked(sound: soundfile.SoundFile, name: str, max_seconds: float) -> tuple[Audio, int]:
    rate: int = sound.samplerate
    if sound.channels > MAX_CHANNELS:
        raise AudioFileError(f"{name} has {sound.channels} channels; up to {MAX_CHANNELS} are read.")
    limit = int(max_seconds * rate)
    # A damaged header may claim any length, so read at most one frame more than is allowed.
    samples: Audio
    if sound.subtype == "PCM_16":
        # The same numbers as the library's own conversion, in a quarter of its time.
        samples = sound.read(frames=limit + 1, dtype="int16", always_2d=True) * np.float32(2**-15)
    else:
        samples = sound.read(frames=limit + 1, dtype="float32", always_2d=True)
        # Whole numbers are finite: only here is it worth the look.
        if not np.isfinite(samples).all():
            raise AudioFileError(f"{name} holds values that are not numbers.")
    if len(samples) > limit:
        raise AudioFileError(f"{name} is longer than {max_seconds:g} seconds: cut it first.")
    if len(samples) == 0:
        raise AudioFileError(f"{name} holds no sound.")
    if len(samples) < sound.frames:
        raise AudioFileError(f"{name} is cut off: {len(samples)} of {sound.frames} frames are there.")
    return samples, rate


def _cause(error: Any) -> str:
    """The reason in an operating system's or libsndfile's error, without the path that the sentence names already."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(getattr(error, "error_string", error)).strip().rstrip(".").lower()
