"""The finished sound: spectrum, width, warmth, glue, one loudness for the whole piece, no peak above the ceiling.

Every step goes round with its section: filters by ``Circle``, followers by windows that wrap, waveshapers have no
memory.
What is decided from measurement (equaliser, width, gain) is decided for the piece, so that sections keep their levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.composer.score import Space
from services.generator.backends.composer.sound.circle import Circle, high_pass, low_pass, shelf
from services.generator.backends.composer.sound.loudness import between_samples, integrated_loudness
from services.generator.backends.composer.sound.tone import noise
from shared.units import Audio

TARGET_LUFS: Final = -16.0
_WORKING_LUFS: Final = -17.0
"""Level at which saturation and glue work."""
CEILING_DBTP: Final = -1.2
"""A fifth of a decibel below what is promised: the resampler of a player finds peaks of its own."""

_CENTRES: Final = np.array(
    [31, 45, 63, 90, 125, 180, 250, 355, 500, 710, 1000, 1400, 2000, 2800, 4000, 5600, 8000, 11_300, 16_000], float
)
_TARGET_DB: Final = np.array(
    [-12, -5, -1, 0, -0.5, -1, -2, -3, -4.2, -5.7, -7.5, -9.5, -11.7, -14, -16.5, -19.5, -23, -27, -33], float
)
"""Power in half octaves, the mean of much recorded music; the equaliser goes part of the way towards it."""
_BASS_IS_MONO: Final = 170.0
_SPREAD_DB: Final = 3.0
"""Between the softest and the loudest seconds of music with a beat; recorded music has four."""
_MOST_PHRASING: Final = 1.5
_TOWARDS: Final = 0.55
_MOST_DB: Final = 4.5
_SIDE_DB: Final = (-9.0, -5.5)
"""Range of side against middle that the width is brought into."""


def master(mixes: Sequence[Audio], space: Space, rate: int, seed: int, *, beat: bool) -> list[Audio]:
    """Mastered sections of the same lengths, each an exact circle.

    ``mixes`` are the desk's sections, float32 ``(frames, 2)``. Music without a ``beat`` is left as even as it is.
    """
    circles = [Circle(len(mix), rate // 8, rate) for mix in mixes]
    power, middle, side = _spectrum(mixes, circles)
    if power.sum() < 1e-12:
        return [np.zeros_like(mix) for mix in mixes]
    curve_db = _equaliser(power, space)
    width = space.width * _width(middle, side * space.width**2, curve_db)
    shaped = [_shaped(mix, circle, curve_db, width, space) for mix, circle in zip(mixes, circles, strict=True)]
    gain = np.float32(10.0 ** ((_WORKING_LUFS - _loudness(shaped, rate)) / 20.0))
    for index, section in enumerate(shaped):
        worn = _worn(section * gain, space.lofi, rate, seed + index) if space.lofi > 0.0 else section * gain
        driven = _driven(worn, space.saturation)
        shaped[index] = driven - driven.mean(axis=0)
    phrasing = _phrasing(shaped, rate) if beat else 0.0
    shaped = [_glued(section, space.glue, phrasing, rate) for section in shaped]
    return _limited(shaped, rate)


def _spectrum(
    mixes: Sequence[Audio], circles: Sequence[Circle]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Power in half octaves of the piece: of both channels, of the middle and of the side."""
    totals = np.zeros((3, len(_CENTRES)))
    for mix, circle in zip(mixes, circles, strict=True):
        length = 1 << 13
        window = np.hanning(length).astype(np.float32)
        middle, side = (mix[:, 0] + mix[:, 1]) * 0.5, (mix[:, 0] - mix[:, 1]) * 0.5
        hertz = np.fft.rfftfreq(length, 1.0 / circle.rate)
        count = -(-2 * len(mix) // length)
        starts = [round(k * len(mix) / count) for k in range(count)]
        band = np.clip(np.round(2 * np.log2(np.maximum(hertz, 1.0) / _CENTRES[0])), 0, len(_CENTRES) - 1).astype(int)
        for row, channel in ((1, middle), (2, side)):
            blocks = np.stack([np.take(channel, np.arange(s, s + length), mode="wrap") for s in starts])
            bins = (np.abs(np.fft.rfft(blocks * window, axis=1)) ** 2).sum(axis=0)
            totals[row] += np.bincount(band, bins, len(_CENTRES))
    totals[0] = totals[1] + totals[2]
    return totals[0], totals[1], totals[2]


def _equaliser(power: NDArray[np.float64], space: Space) -> NDArray[np.float64]:
    """Decibels at ``_CENTRES``: part of the way to the target where anything is heard, and the style's tilt."""
    level = 10.0 * np.log10(power / power.max() + 1e-9)
    difference = _TARGET_DB - level
    present = np.clip((level + 50.0) / 15.0, 0.0, 1.0)
    difference -= np.average(difference, weights=present * ((_CENTRES > 60) & (_CENTRES < 9000)) + 1e-9)
    curve = np.clip(difference * _TOWARDS, -_MOST_DB - 2.0, _MOST_DB)
    curve = np.where(curve > 0.0, curve * present, curve)
    curve = np.convolve(np.pad(curve, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")
    octaves = np.log2(_CENTRES / 1000.0)
    curve += space.brightness_db * np.clip(octaves / 3.0, 0.0, 1.0)
    curve += space.warmth_db * np.clip(-octaves / 3.0, 0.0, 1.0) * np.clip((np.log2(_CENTRES) - 5.0) / 1.5, 0.0, 1.0)
    return np.asarray(curve)


def _width(middle: NDArray[np.float64], side: NDArray[np.float64], curve_db: NDArray[np.float64]) -> float:
    gain = 10.0 ** (curve_db / 10.0)
    ratio = 10.0 * np.log10(max(float((side * gain).sum()), 1e-12) / max(float((middle * gain).sum()), 1e-12))
    return float(10.0 ** (np.clip(np.clip(ratio, *_SIDE_DB) - ratio, -8.0, 12.0) / 20.0))


def _shaped(mix: Audio, circle: Circle, curve_db: NDArray[np.float64], width: float, space: Space) -> Audio:
    hertz = circle.hertz
    octave = np.log2(np.maximum(hertz, 20.0))
    gain = (10.0 ** (np.interp(octave, np.log2(_CENTRES), curve_db) / 20.0)).astype(np.float32)
    gain *= high_pass(hertz, 26.0, 2) * low_pass(hertz, 18_500.0, 4)
    gain[0] = 0.0
    if space.lofi > 0.0:
        gain *= low_pass(hertz, 15_000.0 * (0.36 ** min(1.0, space.lofi)), 2)
        gain *= high_pass(hertz, 30.0 + 40.0 * space.lofi, 2) * shelf(hertz, 250.0, 1.5 * space.lofi, high=False)
    spectrum = circle.spectrum(mix) * gain[:, None]
    middle = (spectrum[:, 0] + spectrum[:, 1]) * np.float32(0.5)
    side = (spectrum[:, 0] - spectrum[:, 1]) * (np.float32(0.5 * width) * high_pass(hertz, _BASS_IS_MONO, 5))
    spectrum[:, 0], spectrum[:, 1] = middle + side, middle - side
    return circle.audio(spectrum)


def _worn(section: Audio, amount: float, rate: int, seed: int) -> Audio:
    """A tape that wavers by a few cents, and hisses; both go round with the section."""
    frames = len(section)
    seconds = frames / rate
    turn = 2.0 * np.pi * np.arange(frames) / frames
    place = np.arange(frames, dtype=float)
    for speed, cents in ((0.55, 5.0), (1.7, 1.6), (6.3, 0.5)):
        laps = max(1, round(speed * seconds))
        swing = (2.0 ** (cents * amount / 1200.0) - 1.0) * frames / (2.0 * np.pi * laps)
        place += swing * np.sin(laps * turn + laps)
    whole = np.floor(place).astype(np.int64)
    part = (place - whole).astype(np.float32)[:, None]
    whole %= frames
    worn = section[whole] * (1.0 - part) + section[(whole + 1) % frames] * part
    for channel in range(2):
        hiss = noise(frames, seed, 83, channel)
        worn[:, channel] += (hiss + np.roll(hiss, 1) + np.roll(hiss, 2)) * np.float32(0.0011 * amount)
    return np.asarray(worn, np.float32)


def _driven(section: Audio, amount: float) -> Audio:
    """Soft saturation: its gain at low level is 1, full scale is never passed."""
    drive = np.float32(0.55 + 1.1 * min(1.0, max(0.0, amount)))
    return np.asarray(np.tanh(section * drive) / drive, np.float32)


def _phrasing(sections: Sequence[Audio], rate: int) -> float:
    """How much further than it does the level of a phrase should move, in decibels a decibel."""
    whole = np.concatenate([section[:, 0] + section[:, 1] for section in sections])
    seconds = max(2, len(whole) // rate)
    power = np.square(whole[: len(whole) // seconds * seconds].reshape(seconds, -1)).mean(axis=1)
    soft, loud = np.percentile(10.0 * np.log10(power + 1e-6), [5, 95])
    return float(np.clip(_SPREAD_DB / max(0.1, loud - soft) - 1.0, 0.0, _MOST_PHRASING))


def _glued(section: Audio, depth: float, phrasing: float, rate: int) -> Audio:
    """Compression of both channels together: what stands out of the last second or so is taken back by ``depth``.

    The phrases' own rise and fall, which a compressor would flatten, is brought out by ``phrasing`` instead.
    """
    power = 0.5 * (section[:, 0] ** 2 + section[:, 1] ** 2).astype(np.float64) + 1e-9
    fast = _box(_box(power, round(0.030 * rate)), round(0.080 * rate))
    slow = _box(_box(power, round(0.700 * rate)), round(0.700 * rate))
    depth = min(1.0, max(0.0, depth)) * 0.6
    gain = np.maximum(fast / slow, 1.0) ** (-0.5 * depth)
    gain *= np.clip(slow / power.mean(), 0.2, 5.0) ** (0.5 * phrasing)
    return np.asarray(section * gain.astype(np.float32)[:, None], np.float32)


def _limited(sections: Sequence[Audio], rate: int) -> list[Audio]:
    """Brought to the loudness by one gain, under a limiter that looks ahead; the gain makes up for what it took."""
    gain_db = TARGET_LUFS - _loudness(sections, rate)
    for _ in range(4):
        finished = [_limit(section * np.float32(10.0 ** (gain_db / 20.0)), rate) for section in sections]
        error = TARGET_LUFS - _loudness(finished, rate)
        if abs(error) < 0.1:
            break
        gain_db += error
    return finished


def _limit(section: Audio, rate: int) -> Audio:
    ceiling = 10.0 ** (CEILING_DBTP / 20.0)
    edge = 64
    peak = np.zeros(len(section), np.float32)
    for channel in range(section.shape[1]):
        one = section[:, channel]
        if float(np.abs(one).max()) < 0.5 * ceiling:
            continue
        wrapped = np.concatenate([one[-edge:], one, one[:edge]]) if len(one) > edge else np.tile(one, 3)
        found = between_samples(wrapped, ceiling)
        start = (len(wrapped) - len(one)) // 2
        np.maximum(peak, found[start : start + len(one)], out=peak)
    if float(peak.max()) <= ceiling:
        return section
    need = np.minimum(1.0, ceiling / np.maximum(peak, 1e-9)).astype(np.float64)
    window = max(2, round(0.012 * rate))
    gain = _box(_least(need, window), window)
    return np.asarray(section * np.minimum(gain, 1.0).astype(np.float32)[:, None], np.float32)


def _box(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Mean over ``width`` values around each, going round."""
    width = min(width, len(values))
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


def _loudness(sections: Sequence[Audio], rate: int) -> float:
    return float(integrated_loudness(np.concatenate(list(sections)), rate))
