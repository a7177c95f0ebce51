"""Loudness and true peak by ITU-R BS.1770-4, and a limiter that keeps the latter.

The K-weighting is done in the frequency domain with the standard's two biquads, redrawn for any rate; no filter runs
sample by sample. A loop is measured as what it is, a circle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.analyzer.sound import Doubles, Floats
from shared.k_weighting import k_response
from shared.units import Audio

BLOCK_S: Final = 0.4
OVERLAP: Final = 4
ABSOLUTE_GATE: Final = -70.0
RELATIVE_GATE: Final = -10.0
OVERSAMPLING: Final = 8
LOOKAHEAD_S: Final = 0.003
BLOCK: Final = 1_024
TAPS: Final = 24
STEP: Final = 64
"""Frames between two points of a power curve: 1.3 ms at 48 kHz."""
PIECE: Final = 1 << 19
"""Frames of one transform: 10.9 s at 48 kHz, of which 0.7 s on either side are there for the filter's memory."""


@dataclass(frozen=True)
class PowerCurve:
    """Running sum of a loop's K-weighted power over all channels: what every level here is read from.

    Kept at every ``STEP``-th frame and read in between along straight lines, so that minutes of music stay small.
    """

    sums: Doubles
    """``(steps + 1,)``, rising from 0."""
    frames: int

    def between(self, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> Doubles:
        """Mean power between pairs of frames."""
        return np.asarray((self._at(ends) - self._at(starts)) / np.maximum(1, ends - starts))

    def scaled(self, gain: float) -> PowerCurve:
        """The curve of the same music, ``gain`` times as large."""
        return PowerCurve(self.sums * gain**2, self.frames)

    def _at(self, frames: NDArray[np.intp]) -> Doubles:
        laps, rest = np.divmod(frames, self.frames)
        steps = np.minimum(np.arange(len(self.sums)) * STEP, self.frames)
        return np.asarray(np.interp(rest, steps, self.sums) + laps * self.sums[-1])


def power_curve(audio: Audio, rate: int) -> PowerCurve:
    """The power of ``audio`` ``(frames, channels)``, K-weighted."""
    frames = len(audio)
    starts = np.arange(0, frames, STEP)
    power = np.zeros(len(starts))
    for channel in range(audio.shape[1]):
        for start, weighted in _weighted_pieces(np.ascontiguousarray(audio[:, channel]), rate):
            first, last = start // STEP, -(-(start + len(weighted)) // STEP)
            inside = starts[first:last] - start
            power[first:last] += np.add.reduceat(np.square(weighted, dtype=np.float64), inside)
    return PowerCurve(np.concatenate([[0.0], np.cumsum(power)]), frames)


def integrated(curve: PowerCurve, rate: int) -> float:
    """Gated loudness in LUFS; −70 for silence. Under 0.4 s the whole is one block."""
    block = min(curve.frames, round(BLOCK_S * rate))
    at = np.arange(0, curve.frames - block + 1, max(1, round(BLOCK_S / OVERLAP * rate)))
    powers = curve.between(at, at + block)
    loud = powers[_lufs(powers) > ABSOLUTE_GATE]
    if not len(loud):
        return ABSOLUTE_GATE
    kept = loud[_lufs(loud) > float(_lufs(loud.mean())) + RELATIVE_GATE]
    return max(ABSOLUTE_GATE, float(_lufs(kept.mean())))


def span_levels(curve: PowerCurve, edges: list[int]) -> tuple[float, ...]:
    """Level in LUFS between neighbouring ``edges`` of a loop (frames, rising; beyond its end they wrap)."""
    at = np.array(edges)
    powers = curve.between(at[:-1], at[1:])
    return tuple(round(float(level), 2) for level in np.maximum(_lufs(powers), ABSOLUTE_GATE))


def k_weighted(samples: Floats, rate: int) -> Floats:
    """One channel through BS.1770's shelf and high-pass, as if it repeated for ever."""
    return np.concatenate([weighted for _, weighted in _weighted_pieces(samples, rate)])


def _weighted_pieces(samples: Floats, rate: int) -> Iterator[tuple[int, Floats]]:
    """The K-weighted channel piece by piece, each with its first frame (a multiple of ``STEP``).

    Short audio is one transform. Longer audio is cut into transforms of one size, which overlap by more than the filter
    remembers, so that a song of minutes takes no more memory than a loop of seconds.
    """
    frames = len(samples)
    if frames <= PIECE:
        size = _fast_size(frames)
        yield 0, _filtered(samples, size, rate)[:frames]
        return
    margin = PIECE // 16
    hop = PIECE - 2 * margin
    for start in range(0, frames, hop):
        around = np.take(samples, np.arange(start - margin, start - margin + PIECE), mode="wrap")
        yield start, _filtered(around, PIECE, rate)[margin : margin + min(hop, frames - start)]


def _filtered(samples: Floats, size: int, rate: int) -> Floats:
    spectrum = np.fft.rfft(samples, size)
    spectrum *= k_response(size, rate)
    return np.asarray(np.fft.irfft(spectrum, size), np.float32)


def true_peak(audio: Audio) -> float:
    """The largest level between the samples, as a ratio to full scale (eight times oversampled; the
    standard asks for four, which reads up to 0.7 dB too little at the top of the band).

    Only where a block's own samples come near the largest so far can the signal between them exceed it.
    """
    best = float(np.abs(audio).max(initial=0.0))
    for channel in range(audio.shape[1]):
        for start in _loud_blocks(audio[:, channel], best):
            best = max(best, float(np.abs(_between(_wrapped(audio[:, channel], start))).max()))
    return best


def limit(audio: Audio, rate: int, ceiling: float) -> Audio:
    """Hold the true peak under ``ceiling`` (a ratio) with a look-ahead gain that wraps around like the loop does.

    The gain is the needed one, held over the look-ahead and smoothed by a Hann window: it never steps, and all channels
    share it.
    """
    out = audio
    for _ in range(3):
        needed = np.ones(len(out))
        for channel in range(out.shape[1]):
            for start in _loud_blocks(out[:, channel], ceiling):
                between = np.abs(_between(_wrapped(out[:, channel], start))).reshape(-1, OVERSAMPLING).max(axis=1)
                at = np.arange(start, start + len(between)) % len(out)
                np.minimum.at(needed, at, ceiling / np.maximum(between, ceiling))
        if needed.min() >= 1:
            return out
        reach = max(2, round(LOOKAHEAD_S * rate))
        held = _circular_minimum(needed, 2 * reach + 1)
        window = np.hanning(2 * reach + 3)[1:-1]
        gain = np.convolve(np.pad(held, reach, "wrap"), window / window.sum(), "valid")
        out = (out * gain[:, None]).astype(np.float32)
    peak = true_peak(out)
    return (out * np.float32(min(1.0, ceiling / peak))).astype(np.float32)


def decibels(ratio: float) -> float:
    return 20 * float(np.log10(max(ratio, 1e-10)))


def _lufs(power: Doubles | float) -> Doubles:
    return np.asarray(-0.691 + 10 * np.log10(np.maximum(power, 1e-12)))


def _circular_minimum(values: Doubles, width: int) -> Doubles:
    """The least value within ``width`` (odd) around each point of a circle."""
    # M. van Herk, "A fast algorithm for local minimum and maximum filters", Pattern Recognition Letters 13 (1992).
    wrapped = np.pad(values, width // 2, "wrap")
    count = -(-len(wrapped) // width) * width
    rows = np.pad(wrapped, (0, count - len(wrapped)), constant_values=1).reshape(-1, width)
    ahead = np.minimum.accumulate(rows, axis=1).ravel()
    behind = np.minimum.accumulate(rows[:, ::-1], axis=1)[:, ::-1].ravel()
    return np.asarray(np.minimum(behind[: len(values)], ahead[width - 1 : width - 1 + len(values)]))


def _loud_blocks(samples: Floats, level: float) -> list[int]:
    """Starts of the blocks between whose samples ``level`` may be exceeded: the interpolator gains 2 at most."""
    count = -(-len(samples) // BLOCK)
    padded = np.zeros(count * BLOCK, np.float32)
    padded[: len(samples)] = np.abs(samples)
    peaks = padded.reshape(count, BLOCK).max(axis=1)
    near = np.maximum(peaks, np.maximum(np.roll(peaks, 1), np.roll(peaks, -1)))
    loud = np.flatnonzero(near * float(_gain_bound()) > level)
    return [int(block) * BLOCK for block in loud[np.argsort(-near[loud], kind="stable")]]


def _wrapped(samples: Floats, start: int) -> Floats:
    """One block and the taps on both sides of it, the signal taken as a circle."""
    at = np.arange(start - TAPS, min(start + BLOCK, len(samples)) + TAPS) % len(samples)
    return samples[at]


def _between(samples: Floats) -> Doubles:
    """Eight values per sample, the first being the sample itself, for all but ``TAPS`` samples at both ends."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, 2 * TAPS)[1 : len(samples) - 2 * TAPS + 1]
    return np.asarray((windows @ _interpolator()).reshape(-1), np.float64)


@lru_cache(maxsize=1)
def _interpolator() -> Floats:
    """Sinc under a Kaiser window for the offsets 0, ⅛ … ⅞ of a sample, ``(48, 8)``."""
    offsets = np.arange(OVERSAMPLING) / OVERSAMPLING
    at = np.arange(2 * TAPS)[:, None] - (TAPS - 1) - offsets[None, :]
    taps = np.sinc(at) * np.i0(5 * np.sqrt(np.maximum(0, 1 - (at / (TAPS + 1)) ** 2))) / np.i0(5)
    return np.asarray(taps / taps.sum(axis=0), np.float32)


@lru_cache(maxsize=1)
def _gain_bound() -> float:
    return float(np.abs(_interpolator()).sum(axis=0).max())


def _fast_size(count: int) -> int:
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
