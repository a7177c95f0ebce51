"""Records the programme to FLAC or WAV, in one file or one for each song."""

from __future__ import annotations

import itertools
from pathlib import Path

import soundfile

from shared.errors import OutputError
from shared.units import STATION_CHANNELS, STATION_RATE, Audio

_FORMATS = {".flac": "FLAC", ".wav": "WAV"}
_TROUBLE = (OSError, RuntimeError, AssertionError)
"""soundfile's errors are RuntimeErrors, and it asserts that all was written."""


class FileOutput:
    """Writes 24-bit sound as fast as it comes. The file has its name when it is closed, and `.part` until then.

    Nothing that is there is written over: a second recording of one name is ``name-2.flac``, and what a killed one left
    is given its name.

    Parameters
    ----------
    split
        A file for each song: ``name-001.flac``; ``next_song`` begins the next one.

    Raises
    ------
    OutputError
        Neither ``.flac`` nor ``.wav``, or the file cannot be made.
    """

    driver = "file"
    paced = False

    def __init__(self, path: Path, *, split: bool = False) -> None:
        if path.suffix.lower() not in _FORMATS:
            raise OutputError(f"{path} cannot be recorded to: name a .flac or a .wav file.")
        self._wish, self._split = path, split
        self.path = path
        """The file that is written now."""
        self._sound: soundfile.SoundFile | None = None
        self._open()

    @property
    def description(self) -> str:
        return f"recording to {self.path}"

    @property
    def latency_s(self) -> float:
        return 0.0

    def write(self, block: Audio) -> bool:
        if self._sound is None:
            raise OutputError(f"The recording {self.path} is closed.")
        try:
            self._sound.write(block)
        except _TROUBLE as error:
            raise OutputError(
                f"The recording {self.path} broke off ({_cause(error)}): free some disk space and begin another."
            ) from error
        return True

    def next_song(self) -> None:
        """The next block begins another song, and another file where the recording is split."""
        if self._split and self._sound is not None and self._sound.frames > 0:
            self.close()
            self._open()

    def close(self) -> None:
        sound, self._sound = self._sound, None
        if sound is None:
            return
        try:
            sound.close()
            _beside(self.path).replace(self.path)
        except _TROUBLE as error:
            raise OutputError(f"The recording {self.path} cannot be finished ({_cause(error)}).") from error

    def _open(self) -> None:
        try:
            self.path = self._free()
            self._sound = soundfile.SoundFile(
                _beside(self.path),
                "w",
                STATION_RATE,
                STATION_CHANNELS,
                subtype="PCM_24",
                format=_FORMATS[self.path.suffix.lower()],
            )
        except _TROUBLE as error:
            raise OutputError(
                f"{self._wish} cannot be recorded to ({_cause(error)}): choose another folder."
            ) from error

    def _free(self) -> Path:
        """The first name that nothing has yet."""
        for number in itertools.count(1):
            suffix = f"-{number:03}" if self._split else f"-{number}" if number > 1 else ""
            name = self._wish.with_stem(f"{self._wish.stem}{suffix}")
            if not name.exists() and _beside(name).exists():
                _beside(name).replace(name)
            if not name.exists():
                return name
        raise AssertionError("numbers do not end")


def _beside(name: Path) -> Path:
    return name.with_name(f".{name.name}.part")


def _cause(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).rstrip(".") or "the disk is full"
