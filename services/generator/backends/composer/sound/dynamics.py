"""Levels in time: saturation, compression, phrasing, limiting. Followers are windows that go round with their section.

Followers work on steps of a few frames; gains in between are interpolated.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.composer.sound.circle import going_round
from services.generator.backends.composer.sound.loudness import between_samples
from shared.units import Audio

CEILING_DBTP: Final = -1.2
"""A fifth of a decibel below what is promised: the resampler of a player finds peaks of its own."""
SPREAD_DB: Final = 3.0
"""Between the softest and the loudest seconds of music with a beat; recorded music has four."""
_MOST_PHRASING: Final = 1.5
_STEP: Final = 16


def driven(section: Audio, amount: float) -> Audio:
    """Soft saturation, 0 to 1: its gain at low level is 1; what offset it makes is taken out."""
    drive = np.float32(0.55 + 1.1 * min(1.0, max(0.0, amount)))
    bent = np.tanh(section * drive) / drive
    return np.asarray(bent - bent.mean(axis=0), np.float32)


def phrasing(piece: Audio, rate: int) -> float:
    """How much further than it does the level of a phrase should move, in decibels a decibel."""
    whole = piece[:, 0] + piece[:, 1]
    seconds = max(2, len(whole) // rate)
    power = np.square(whole[: len(whole) // seconds * seconds].reshape(seconds, -1)).mean(axis=1)
    soft, loud = np.percentile(10.0 * np.log10(power + 1e-6), [5, 95])
    return float(np.clip(SPREAD_DB / max(0.1, loud - soft) - 1.0, 0.0, _MOST_PHRASING))


def glued(section: Audio, depth: float, more: float, rate: int) -> Audio:
    """Compression of both channels together: what stands out of the last second or so is taken back by ``depth``.

    The phrases' own rise and fall, which a compressor would flatten, is brought out by ``more`` instead, or evened out
    where that is negative.
    """
    edges = _edges(len(section))
    power = np.add.reduceat(section[:, 0] ** 2 + section[:, 1] ** 2, edges).astype(np.float64) + 1e-8
    step = rate / _STEP
    fast = _box(_box(power, round(0.030 * step)), round(0.080 * step))
    slow = _box(_box(power, round(0.700 * step)), round(0.700 * step))
    depth = min(1.0, max(0.0, depth)) * 0.6
    gain = np.maximum(fast / slow, 1.0) ** (-0.5 * depth)
    gain *= np.clip(slow / power.mean(), 0.2, 5.0) ** (0.5 * more)
    return np.asarray(section * _between(gain, len(section))[:, None], np.float32)


def limited(section: Audio, rate: int) -> Audio:
    """Under the ceiling, true peaks included: the gain falls 12 ms ahead of a peak and rises 12 ms behind it."""
    ceiling = 10.0 ** (CEILING_DBTP / 20.0)
    edge = 64
    wrapped = going_round(section, edge, edge)
    peak = np.zeros(len(section), np.float32)
    for channel in wrapped:
        if float(np.abs(channel).max()) > 0.6 * ceiling:
            np.maximum(peak, between_samples(channel, ceiling)[edge : edge + len(section)], out=peak)
    if float(peak.max()) <= ceiling:
        return section
    need = np.minimum(1.0, ceiling / np.maximum.reduceat(peak, _edges(len(section))).astype(np.float64))
    window = max(2, round(0.012 * rate / _STEP))
    gain = _box(_least(need, window + 1), window)
    return np.asarray(section * _between(np.minimum(gain, 1.0), len(section))[:, None], np.float32)


def _edges(frames: int) -> NDArray[np.intp]:
    """First frames of steps of about sixteen, evenly laid round the circle."""
    steps = max(1, frames // _STEP)
    return np.arange(steps, dtype=np.intp) * frames // steps


def _between(gain: NDArray[np.float64], frames: int) -> NDArray[np.float32]:
    """The gain of each frame, from that of each step's middle."""
    place = (np.arange(frames) + 0.5) * (len(gain) / frames) - 0.5
    return np.asarray(np.interp(place, np.arange(len(gain)), gain, period=len(gain)), np.float32)


def _box(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Mean over ``width`` values around each, going round."""
    width = max(1, min(width, len(values)))
    before = width // 2
    wrapped = np.concatenate([values[len(values) - before :], values, values[: width - before]])
    total = np.concatenate([[0.0], np.cumsum(wrapped)])
    return np.asarray((total[width : width + len(values)] - total[: len(values)]) / width)


def _least(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Minimum over ``width`` values to both sides of each, going round, by doubling windows."""
    reach = min(2 * width + 1, len(values))
    least = values
    span = 1
    while span < reach:
        step = min(span, reach - span)
        least = np.minimum(least, np.roll(least, -step))
        span += step
    return np.roll(least, reach // 2)
