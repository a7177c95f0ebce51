"""A section as a circle: linear processing that wraps exactly.

A loop has no beginning. Filtered by overlap-save with the section's own end before its start, and its start behind its
end, the result is the steady state of the loop going round, to the sample, whatever its length. The work goes in blocks
that fit the processor's cache: faster than one transform of the whole, and in little memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.composer.sound.cache import TABLES
from shared.transform import samples_of, spectrum
from shared.units import Audio

_BLOCK = 1 << 15
_BATCH = 16


def going_round(audio: Audio, before: int, after: int) -> NDArray[np.float32]:
    """Audio ``(frames, channels)`` with what lies before and after it on its circle, as ``(channels, frames + …)``."""
    frames = len(audio)
    wrapped = np.empty((audio.shape[1], before + frames + after), np.float32)
    end = before + frames
    wrapped[:, before:end] = audio.T
    filled = before
    while filled > 0:
        piece = min(filled, frames)
        wrapped[:, filled - piece : filled] = audio[frames - piece :].T
        filled -= piece
    while end < wrapped.shape[1]:
        piece = min(wrapped.shape[1] - end, frames)
        wrapped[:, end : end + piece] = audio[:piece].T
        end += piece
    return wrapped


def filtered(audio: Audio, rate: int, gain: Callable[[NDArray[np.float64]], NDArray[np.float32]]) -> Audio:
    """Through a filter without phase shift, whose response reaches at most an eighth of a second to both sides.

    ``gain`` takes frequencies in hertz, and gives the gain at each: for all channels, or ``(channels, frequencies)``.
    """
    frames, channels = audio.shape
    edge = rate // 8
    hop = _BLOCK - 2 * edge
    blocks = -(-frames // hop)
    wrapped = going_round(audio, edge, blocks * hop - frames + edge)
    windows = np.lib.stride_tricks.sliding_window_view(wrapped, _BLOCK, axis=1)[:, ::hop]
    response = np.atleast_2d(gain(np.asarray(np.fft.rfftfreq(_BLOCK, 1.0 / rate), np.float64)))[:, None, :]
    out = np.empty((channels, blocks * hop), np.float32)
    for first in range(0, blocks, _BATCH):
        bins = spectrum(windows[:, first : first + _BATCH], axis=2)
        bins *= response
        done = samples_of(bins, _BLOCK, axis=2)[:, :, edge : edge + hop]
        out[:, first * hop : first * hop + done.shape[1] * hop] = done.reshape(channels, -1)
    del wrapped, windows
    return np.ascontiguousarray(out[:, :frames].T)


def convolved(audio: Audio, impulse: Audio, key: Hashable = None) -> Audio:
    """Circular convolution with an impulse response ``(n, channels)`` of any length, in equal partitions.

    Each channel has its own response, or all have one. ``key`` names the response for the cache of its spectra.
    (Partitioned overlap-save: T. Stockham, 1966; W. Gardner, 1995.)
    """
    frames, channels = audio.shape
    parts = -(-len(impulse) // _BLOCK)
    response = (
        TABLES.get(("partitions", key), lambda: _partitions(impulse)) if key is not None else _partitions(impulse)
    )
    blocks = -(-frames // _BLOCK)
    wrapped = going_round(audio, parts * _BLOCK, blocks * _BLOCK - frames)
    recent: deque[NDArray[np.complexfloating]] = deque(maxlen=parts)
    out = np.empty((channels, blocks * _BLOCK), np.float32)
    for block in range(1 - parts, blocks):
        start = (block - 1 + parts) * _BLOCK
        recent.appendleft(spectrum(wrapped[:, start : start + 2 * _BLOCK], axis=1))
        if block >= 0:
            total = recent[0] * response[0]
            for part in range(1, parts):
                total += recent[part] * response[part]
            out[:, block * _BLOCK : (block + 1) * _BLOCK] = samples_of(total, 2 * _BLOCK, axis=1)[:, _BLOCK:]
    del wrapped
    return np.ascontiguousarray(out[:, :frames].T)


def _partitions(impulse: Audio) -> NDArray[np.complexfloating]:
    parts = -(-len(impulse) // _BLOCK)
    padded = np.zeros((parts * _BLOCK, impulse.shape[1]), np.float32)
    padded[: len(impulse)] = impulse
    pieces = padded.reshape(parts, _BLOCK, -1).transpose(0, 2, 1)
    return spectrum(pieces, 2 * _BLOCK, axis=2) * np.float32(np.sqrt(2 * _BLOCK))


def high_pass(hertz: NDArray[np.floating], cutoff: float, order: int = 2) -> NDArray[np.float32]:
    """Gain of a Butterworth high-pass, without its phase shift."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(1.0 / np.sqrt(1.0 + (cutoff / np.maximum(hertz, 1e-9)) ** (2 * order)), np.float32)


def low_pass(hertz: NDArray[np.floating], cutoff: float, order: int = 2) -> NDArray[np.float32]:
    """Gain of a Butterworth low-pass, without its phase shift."""
    return np.asarray(1.0 / np.sqrt(1.0 + (hertz / cutoff) ** (2 * order)), np.float32)


def band_pass(hertz: NDArray[np.floating], low: float, high: float) -> NDArray[np.float32]:
    """Gain of a high-pass and a low-pass of second order, without their phase shift."""
    return high_pass(hertz, low) * low_pass(hertz, high)


def shelf(hertz: NDArray[np.float64], corner: float, gain_db: float, *, high: bool) -> NDArray[np.float32]:
    """Gain of a shelf of first order: ``gain_db`` far beyond the corner, half of it there."""
    x = (hertz / corner) ** 2
    part = x / (1.0 + x) if high else 1.0 / (1.0 + x)
    return (10.0 ** (gain_db * part / 20.0)).astype(np.float32)
