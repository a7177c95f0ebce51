"""A whole clip held against the tempo and key that were asked for, where no loop is wanted of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.analyzer.conform import stretch_for
from services.analyzer.finder import search, study_clip
from services.analyzer.length import LengthWish
from services.analyzer.quality import check_request
from services.analyzer.records import Rejection
from shared.units import Audio


@dataclass(frozen=True)
class Measured:
    """A clip, brought to the asked tempo where it was near, and what was measured of it; ``None`` where unsure."""

    samples: Audio
    bpm: float | None = None
    key: str | None = None
    stretch: float = 1.0


def measure_clip(audio: Audio, sample_rate: int, bpm: float | None, key: str | None) -> Measured | Rejection:
    """A clip as it was asked for, or the figures of how it is not.

    Parameters
    ----------
    audio : float32 array [shape=(frames, channels)]
    bpm, key : what was asked for
    """
    study = study_clip(audio, sample_rate)
    if isinstance(study, Rejection):
        return study
    found = search(study, LengthWish())
    if isinstance(found, Rejection):
        return Measured(audio)
    fault = check_request(found.metre, found.key, bpm, key)
    if fault is not None:
        return fault
    stretch = stretch_for(found.metre, bpm)
    return Measured(
        audio if stretch == 1.0 else _stretched(audio, stretch),
        round(found.metre.bpm / stretch, 4) if found.metre is not None else None,
        found.key.name if found.key is not None else None,
        stretch,
    )


def _stretched(audio: Audio, stretch: float) -> Audio:
    from services.analyzer.transitions.stretch import stretched

    def read(start: int, count: int) -> Audio:
        out = np.zeros((count, audio.shape[1]), np.float32)
        first, last = max(0, start), min(len(audio), start + count)
        out[first - start : last - start] = audio[first:last]
        return out

    return stretched(read, lambda at: at / stretch, round(len(audio) * stretch))
