"""The mixer: plays one part after the other, sample by sample, and nothing else.

A *part* is a stretch of a source that repeats within its own bounds. A *change* says at which frame of the current part
the next one enters and over how many frames they overlap. What comes next is asked of a ``Lead`` at the very frame
at which a part begins, so the sound depends on frames alone: any block size and any split of calls gives the same bits.

In steady state a block is copied from the source and no array is allocated. An overlap is worked out whole, once, when
it begins: only so can its level be held under the ceiling with gain that moves slowly enough not to be heard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.player.samples import Source
from shared.units import Audio

CEILING = 0.85
"""Sample peak that an overlap keeps under: −1 dBTP with 0.4 dB for what lies between the samples."""
_CONTROL = 2_400
"""Frames between two control points of the overlap's gain: 50 ms."""
_SHORT = 2_400
"""Overlaps up to here are joins rather than fades: both sides resemble each other, and linear gains keep the level."""


@dataclass(frozen=True, slots=True)
class Part:
    """``source`` from frame ``begin`` on; at ``high`` it goes on at ``low``."""

    source: Source
    begin: int
    low: int
    high: int
    gain: float = 1.0
    origin: int = 0
    """The frame of the loop's file that lies at frame 0 of ``source``."""

    def place(self, offset: int) -> int:
        """The frame of ``source`` that sounds ``offset`` frames into the part."""
        at = self.begin + offset
        return at if at < self.high else self.low + (at - self.high) % (self.high - self.low)

    def read_into(self, out: Audio, offset: int) -> None:
        """Fill ``out`` with what sounds from ``offset`` on, wrapping as often as it takes."""
        done = 0
        while done < len(out):
            at = self.place(offset + done)
            count = min(len(out) - done, self.high - at)
            self.source.read_into(out[done : done + count], at)
            done += count
        if self.gain != 1.0:
            np.multiply(out, np.float32(self.gain), out=out)


@dataclass(frozen=True, slots=True)
class Change:
    """Where the next part enters: ``at`` frames into the current one, which goes on below it for ``overlap`` frames."""

    at: int
    part: Part
    overlap: int = 0


class Lead(Protocol):
    """Decides what sounds next."""

    def entered(self, change: Change | None) -> Change:
        """``change`` is made at this frame (None: the very first call); the change after it, counted from it."""
        ...


def gains(frames: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gains of the leaving and the entering part, shape=(frames, 1).

    Equal power, squares adding up to one, for a fade; equal gain, adding up to one, for a short join.
    """
    way = (np.arange(frames, dtype=np.float64)[:, None] + 0.5) / max(frames, 1)
    if frames <= _SHORT:
        return (1.0 - way).astype(np.float32), way.astype(np.float32)
    return np.cos(way * (np.pi / 2)).astype(np.float32), np.sin(way * (np.pi / 2)).astype(np.float32)


def overlap_of(leaving: Part, at: int, entering: Part, frames: int) -> Audio:
    """The ``frames`` in which both parts sound, shape=(frames, 2), crossfaded (see `gains`) and held under `CEILING`.

    Where the sum would exceed the ceiling the gain is the least that any point within 50 ms needs, joined by straight
    lines; it is 1 at both ends, where one part sounds alone.
    """
    first = np.empty((frames, 2), np.float32)
    second = np.empty((frames, 2), np.float32)
    leaving.read_into(first, at)
    entering.read_into(second, 0)
    fall, rise = gains(frames)
    first *= fall
    second *= rise
    first += second
    peaks = np.array([np.abs(first[start : start + _CONTROL]).max() for start in range(0, frames, _CONTROL)])
    if frames > _SHORT and peaks.max() > CEILING:
        need = np.minimum(1.0, CEILING / np.maximum(peaks, 1e-9))
        held = np.ones(len(need) + 1)
        held[:-1] = need
        held[1:] = np.minimum(held[1:], need)  # a control point serves the stretch before it and the one after
        held[0] = held[-1] = 1.0
        points = np.minimum(np.arange(len(held)) * _CONTROL, frames)
        first *= np.interp(np.arange(frames), points, held).astype(np.float32)[:, None]
    return first


class Mixer:
    """Renders the programme. Owned by one thread; every method acts at the current frame."""

    def __init__(self, lead: Lead) -> None:
        self._lead = lead
        self._change = lead.entered(None)
        self._part = self._change.part
        self._overlap: Audio | None = None
        self._offset = 0
        self.frames = 0
        """Frames rendered since the beginning."""
        self._enter(0)

    @property
    def part(self) -> Part:
        return self._part

    @property
    def offset(self) -> int:
        """Frames since the current part began."""
        return self._offset

    @property
    def change(self) -> Change:
        """What comes next."""
        return self._change

    @property
    def overlapping(self) -> int:
        """Frames until the overlap that is under way ends; 0 where none is."""
        return 0 if self._overlap is None else max(0, len(self._overlap) - self._offset)

    @property
    def frame(self) -> int:
        """Position in the current loop's file."""
        return self._part.origin + self._part.place(self._offset)

    def replan(self, change: Change) -> None:
        """Another change than the one foreseen; it must not lie behind the current frame nor in a running overlap."""
        if change.at < self._offset + self.overlapping:
            raise ValueError(f"A change at {change.at} lies behind frame {self._offset} or within an overlap")
        self._change = change

    def render(self, out: Audio) -> None:
        """Fill ``out`` [shape=(n, 2)] with the next ``n`` frames."""
        done = 0
        while done < len(out):
            if self._offset == self._change.at:
                self._enter(self._change.overlap)
            stop = self._change.at
            overlap = self._overlap
            if overlap is not None and self._offset < len(overlap):
                count = min(len(out) - done, stop - self._offset, len(overlap) - self._offset)
                np.copyto(out[done : done + count], overlap[self._offset : self._offset + count])
            else:
                self._overlap = None
                count = min(len(out) - done, stop - self._offset)
                self._part.read_into(out[done : done + count], self._offset)
            self._offset += count
            self.frames += count
            done += count

    def _enter(self, overlap: int) -> None:
        change = self._change
        self._overlap = overlap_of(self._part, self._offset, change.part, overlap) if overlap else None
        self._part = change.part
        self._offset = 0
        self._change = self._lead.entered(change)
        if self._change.at < max(1, overlap):
            raise ValueError(
                f"A change {self._change.at} frames after the last one falls into its overlap of {overlap}"
            )
