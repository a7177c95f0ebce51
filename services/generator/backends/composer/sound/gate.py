"""Envelopes: how a key is pressed and let go."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.composer.sound.tone import Mono

RELEASE_END = 1.4
"""A release of ``r`` seconds has fallen by 60 dB after 1.4·r, where it is cut."""


def gate(frames: int, held: int, attack: int, release: int) -> Mono:
    """The curve that makes a note of a held tone: rising over ``attack`` frames, falling from frame ``held`` on.

    The rise is a quarter sine, at most half as long as the note; the fall is exponential and ends at zero.
    """
    curve = np.ones(frames, np.float32)
    rise = min(attack, max(1, held // 2), frames)
    if rise > 1:
        curve[:rise] = np.sin(np.linspace(0.0, np.pi / 2.0, rise, dtype=np.float32))
    if held < frames:
        fall = np.arange(frames - held, dtype=np.float32)
        tail = np.exp(fall * np.float32(-5.0 / max(release, 1)))
        end = min(len(tail), max(64, release // 8))
        tail[len(tail) - end :] *= np.linspace(1.0, 0.0, end, dtype=np.float32)
        curve[held:] *= tail
    return curve


def decay(times: NDArray[np.floating], seconds: float) -> NDArray[np.float64]:
    """Falling to 1/e in ``seconds``."""
    return np.asarray(np.exp(-times / max(seconds, 1e-4)), np.float64)


def onset(frames: int, rate: int, seconds: float) -> Mono:
    """A short rise from zero, so that a voice does not click."""
    curve = np.ones(frames, np.float32)
    rise = min(frames, max(2, round(seconds * rate)))
    curve[:rise] = 0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, rise, dtype=np.float32))
    return curve
