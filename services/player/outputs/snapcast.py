"""Feeds a Snapcast server's pipe source: ``pipe:///path?name=station&sampleformat=48000:16:2&mode=create``."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

import numpy as np

from shared.errors import OutputError
from shared.units import Audio


class SnapcastOutput:
    """Writes s16le into a fifo without ever waiting; with nobody reading, the first 64 KiB stay, the rest is dropped.

    It has no pace of its own: it takes what another output paces. The fifo is made where there is none.

    Raises
    ------
    OutputError
        The path is taken by something else or cannot be made.
    """

    driver = "snapcast"
    paced = False

    def __init__(self, path: Path) -> None:
        self.description = f"Snapcast through {path}"
        self._path = path
        self._descriptor = -1
        self._left = b""
        self.dropped = 0
        """Blocks that found the pipe full."""
        try:
            with contextlib.suppress(FileExistsError):
                os.mkfifo(path, 0o644)
            if not stat.S_ISFIFO(path.stat().st_mode):
                raise OutputError(f"{path} is no fifo: name another path for Snapcast, or remove the file.")
            # Open for reading too, so that opening does not wait for a reader and losing one is no error.
            self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise OutputError(f"The fifo {path} cannot be opened ({error.strerror}): name another path.") from error

    @property
    def latency_s(self) -> float:
        return 0.0

    def write(self, block: Audio) -> bool:
        if self._descriptor < 0:
            raise OutputError(f"The fifo {self._path} is closed.")
        try:
            # A reader is owed whole frames: what was cut off goes first, and a block goes wholly or not at all.
            if self._left:
                self._left = self._left[os.write(self._descriptor, self._left) :]
            if not self._left:
                samples = np.clip(np.rint(block * np.float32(32_768.0)), -32_768.0, 32_767.0)
                data = samples.astype("<i2").tobytes()
                self._left = data[os.write(self._descriptor, data) :]
                return True
        except BlockingIOError:
            pass  # nobody reads, or not fast enough
        except OSError as error:
            raise OutputError(f"The fifo {self._path} was lost ({error.strerror}).") from error
        self.dropped += 1
        return False

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
