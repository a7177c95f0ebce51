"""Records the programme to FLAC or WAV, in one file or one for each song."""

from __future__ import annotations

from pathlib import Path

import soundfile

from shared.errors import OutputError
from shared.units import STATION_CHANNELS, STATION_RATE, Audio

_FORMATS = {".flac": "FLAC", ".wav": "WAV"}


class FileOutput:
    """Writes 24-bit sound as fast as it comes. The file has its name when it is closed, and `.part` until then.

    Parameters
    ----------
    split
        A file for each song: ``next_song`` begins ``name-002.flac`` and so on.

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
        self.description = f"recording to {path}"
        self.path = path
        self._split = split
        self._song = 1
        self._sound: soundfile.SoundFile | None = None
        self._open()

    @property
    def latency_s(self) -> float:
        return 0.0

    def write(self, block: Audio) -> bool:
        if self._sound is None:
            raise OutputError(f"The recording {self.path} is closed.")
        try:
            self._sound.write(block)
        except (OSError, RuntimeError) as error:
            raise OutputError(f"The recording {self.path} broke off ({error}): free some disk space.") from error
        return True

    def next_song(self) -> None:
        """The next block begins another song, and another file where the recording is split."""
        if self._split and self._sound is not None and self._sound.frames > 0:
            self.close()
            self._song += 1
            self._open()

    def close(self) -> None:
        sound, self._sound = self._sound, None
        if sound is None:
            return
        try:
            sound.close()
            self._beside.replace(self._name)
        except (OSError, RuntimeError) as error:
            raise OutputError(f"The recording {self._name} cannot be finished ({error}).") from error

    @property
    def _name(self) -> Path:
        return self.path.with_stem(f"{self.path.stem}-{self._song:03}") if self._split else self.path

    @property
    def _beside(self) -> Path:
        return self._name.with_name(f".{self._name.name}.part")

    def _open(self) -> None:
        try:
            self._sound = soundfile.SoundFile(
                self._beside,
                "w",
                STATION_RATE,
                STATION_CHANNELS,
                subtype="PCM_24",
                format=_FORMATS[self.path.suffix.lower()],
            )
        except (OSError, RuntimeError) as error:
            raise OutputError(f"{self.path} cannot be recorded to ({error}): choose another folder.") from error
