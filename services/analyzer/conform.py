"""A loop brought to the tempo that was asked for, where it is so near that the stretch is not noticed."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.analyzer.records import Metre
from services.analyzer.seam import bake
from shared.units import Audio

FARTHEST: Final = 0.06
"""Up to this part of the tempo a stretch passes for the performance itself."""
NEAREST: Final = 0.002
"""A loop that is so near is left as it is: a stretch, however small, costs some of its edge."""
SURE: Final = 0.6
"""Confidence of a metre from which its tempo is believed."""
_SEAM: Final = 2_048
"""Frames: the stretched sound comes round with other phases than it began with, and is blended over so many."""


def distance(measured: float, asked: float) -> float:
    """How much faster than measured the asked tempo is, as a part of it, after the best of halving and doubling."""
    return min((asked / (measured * factor) - 1 for factor in (0.5, 1.0, 2.0)), key=abs)


def stretch_for(metre: Metre | None, asked: float | None) -> float:
    """By how much a loop is to be lengthened so that it has the asked tempo; 1 where it is left as it is."""
    if metre is None or asked is None or metre.confidence <= SURE:
        return 1.0
    off = distance(metre.bpm, asked)
    return 1 / (1 + off) if NEAREST < abs(off) <= FARTHEST else 1.0


def stretched_loop(body: Audio, frames: int) -> Audio:
    """A loop in another length and the same pitch, float32 ``(frames, channels)``: it wraps as the first did."""
    from services.analyzer.transitions.stretch import stretched

    count = len(body)

    def read(start: int, wanted: int) -> Audio:
        return np.take(body, np.arange(start, start + wanted), axis=0, mode="wrap")

    whole = stretched(read, lambda at: (at - _SEAM) * (count / frames), _SEAM + frames)
    return bake(whole, _SEAM, _SEAM + frames, _SEAM)
