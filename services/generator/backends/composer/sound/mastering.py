"""The finished sound: spectrum, width, warmth, glue, one loudness for the whole piece, no peak above the ceiling.

Every step goes round with its section: filters by ``circle``, followers by windows that wrap, waveshapers have no
memory.
What is decided from measurement (equaliser, width, gain) is decided for the piece, so that sections keep their levels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.composer.score import Space
from services.generator.backends.composer.sound.circle import filtered, going_round, high_pass, low_pass, shelf
from services.generator.backends.composer.sound.dynamics import driven, glued, limited, phrasing
from services.generator.backends.composer.sound.loudness import integrated_loudness
from services.generator.backends.composer.sound.tone import noise
from shared.transform import spectrum
from shared.units import Audio

TARGET_LUFS: Final = -16.0
Bounds: TypeAlias = Sequence[tuple[int, int]]
_WORKING_LUFS: Final = -17.0
"""Level at which saturation and glue work."""

_CENTRES: Final = np.array(
    [31, 45, 63, 90, 125, 180, 250, 355, 500, 710, 1000, 1400, 2000, 2800, 4000, 5600, 8000, 11_300, 16_000], float
)
_TARGET_DB: Final = np.array(
    [-12, -5, -1, 0, -0.5, -1, -2, -3, -4.2, -5.7, -7.5, -9.5, -11.7, -14, -16.5, -19.5, -23, -27, -33], float
)
"""Power in half octaves, the mean of much recorded music; the equaliser goes part of the way towards it."""
_BASS_IS_MONO: Final = 220.0
_TOWARDS: Final = 0.55
_MOST_DB: Final = 4.5
_SIDE_DB: Final = (-9.0, -5.5)
"""Range of side against middle that the width is brought into."""
_TAPE: Final = 1 << 16
"""Frames that the worn tape is read in at a time."""
_TAPE_STEP: Final = 64
"""Frames between the places at which its wavering is computed."""
_LEAST_SIDE_DB: Final = -10.5
"""What is left at the least when the bass has gone to the middle."""


def master(
    mix: Audio, bounds: Bounds, space: Space, rate: int, seed: int, *, beat: bool, check: Callable[[], None]
) -> Audio:
    """The mastered piece: every section an exact circle, as before. ``mix`` is used up, so that memory is not.

    ``mix`` is the desk's sections end to end, float32 ``(frames, 2)``, ``bounds`` the first frame and end of each.
    Music without a ``beat`` is left as even as it is, or made more so where the style says. ``check`` is called between
    steps, and raises where the job was called back.
    """
    sections = [mix[start:end] for start, end in bounds]
    power, middle, side = _spectrum(sections, rate)
    if power.sum() < 1e-12:
        mix[:] = 0.0
        return mix
    curve_db = _equaliser(power, space)
    width = space.width * _width(middle, side * space.width**2, curve_db)
    for section in sections:
        check()
        section[:] = _shaped(section, rate, curve_db, width, space)
    mix *= np.float32(10.0 ** ((_WORKING_LUFS - integrated_loudness(mix, rate)) / 20.0))
    for index, section in enumerate(sections):
        check()
        if space.lofi > 0.0:
            section[:] = _worn(section, space.lofi, rate, seed + index)
        section[:] = driven(section, space.saturation)
    more = phrasing(mix, rate) if beat else -min(1.0, max(0.0, space.evenness))
    for section in sections:
        check()
        section[:] = glued(section, space.glue, more, rate)
    check()
    return _at_loudness(mix, bounds, rate)


def _spectrum(
    mixes: Sequence[Audio], rate: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Power in half octaves of the piece: of both channels, of the middle and of the side."""
    length = 1 << 13
    window = np.hanning(length).astype(np.float32)
    hertz = np.fft.rfftfreq(length, 1.0 / rate)
    band = np.clip(np.round(2 * np.log2(np.maximum(hertz, 1.0) / _CENTRES[0])), 0, len(_CENTRES) - 1).astype(int)
    totals = np.zeros((2, len(_CENTRES)))
    for mix in mixes:
        wrapped = going_round(mix, 0, length)
        count = -(-2 * len(mix) // length)
        starts = np.arange(count) * len(mix) // count
        for row, channel in enumerate(((wrapped[0] + wrapped[1]) * 0.5, (wrapped[0] - wrapped[1]) * 0.5)):
            windows = np.lib.stride_tricks.sliding_window_view(channel, length)
            for first in range(0, count, 64):
                bins = spectrum(windows[starts[first : first + 64]] * window, axis=1)
                power = (bins.real**2 + bins.imag**2).sum(axis=0, dtype=np.float64)
                totals[row] += np.bincount(band, power, len(_CENTRES))
    return totals[0] + totals[1], totals[0], totals[1]


def _equaliser(power: NDArray[np.float64], space: Space) -> NDArray[np.float64]:
    """Decibels at ``_CENTRES``: part of the way to the target where anything is heard, and the style's tilt."""
    level = 10.0 * np.log10(power / power.max() + 1e-9)
    difference = _TARGET_DB - level
    present = np.clip((level + 60.0) / 18.0, 0.0, 1.0)
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
    kept = side * high_pass(_CENTRES, _BASS_IS_MONO, 8) ** 2
    whole, left = (
        10.0 * np.log10(max(float((part * gain).sum()), 1e-12) / max(float((middle * gain).sum()), 1e-12))
        for part in (side, kept)
    )
    wider = max(float(np.clip(whole, *_SIDE_DB)) - whole, _LEAST_SIDE_DB - left)
    return float(10.0 ** (np.clip(wider, -8.0, 12.0) / 20.0))


def _shaped(mix: Audio, rate: int, curve_db: NDArray[np.float64], width: float, space: Space) -> Audio:
    def gain(hertz: NDArray[np.float64]) -> NDArray[np.float32]:
        octave = np.log2(np.maximum(hertz, 20.0))
        both = (10.0 ** (np.interp(octave, np.log2(_CENTRES), curve_db) / 20.0)).astype(np.float32)
        both *= high_pass(hertz, 26.0, 2) * low_pass(hertz, 18_500.0, 4)
        both[0] = 0.0
        if space.lofi > 0.0:
            both *= low_pass(hertz, 15_000.0 * (0.36 ** min(1.0, space.lofi)), 2)
            both *= high_pass(hertz, 30.0 + 40.0 * space.lofi, 2) * shelf(hertz, 250.0, 1.5 * space.lofi, high=False)
        return np.stack([both, both * np.float32(width) * high_pass(hertz, _BASS_IS_MONO, 8)])

    middle_side = np.stack([(mix[:, 0] + mix[:, 1]) * 0.5, (mix[:, 0] - mix[:, 1]) * 0.5], axis=1)
    shaped = filtered(np.asarray(middle_side, np.float32), rate, gain)
    return np.stack([shaped[:, 0] + shaped[:, 1], shaped[:, 0] - shaped[:, 1]], axis=1)


def _worn(section: Audio, amount: float, rate: int, seed: int) -> Audio:
    """A tape that wavers by a few cents, and hisses; both go round with the section."""
    frames = len(section)
    marks = np.linspace(0.0, frames, max(2, frames // _TAPE_STEP))
    late = np.zeros(len(marks))
    for speed, cents in ((0.55, 5.0), (1.7, 1.6), (6.3, 0.5)):
        laps = max(1, round(speed * frames / rate))
        swing = (2.0 ** (cents * amount / 1200.0) - 1.0) * frames / (2.0 * np.pi * laps)
        late += swing * np.sin(laps * (marks * (2.0 * np.pi / frames) + 1.0))
    worn = np.empty_like(section)
    reach = int(np.abs(late).max()) + 2
    around = going_round(section, reach, reach)
    for first in range(0, frames, _TAPE):
        place = np.arange(first, min(first + _TAPE, frames), dtype=float)
        place += np.interp(place, marks, late) + reach
        whole = place.astype(np.int32)
        part = (place - whole).astype(np.float32)
        for channel in range(2):
            before = around[channel].take(whole)
            worn[first : first + _TAPE, channel] = before + (around[channel].take(whole + 1) - before) * part
    for channel in range(2):
        hiss = noise(frames, seed, 83, channel)
        worn[:, channel] += (hiss + np.roll(hiss, 1) + np.roll(hiss, 2)) * np.float32(0.0011 * amount)
    return worn


def _at_loudness(mix: Audio, bounds: Bounds, rate: int) -> Audio:
    """Brought to the loudness by one gain, under the limiter; the gain makes up for what that took."""
    gain_db = TARGET_LUFS - integrated_loudness(mix, rate)
    finished = np.empty_like(mix)
    for _ in range(4):
        gain = np.float32(10.0 ** (gain_db / 20.0))
        for start, end in bounds:
            finished[start:end] = limited(mix[start:end] * gain, rate)
        error = TARGET_LUFS - integrated_loudness(finished, rate)
        if abs(error) < 0.1:
            break
        gain_db += error
    return finished
