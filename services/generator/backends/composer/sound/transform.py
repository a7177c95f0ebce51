"""Fourier transforms of real audio in single precision.

numpy takes the forward transform of float32 in double precision unless its result is scaled: three times the work. So
both ways are scaled here by the root of the length, and a spectrum's power is that of its samples (Parseval).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def spectrum(samples: NDArray[np.floating], length: int | None = None, axis: int = -1) -> NDArray[np.complexfloating]:
    """The spectrum of ``samples``, of ``length`` frames or all, along an axis."""
    return np.fft.rfft(samples, length, axis, "ortho")


def samples_of(spectrum: NDArray[np.complexfloating], length: int, axis: int = -1) -> NDArray[np.floating]:
    """The ``length`` samples of a spectrum."""
    return np.asarray(np.fft.irfft(spectrum, length, axis, "ortho"))
