"""Pitch classes over time, from the tones that stand out of the spectrum: drums leave no trace in them."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from services.analyzer.sound import Floats
from shared.transform import spectrum

LOWEST_HZ: Final = 60.0
HIGHEST_HZ: Final = 2_200.0
NEIGHBOURS: Final = 12
"""Bins on either side whose mean a tone must exceed."""
PROMINENCE: Final = 1.5
BLOCK: Final = 32
"""Moments that are transformed together: they stay in the processor's cache."""


def pitch_classes(low: Floats, rate: float, first: float, step: float, count: int) -> Floats:
    """Strength of the twelve pitch classes from C in ``count`` moments of ``step`` samples from ``first`` on.

    Returns
    -------
    float32 array [shape=(count, 12)]: sums of the roots of the amplitudes of spectral peaks.
    """
    # Half the rate holds every tone that counts.
    low = low[: len(low) // 2 * 2].reshape(-1, 2) @ np.full(2, 0.5, np.float32)
    rate, first, step = rate / 2, first / 2, step / 2
    width = max(64, round(step))
    size = max(2_048, 1 << (width - 1).bit_length())
    starts = np.round(first + step * np.arange(count)).astype(int)
    before, after = max(0, -int(starts[0])), max(0, int(starts[-1]) + width - len(low))
    padded = np.concatenate([np.zeros(before, np.float32), low, np.zeros(after, np.float32)])
    rows = np.stack([padded[start : start + width] for start in starts + before])
    rows *= (np.sqrt(size) * np.hanning(width)).astype(np.float32)
    return np.concatenate([_tones(rows[first : first + BLOCK], size, rate) for first in range(0, count, BLOCK)])


def _tones(rows: Floats, size: int, rate: float) -> Floats:
    """Strength of the pitch classes in windows of samples, ``(rows, 12)``."""
    classes, last = _classes(size, rate)
    bins = spectrum(rows, size)[:, : last + NEIGHBOURS + 1]
    amplitude = np.sqrt(bins.real**2 + bins.imag**2)
    sums = np.cumsum(amplitude, axis=1)
    # The lowest bins have too few neighbours; no tone that counts lies there.
    around = sums[:, 2 * NEIGHBOURS + 1 :] - sums[:, : -2 * NEIGHBOURS - 1]
    around *= np.float32(PROMINENCE / (2 * NEIGHBOURS + 1))
    middle = amplitude[:, NEIGHBOURS + 1 : last + 1]
    below, above = amplitude[:, NEIGHBOURS:last], amplitude[:, NEIGHBOURS + 2 : last + 2]
    peak = (middle >= below) & (middle > above) & (middle > around)
    return np.asarray(np.sqrt(middle * peak) @ classes, np.float32)


@lru_cache(maxsize=8)
def _classes(size: int, rate: float) -> tuple[Floats, int]:
    """Which bin belongs to which class, ``(bins, 12)``, from the first with neighbours to the last that counts."""
    bins = np.fft.rfftfreq(size, 1 / rate)
    last = min(int(np.searchsorted(bins, HIGHEST_HZ)), len(bins) - NEIGHBOURS - 2)
    bins = bins[NEIGHBOURS + 1 : last + 1]
    pitch = np.round(12 * np.log2(np.maximum(bins, 1) / 440)).astype(int) + 9
    inside = bins >= LOWEST_HZ
    return np.stack([(pitch % 12 == note) & inside for note in range(12)], axis=1).astype(np.float32), last
