"""A loop brought to a whole number of beats a minute, for work in a studio: still a loop, to the sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.errors import UsageError
from shared.units import Audio

UNHEARD_CENTS: Final = 3.0
"""A change of pitch that nobody hears: up to here the loop is resampled, which leaves every attack as it was."""
LEAD: Final = 4_096
"""Frames before the first downbeat over which both ends of a stretched loop are blended."""
_PEAK: Final = 10 ** (-1.0 / 20)


@dataclass(frozen=True)
class Conformed:
    """What a loop of so many quarter notes is at a whole tempo."""

    bpm: int
    frames: int


def conformed(frames: int, rate: int, bpm: float | None) -> Conformed:
    """The nearest whole tempo, and the loop's length at it.

    Parameters
    ----------
    bpm : quarter notes a minute, as the analysis tells; the loop's own length tells it to the sample

    Raises
    ------
    UsageError
        The loop has no tempo.
    """
    halves = round(2 * frames / rate * bpm / 60.0) if bpm else 0
    if not bpm or not halves:
        raise UsageError("This loop has no clear tempo, so it conforms to none: leave --conform out.")
    exact = halves / 2 * 60.0 * rate / frames
    whole = max(1, math.floor(exact + 0.5))
    return Conformed(whole, round(halves / 2 * 60.0 * rate / whole))


def conform(one: Audio, frames: int) -> Audio:
    """One pass made ``frames`` long at its own pitch; its last frame is still followed by its first.

    Parameters
    ----------
    one : float32 [shape=(n, 2)]
        From its first downbeat on.
    """
    if frames == len(one):
        return one
    from services.analyzer.resampling import resample_loop
    from shared.audio_files import snap_to_grid

    cents = abs(1_200.0 * math.log2(len(one) / frames))
    made = resample_loop(one, frames) if cents <= UNHEARD_CENTS else _stretched(one, frames)
    peak, before = float(np.abs(made).max(initial=0.0)), float(np.abs(one).max(initial=0.0))
    limit = max(_PEAK, before)
    return snap_to_grid(made * np.float32(limit / peak) if peak > limit else made)


def _stretched(one: Audio, frames: int) -> Audio:
    """Stretched from a little before its first downbeat to its end, which passes into what was before the downbeat."""
    from services.analyzer.seam import crossfade
    from services.analyzer.transitions.stretch import stretched

    lead = min(LEAD, frames // 4)

    def read(start: int, count: int) -> Audio:
        return np.take(one, np.arange(start, start + count), axis=0, mode="wrap")

    made = stretched(read, lambda at: (at - lead) * (len(one) / frames), lead + frames)
    body = made[lead:].copy()
    body[-lead:] = crossfade(body[-lead:], made[:lead])
    return body
