"""Loudness and true peak by ITU-R BS.1770-4, and a limiter that keeps the latter.

The K-weighting is done in the frequency domain with the standard's two biquads, redrawn for any rate; no filter runs
sample by sample. A loop is measured as what it is, a circle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.analyzer.sound import Doubles, Floats
from shared.k_weighting import k_response
from shared.transform import fast_size, samples_of, spectrum
from shared.units import Audio

BLOCK_S: Final = 0.4
OVERLAP: Final = 4
ABSOLUTE_GATE: Final = -70.0
RELATIVE_GATE: Final = -10.0
BLOCK: Final = 2_048
"""Frames of one transform of the power: its bins lie close enough for the standard's high-pass."""
STEP: Final = 256
"""Frames between two points of a power curve: 5 ms at 48 kHz."""
AT_ONCE: Final = 32
"""Blocks that are transformed together: they stay in the processor's cache."""
OVERSAMPLING: Final = 8
TAPS: Final = 24
"""Samples on either side of a place between two samples, from which the signal there is read."""
PEAK_BLOCK: Final = 64
OVERSHOOT: Final = 1.5
"""By how much the signal between two samples may exceed all samples within ``PEAK_BLOCK`` of them: 3.5 dB."""
LOOKAHEAD_S: Final = 0.003


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
    """The power of ``audio`` ``(frames, channels)``, K-weighted.

    Weighted block by block, by Parseval's theorem; within a block the power lies as it does without weighting.
    """
    frames, channels = audio.shape
    weights = k_response(BLOCK, rate) ** 2 * np.float32(2)
    steps = np.zeros((-(-frames // BLOCK), BLOCK // STEP))
    for first in range(0, len(steps), AT_ONCE):
        part = audio[first * BLOCK : (first + AT_ONCE) * BLOCK]
        count = -(-len(part) // BLOCK)
        padded = np.zeros((channels, count * BLOCK), np.float32)
        padded[:, : len(part)] = part.T
        rows = padded.reshape(channels, count, BLOCK)
        bins = spectrum(rows)
        weighted = (bins.real**2 + bins.imag**2) @ weights
        plain = np.square(rows).reshape(channels, count, -1, STEP).sum(axis=3)
        share = plain / (plain.sum(axis=2, keepdims=True) + np.float32(1e-30))
        steps[first : first + count] = (share * weighted[:, :, None]).sum(axis=0)
    return PowerCurve(np.concatenate([[0.0], np.cumsum(steps)])[: -(-frames // STEP) + 1], frames)


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
    size = fast_size(len(samples))
    weighted = samples_of(spectrum(samples, size) * k_response(size, rate), size)
    return np.asarray(weighted[: len(samples)], np.float32)


def true_peak(audio: Audio) -> float:
    """The largest level between the samples, as a ratio to full scale (eight times oversampled; the
    standard asks for four, which reads up to 0.7 dB too little at the top of the band).
    """
    best = float(np.abs(audio).max(initial=0.0))
    for channel in range(audio.shape[1]):
        loud, near = _loud_blocks(audio[:, channel], best)
        for first in range(0, len(loud), AT_ONCE):
            # From the loudest on, until no block is left that could exceed what was found.
            if near[first] * OVERSHOOT <= best:
                break
            best = max(best, float(_between(audio[:, channel], loud[first : first + AT_ONCE]).max()))
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
            loud, _ = _loud_blocks(out[:, channel], ceiling)
            for first in range(0, len(loud), AT_ONCE):
                blocks = loud[first : first + AT_ONCE]
                between = _between(out[:, channel], blocks).max(axis=2)
                at = (blocks[:, None] * PEAK_BLOCK + np.arange(PEAK_BLOCK)) % len(out)
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


def _loud_blocks(samples: Floats, level: float) -> tuple[NDArray[np.intp], Floats]:
    """The blocks between whose samples ``level`` may be exceeded, loudest first, and the peaks in and beside them."""
    count = -(-len(samples) // PEAK_BLOCK)
    padded = np.zeros(count * PEAK_BLOCK, np.float32)
    padded[: len(samples)] = np.abs(samples)
    peaks = padded.reshape(count, PEAK_BLOCK).max(axis=1)
    near = np.maximum(peaks, np.maximum(np.roll(peaks, 1), np.roll(peaks, -1)))
    loud = np.flatnonzero(near * np.float32(OVERSHOOT) > level)
    loud = loud[np.argsort(-near[loud], kind="stable")]
    return loud, near[loud]


def _between(samples: Floats, blocks: NDArray[np.intp]) -> Floats:
    """Magnitudes at eight places per sample, the first being the sample itself; ``(blocks, PEAK_BLOCK, 8)``.

    The signal is taken as a circle.
    """
    reach = np.arange(1 - TAPS, PEAK_BLOCK + TAPS)
    rows = samples[(blocks[:, None] * PEAK_BLOCK + reach) % len(samples)]
    return np.asarray(np.abs(rows @ _interpolator()).reshape(len(blocks), PEAK_BLOCK, OVERSAMPLING))


@lru_cache(maxsize=1)
def _interpolator() -> Floats:
    """Sinc under a Kaiser window for the offsets 0, ⅛ … ⅞ of each sample of a block, as one matrix."""
    offsets = np.arange(OVERSAMPLING) / OVERSAMPLING
    at = np.arange(2 * TAPS)[:, None] - (TAPS - 1) - offsets[None, :]
    taps = np.sinc(at) * np.i0(5 * np.sqrt(np.maximum(0, 1 - (at / (TAPS + 1)) ** 2))) / np.i0(5)
    taps /= taps.sum(axis=0)
    matrix = np.zeros((PEAK_BLOCK + 2 * TAPS - 1, PEAK_BLOCK, OVERSAMPLING), np.float32)
    for sample in range(PEAK_BLOCK):
        matrix[sample : sample + 2 * TAPS, sample] = taps
    return matrix.reshape(len(matrix), -1)
