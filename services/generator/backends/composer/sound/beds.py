"""Weather, surfaces and gestures: rain, vinyl, rising noise, a blow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.composer.sound.cache import TABLES
from services.generator.backends.composer.sound.circle import band_pass
from services.generator.backends.composer.sound.gate import decay
from services.generator.backends.composer.sound.tone import Tone, mono, noise, stereo, swept
from shared.units import Audio

_LAP = 1 << 18


def rain(tone: Tone) -> Audio:
    """Steady rain with single drops."""
    return _going_round("rain", tone, 420.0, 6500.0, 1.0, drops=90.0, drop_level=9.0)


def vinyl(tone: Tone) -> Audio:
    """The surface of an old record: a little hiss, crackles, now and then a click."""
    return _going_round("vinyl", tone, 500.0, 5200.0, 0.25, drops=7.0, drop_level=9.0)


def riser(tone: Tone) -> Audio:
    """Noise that opens and swells over the length of the note."""
    t = np.linspace(0.0, 1.0, tone.frames)
    bands = ((300.0, 900.0, 0.0), (900.0, 2600.0, 0.35), (2600.0, 7000.0, 0.65))
    sides = np.zeros((2, tone.frames))
    for low, high, begin in bands:
        swell = np.clip((t - begin) / (1.0 - begin), 0.0, 1.0) ** 2
        for side in range(2):
            raw = _coloured(tone.frames, tone.rate, low, high, 41, side)
            sides[side] += raw * swell
    return stereo(sides[0], sides[1])


def impact(tone: Tone) -> Audio:
    """A deep blow with a cloud of dust."""
    t = tone.times
    boom = np.tanh(1.8 * swept(t, 44.0, 80.0, 0.05) * decay(t, 0.55))
    return mono(boom + 0.25 * _coloured(tone.frames, tone.rate, 80.0, 900.0, 43, 0) * decay(t, 0.25))


def _going_round(
    name: str, tone: Tone, low: float, high: float, hiss: float, *, drops: float, drop_level: float
) -> Audio:
    def table() -> NDArray[np.float32]:
        sides = []
        for side in range(2):
            rng = np.random.default_rng((len(name), side, 57))
            raw = hiss * rng.standard_normal(_LAP)
            hits = rng.random(_LAP) < drops / tone.rate
            shared = np.random.default_rng((len(name), 59)).random(_LAP) < drops / tone.rate / 2
            raw += drop_level * (hits | shared) * rng.standard_normal(_LAP) * rng.random(_LAP)
            once = _filtered(raw, tone.rate, low, high)
            loud = 5.0 * np.sqrt(np.mean(once**2))
            sides.append(np.tanh(once / loud) * loud)  # a crackle, not a shot
        return np.stack(sides, axis=1).astype(np.float32)

    lap = TABLES.get((name, tone.rate), table)
    return np.tile(lap, (-(-tone.frames // _LAP), 1))[: tone.frames]


def _coloured(frames: int, rate: int, low: float, high: float, *seed: int) -> NDArray[np.float64]:
    length = 1 << max(10, (frames - 1).bit_length())
    return _filtered(noise(length, *seed), rate, low, high)[:frames]


def _filtered(raw: NDArray[np.floating], rate: int, low: float, high: float) -> NDArray[np.float64]:
    f = np.fft.rfftfreq(len(raw), 1.0 / rate)
    return np.asarray(np.fft.irfft(np.fft.rfft(raw) * band_pass(f, low, high), len(raw)), float)
