"""Whether a generated clip is music that a listener would want: each fault is a typed rejection with its figure."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.analyzer.conform import FARTHEST, SURE, distance
from services.analyzer.features import Features
from services.analyzer.key import related
from services.analyzer.records import Key, Metre, Rejection
from services.analyzer.sound import Sound

CLIPPED_SHARE: Final = 0.004
"""Samples in runs at full level; a limited master has some, a broken clip has many (sign of a square wave)."""
DYING_DB: Final = 24.0
STUCK_S: Final = 0.30
STUCK_RATIO: Final = 0.10
STUCK_CHANGE: Final = 0.5
"""Squared distance of feature vectors within a fragment, so that a steady tone is not called a stuck one."""


def check_clip(sound: Sound, features: Features) -> Rejection | None:
    """Faults of the whole clip, before any loop is sought."""
    return _clipping(sound) or _dying(sound) or _stuck(features)


def check_request(metre: Metre | None, key: Key | None, bpm: float | None, wanted: str | None) -> Rejection | None:
    """Whether the loop has the tempo and the key that were asked for; what is uncertain is let pass."""
    if bpm is not None and metre is not None and metre.confidence > SURE and abs(distance(metre.bpm, bpm)) > FARTHEST:
        return Rejection(
            f"This clip has {metre.bpm:.0f} beats a minute where {bpm:.0f} were asked for.",
            "wrong-tempo",
            {"bpm": metre.bpm, "asked_bpm": bpm},
        )
    if wanted and key is not None and key.confidence > SURE and not related(key.name, wanted):
        return Rejection(
            f"This clip is in {key.name} where {wanted} was asked for.", "wrong-key", {"confidence": key.confidence}
        )
    return None


def _clipping(sound: Sound) -> Rejection | None:
    peaks = np.abs(sound.audio).max(axis=1)
    full = peaks >= 0.999 * float(peaks.max())
    # Three in a row at the very top is a flattened crest; one is a peak.
    share = float((full[2:] & full[1:-1] & full[:-2]).mean())
    if share <= CLIPPED_SHARE:
        return None
    return Rejection(f"This clip is clipped: {share:.1%} of it lies at full level.", "clipping", {"share": share})


def _dying(sound: Sound) -> Rejection | None:
    third = len(sound.low) // 3
    powers = [float(np.dot(part, part)) for part in (sound.low[at : at + third] for at in (0, third, 2 * third))]
    fall = 10 * float(np.log10((max(powers[:2]) + 1e-9) / (powers[2] + 1e-9)))
    if fall <= DYING_DB:
        return None
    return Rejection(f"This clip dies away: its last third is {fall:.0f} dB quieter.", "dies-away", {"fall_db": fall})


def _stuck(features: Features) -> Rejection | None:
    """A model that hangs repeats a fragment of a fraction of a second: change within it, none from one to the next."""
    vectors = features.vectors
    longest = min(int(STUCK_S * features.rate), len(vectors) // 4)
    apart = [float(((vectors[lag:] - vectors[:-lag]) ** 2).sum(axis=1).mean()) for lag in range(1, longest + 1)]
    for lag in range(2, longest + 1):
        ratio = apart[lag - 1] / (max(apart[: lag - 1]) + 1e-9)
        if ratio < STUCK_RATIO and max(apart[: lag - 1]) > STUCK_CHANGE:
            seconds = lag / features.rate
            return Rejection(
                f"This clip hangs: a fragment of {seconds:.2f} s repeats all through it.",
                "stuck",
                {"fragment_s": seconds, "ratio": ratio},
            )
    return None
