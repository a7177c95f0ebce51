"""Fourier transforms of real audio in single precision, and the sizes at which they are fast.

numpy takes the forward transform of float32 in double precision unless its result is scaled: several times the work. So
both ways are scaled here by the root of the length, and a spectrum's power is that of its samples (Parseval).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def spectrum(samples: NDArray[np.floating], length: int | None = None, axis: int = -1) -> NDArray[np.complexfloating]:
    """The spectrum of ``samples``, of ``length`` frames or all, along an axis."""
    return np.fft.rfft(samples, length, axis, "ortho")


def samples_of(spectrum: NDArray[np.complexfloating], length: int, axis: int = -1) -> NDArray[np.floating]:
    """The ``length`` samples of a spectrum."""
    return np.asarray(np.fft.irfft(spectrum, length, axis, "ortho"))


@lru_cache(maxsize=256)
def fast_size(count: int) -> int:
    """The least power of two, or 3, 5, 9, 15 or 25 times one, that is not below ``count``.

    FFTs of other sizes are slower: transforms of real signals take twice as long at 48,600, five times 3, as at 49,152.
    """
    return min(odd << max(0, -(-count // odd) - 1).bit_length() for odd in (1, 3, 5, 9, 15, 25))


def lag_products(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    """All products of the signals in ``rows``, ``(signals, count)``, with themselves, summed by lag: ``(count,)``."""
    count = rows.shape[1]
    size = fast_size(2 * count - 1)
    bins = spectrum(rows, size)
    power = (bins.real**2 + bins.imag**2).sum(axis=0)
    # An inverse transform of real numbers runs in double precision, one of complex ones does not.
    return np.asarray(size * np.fft.irfft(power.astype(np.result_type(bins)), size)[:count])
