"""What goes into a file, as blocks: one pass of a loop from its downbeat, passes in a row, fades. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from shared.units import STATION_RATE, Audio

if TYPE_CHECKING:
    from shared.music import Loop, Section

BLOCK = STATION_RATE
"""Frames: a second."""


def section_of(loop: Loop, label: str = "") -> Section | None:
    """The section that is saved of a piece: the one of this label, else the first that is more than a fill."""
    if not loop.sections:
        return None
    longest = max(section.bars for section in loop.sections)
    whole = [
        section for section in loop.sections if section.bars * 2 > longest and not section.label.startswith("fill")
    ]
    whole = whole or list(loop.sections)
    return next((section for section in whole if section.label == label), whole[0])


def span_of(loop: Loop, section: Section | None) -> tuple[int, int]:
    """First frame and end of what is saved, in the loop's file."""
    return (section.start, section.end) if section is not None else (0, loop.frames)


def first_downbeat(loop: Loop, start: int, end: int) -> int:
    """The first downbeat of ``start … end``; ``start`` where none is known."""
    downbeats = loop.grid.downbeats if loop.grid is not None else ()
    return next((frame for frame in downbeats if start <= frame < end), start)


def one_pass(samples: Audio, loop: Loop, section: Section | None = None) -> Audio:
    """One pass beginning on a downbeat: its last frame is followed by its first.

    Parameters
    ----------
    samples : float32 [shape=(frames, channels)]
        The loop's file.
    """
    import numpy as np

    start, end = span_of(loop, section)
    return np.roll(samples[start:end], start - first_downbeat(loop, start, end), axis=0)


def repeated(one: Audio, passes: int) -> Iterator[Audio]:
    """So many passes, a second at a time."""
    for _ in range(passes):
        for start in range(0, len(one), BLOCK):
            yield one[start : start + BLOCK]


def cut(blocks: Iterable[Audio], frames: int) -> Iterator[Audio]:
    """The first ``frames`` of these blocks."""
    left = frames
    for block in blocks:
        yield block[:left]
        left -= len(block)
        if left <= 0:
            return


def faded(blocks: Iterable[Audio], frames: int, fade_in: int, fade_out: int) -> Iterator[Audio]:
    """The same, risen from silence over its first and fallen to it over its last frames, along raised cosines.

    Parameters
    ----------
    frames : of all blocks together
    """
    import numpy as np

    at = 0
    for block in blocks:
        place = np.arange(at, at + len(block), dtype=np.float64) + 0.5
        at += len(block)
        if fade_in < place[0] and place[-1] < frames - fade_out:
            yield block
            continue
        gain = np.ones(len(block))
        if fade_in:
            gain *= 0.5 - 0.5 * np.cos(np.pi * np.clip(place / fade_in, 0.0, 1.0))
        if fade_out:
            gain *= 0.5 - 0.5 * np.cos(np.pi * np.clip((frames - place) / fade_out, 0.0, 1.0))
        yield block * gain.astype(np.float32)[:, None]
