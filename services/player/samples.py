"""A loop's samples in memory: 24 bits each, a quarter less than float32, and the same numbers bit for bit.

Loops lie on the 24-bit grid (``shared.units.GRID_BITS``), so float32 holds each sample exactly and so do two planes:
the upper 16 bits and the lower 8. A loop on the 16-bit grid keeps no lower plane. Reading allocates nothing.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shared.units import GRID_BITS, Audio

_SCALE = np.float32(2.0 ** -(GRID_BITS - 1))
_CHUNK = 65_536


class Source(Protocol):
    """Audio that can be read from any frame on."""

    @property
    def frames(self) -> int: ...

    def read_into(self, out: Audio, start: int) -> None:
        """Fill ``out`` [shape=(n, channels)] with frames ``start … start + n``, which all exist."""
        ...


class Clip:
    """Float32 audio as a `Source`: overlaps, moves and rendered transitions."""

    __slots__ = ("audio",)

    def __init__(self, audio: Audio) -> None:
        self.audio = audio

    @property
    def frames(self) -> int:
        return len(self.audio)

    def read_into(self, out: Audio, start: int) -> None:
        np.copyto(out, self.audio[start : start + len(out)])


class Samples:
    """Audio on the 24-bit grid as a `Source`. Samples off the grid are rounded to it, those beyond ±1 held there."""

    __slots__ = ("_lower", "_scratch", "_upper")

    def __init__(self, frames: int, channels: int = 2) -> None:
        self._upper: NDArray[np.int16] = np.zeros((frames, channels), np.int16)
        self._lower: NDArray[np.uint8] | None = None
        self._scratch = np.empty((2048, channels), np.float32)

    @classmethod
    def of(cls, audio: Audio) -> Samples:
        """Hold ``audio`` [shape=(frames, channels)]."""
        samples = cls(*audio.shape)
        for start in range(0, len(audio), _CHUNK):
            samples.write(audio[start : start + _CHUNK], start)
        return samples

    @property
    def frames(self) -> int:
        return len(self._upper)

    @property
    def nbytes(self) -> int:
        return self._upper.nbytes + (0 if self._lower is None else self._lower.nbytes)

    def write(self, audio: Audio, start: int) -> None:
        """Put ``audio`` at frame ``start``, while the loop is being read from its file."""
        top = 2 ** (GRID_BITS - 1)
        whole = np.clip(np.rint(audio.astype(np.float64) * top), -top, top - 1).astype(np.int32)
        self._upper[start : start + len(audio)] = whole >> 8
        lower = (whole & 0xFF).astype(np.uint8)
        if self._lower is None and lower.any():
            self._lower = np.zeros(self._upper.shape, np.uint8)
        if self._lower is not None:
            self._lower[start : start + len(audio)] = lower

    def audio(self) -> Audio:
        """All of it as float32, shape=(frames, channels)."""
        whole = np.empty(self._upper.shape, np.float32)
        self.read_into(whole, 0)
        return whole

    def read_into(self, out: Audio, start: int) -> None:
        np.copyto(out, self._upper[start : start + len(out)])
        np.multiply(out, np.float32(256), out=out)
        if self._lower is not None:
            for at in range(0, len(out), len(self._scratch)):
                part = out[at : at + len(self._scratch)]
                lower = self._scratch[: len(part)]
                np.copyto(lower, self._lower[start + at : start + at + len(part)])
                np.add(part, lower, out=part)
        np.multiply(out, _SCALE, out=out)
