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
    """The least product of powers of 2, 3 and 5 that is not below ``count``: FFTs of other sizes are slow."""
    best = 1 << max(0, count - 1).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            size = three << max(0, -(-count // three) - 1).bit_length()
            if count <= size < best:
                best = size
            three *= 3
        five *= 5
    return best
