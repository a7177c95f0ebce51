"""A loop's samples in memory: 24 bits each, a quarter less than float32, and the same numbers bit for bit.

Loops lie on the 24-bit grid (``shared.units.GRID_BITS``), so float32 holds each sample exactly and so do two planes:
the upper 16 bits and the lower 8. Reading allocates nothing.

The planes lie in chunks of a second. A `Pool` holds as many as a station needs from its first moment on, so that the
player is as large at the end of a day as at its beginning, whatever the lengths of what it plays.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shared.units import GRID_BITS, STATION_CHANNELS, Audio

CHUNK = 48_000
"""Frames of a chunk; it takes 288 kB."""
_SCALE = np.float32(2.0 ** -(GRID_BITS - 1))
_TOP = 2 ** (GRID_BITS - 1)


class Source(Protocol):
    """Audio that can be read from any frame on."""

    @property
    def frames(self) -> int: ...

    def read_into(self, out: Audio, start: int) -> None:
        """Fill ``out`` [shape=(n, channels)] with frames ``start … start + n``, which all exist."""
        ...


class Chunk:
    """`CHUNK` frames of stereo: the upper 16 bits and the lower 8 of every sample."""

    __slots__ = ("lower", "upper")

    def __init__(self, upper: NDArray[np.int16], lower: NDArray[np.uint8]) -> None:
        self.upper = upper
        self.lower = lower

    @classmethod
    def new(cls) -> Chunk:
        return cls(np.zeros((CHUNK, STATION_CHANNELS), np.int16), np.zeros((CHUNK, STATION_CHANNELS), np.uint8))


class Pool:
    """Memory for ``chunks`` chunks, taken at once and never given back.

    More may be lent than there are; those are made when they are asked for and go when they come back. ``take`` and
    ``give`` may be called from any thread.
    """

    def __init__(self, chunks: int = 0) -> None:
        upper = np.empty((chunks, CHUNK, STATION_CHANNELS), np.int16)
        lower = np.empty((chunks, CHUNK, STATION_CHANNELS), np.uint8)
        upper.fill(0)  # the system hands a page out when it is first written to: before the music, not during it
        lower.fill(0)
        self._own = [Chunk(upper[number], lower[number]) for number in range(chunks)]
        self._free = list(self._own)

    @property
    def free(self) -> int:
        return len(self._free)

    def take(self, count: int) -> list[Chunk]:
        """``count`` chunks, of any content."""
        taken: list[Chunk] = []
        while len(taken) < count:
            try:
                taken.append(self._free.pop())  # one step of the interpreter: threads need no lock
            except IndexError:
                taken.append(Chunk.new())
        return taken

    def give(self, chunks: Sequence[Chunk]) -> None:
        """Chunks that nobody reads any more."""
        self._free += [chunk for chunk in chunks if chunk.upper.base is not None]


class Samples:
    """Stereo on the 24-bit grid as a `Source`. Samples off the grid are rounded to it, those beyond ±1 held there.

    Silent until written to. The chunks go back to ``pool`` with the last reference to the object.
    """

    __slots__ = ("__weakref__", "_chunks", "_frames", "_scratch")

    def __init__(self, frames: int, pool: Pool | None = None) -> None:
        pool = pool or Pool()
        self._frames = frames
        self._chunks = pool.take(-(-frames // CHUNK))
        for chunk in self._chunks:
            chunk.upper.fill(0)
            chunk.lower.fill(0)
        self._scratch = np.empty((2048, STATION_CHANNELS), np.float32)
        weakref.finalize(self, pool.give, self._chunks).atexit = False

    @classmethod
    def of(cls, audio: Audio, pool: Pool | None = None) -> Samples:
        """Hold ``audio`` [shape=(frames, 2)]."""
        samples = cls(len(audio), pool)
        samples.write(audio, 0)
        return samples

    @property
    def frames(self) -> int:
        return self._frames

    def write(self, audio: Audio, start: int) -> None:
        """Put ``audio`` at frame ``start``, while the loop is being read from its file."""
        done = 0
        while done < len(audio):
            chunk, at = divmod(start + done, CHUNK)
            part = audio[done : done + CHUNK - at]
            whole = np.clip(np.rint(part.astype(np.float64) * _TOP), -_TOP, _TOP - 1).astype(np.int32)
            self._chunks[chunk].upper[at : at + len(part)] = whole >> 8
            self._chunks[chunk].lower[at : at + len(part)] = whole & 0xFF
            done += len(part)

    def audio(self) -> Audio:
        """All of it as float32, shape=(frames, 2)."""
        whole = np.empty((self._frames, STATION_CHANNELS), np.float32)
        self.read_into(whole, 0)
        return whole

    def read_into(self, out: Audio, start: int) -> None:
        done = 0
        while done < len(out):
            number, at = divmod(start + done, CHUNK)
            chunk = self._chunks[number]
            part = out[done : done + min(len(self._scratch), CHUNK - at)]
            lower = self._scratch[: len(part)]
            np.copyto(part, chunk.upper[at : at + len(part)])
            np.multiply(part, np.float32(256), out=part)
            np.copyto(lower, chunk.lower[at : at + len(part)])
            np.add(part, lower, out=part)
            np.multiply(part, _SCALE, out=part)
            done += len(part)
