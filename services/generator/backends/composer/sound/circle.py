"""A section as a circle: linear processing that wraps exactly.

A loop has no beginning. Filtered by overlap-save with the section's own end before its start, the result is the steady
state of the loop going round, to the sample, whatever its length; the transform's length is a fast one all the same.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.units import Audio

Spectrum: TypeAlias = NDArray[np.complexfloating]
"""``(bins, channels)``."""


def fast_length(frames: int) -> int:
    """The smallest of 4, 5, 6 and 7 times a power of two that is not below ``frames``.

    Few lengths, because the transform keeps tables for each length that it has met.
    """
    power = 1 << max(0, (max(frames, 8) - 1).bit_length() - 3)
    return next(factor * power for factor in (4, 5, 6, 7, 8) if factor * power >= frames)


class Circle:
    """Fourier transforms of audio that goes round after ``frames`` frames.

    ``reach`` is the longest impulse response, in frames, that will be applied; responses without phase shift look ahead
    as well: they have an eighth of a second at the other end.
    """

    def __init__(self, frames: int, reach: int, rate: int) -> None:
        self.frames = frames
        self.rate = rate
        self.run_out = rate // 8
        self.length = fast_length(frames + reach + self.run_out)
        self.run_in = self.length - frames - self.run_out

    @property
    def hertz(self) -> NDArray[np.float64]:
        """The frequency of each bin."""
        return np.asarray(np.fft.rfftfreq(self.length, 1.0 / self.rate), np.float64)

    def spectrum(self, audio: Audio) -> Spectrum:
        """Of audio ``(frames, channels)``, with as much of its end before and its start behind as there is room for."""
        wrapped = np.empty((audio.shape[1], self.length), np.float32)
        end = self.run_in + self.frames
        wrapped[:, self.run_in : end] = audio.T
        filled = self.run_in
        while filled > 0:
            piece = min(filled, self.frames)
            wrapped[:, filled - piece : filled] = audio[self.frames - piece :].T
            filled -= piece
        while end < self.length:
            piece = min(self.length - end, self.frames)
            wrapped[:, end : end + piece] = audio[:piece].T
            end += piece
        return np.fft.rfft(wrapped, axis=1).T

    def response(self, impulse: Audio) -> Spectrum:
        """The spectrum of an impulse response ``(n, channels)``."""
        return np.fft.rfft(np.ascontiguousarray(impulse.T), self.length, axis=1).T

    def audio(self, spectrum: Spectrum) -> Audio:
        """Back to ``(frames, channels)``."""
        wrapped = np.fft.irfft(np.ascontiguousarray(spectrum.T), self.length, axis=1)
        return np.ascontiguousarray(wrapped[:, self.run_in : self.run_in + self.frames].T, np.float32)


def high_pass(hertz: NDArray[np.float64], cutoff: float, order: int = 2) -> NDArray[np.float32]:
    """Gain of a Butterworth high-pass, without its phase shift."""
    with np.errstate(divide="ignore", over="ignore"):
        return (1.0 / np.sqrt(1.0 + (cutoff / np.maximum(hertz, 1e-9)) ** (2 * order))).astype(np.float32)


def low_pass(hertz: NDArray[np.float64], cutoff: float, order: int = 2) -> NDArray[np.float32]:
    """Gain of a Butterworth low-pass, without its phase shift."""
    return (1.0 / np.sqrt(1.0 + (hertz / cutoff) ** (2 * order))).astype(np.float32)


def shelf(hertz: NDArray[np.float64], corner: float, gain_db: float, *, high: bool) -> NDArray[np.float32]:
    """Gain of a shelf of first order: ``gain_db`` far beyond the corner, half of it there."""
    x = (hertz / corner) ** 2
    part = x / (1.0 + x) if high else 1.0 / (1.0 + x)
    return (10.0 ** (gain_db * part / 20.0)).astype(np.float32)
