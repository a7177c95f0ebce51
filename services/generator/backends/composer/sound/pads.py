"""Wide sustained sounds by PADsynth (P. Nasca, 2001): each harmonic a narrow band of random phases, one transform
making several seconds of texture that repeats without a seam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.composer.sound.cache import NOTES
from services.generator.backends.composer.sound.tone import Tone
from shared.transform import samples_of
from shared.units import Audio

_LENGTH = 1 << 18
_CHOIR = ((600.0, 180.0, 1.0), (1040.0, 200.0, 0.6), (2250.0, 300.0, 0.25), (2700.0, 300.0, 0.12))


@dataclass(frozen=True)
class Pad:
    """The spectrum of a pad: harmonics falling by ``h ** -slope``, each ``cents`` wide."""

    slope: float
    cents: float
    air: float = 0.0
    """Breath around 5 kHz."""
    odd: float = 1.0
    """Strength of the even harmonics against the odd ones: 1 full, 0 hollow."""
    voices: bool = False
    """Under the formants of a sung "ah"."""
    octave: float = 0.0
    """An octave below, at this strength."""
    top: float = 11_000.0

    def __call__(self, tone: Tone) -> Audio:
        table = NOTES.get(("pad", self, tone.pitch, tone.rate), lambda: self._texture(tone))
        start = (tone.pitch * 7919 * 13) % _LENGTH
        if start + tone.frames <= _LENGTH:
            return table[start : start + tone.frames]
        laps = -(-(start + tone.frames) // _LENGTH)
        return np.tile(table, (laps, 1))[start : start + tone.frames]

    def _texture(self, tone: Tone) -> NDArray[np.float32]:
        places = np.arange(_LENGTH // 2 + 1) * (tone.rate / _LENGTH)
        strength = np.zeros(len(places), np.float32)
        f0 = tone.hertz
        rows = [(f0 * h, h**-self.slope * (1.0 if h % 2 else self.odd)) for h in range(1, 64)]
        if self.octave and f0 > 95.0:
            rows += [(f0 / 2, self.octave), (f0 * 1.5, self.octave * 0.25)]
        for f, plain in rows:
            if f > min(self.top, 0.45 * tone.rate):
                continue
            level = plain * _sung(f) if self.voices else plain
            spread = max(0.3, (2.0 ** (self.cents / 1200.0) - 1.0) * f0 * (f / f0))
            low = max(1, int((f - 4 * spread) * _LENGTH / tone.rate))
            high = min(len(places), int((f + 4 * spread) * _LENGTH / tone.rate) + 2)
            strength[low:high] += level * np.exp(-(((places[low:high] - f) / spread) ** 2)) / np.sqrt(spread)
        if self.air:
            strength += self.air * 0.004 * strength.max() * np.exp(-(((places - 5200.0) / 2600.0) ** 2))
        texture = np.empty((_LENGTH, 2), np.float32)
        heard = np.flatnonzero(strength > 1e-6 * strength.max())
        for channel in range(2):
            turns = np.random.default_rng((1000 + tone.pitch, channel)).random(len(heard), np.float32)
            turns *= np.float32(2.0 * np.pi)
            bins = np.zeros(len(strength), np.complex64)
            bins.real[heard] = strength[heard] * np.cos(turns)
            bins.imag[heard] = strength[heard] * np.sin(turns)
            one = samples_of(bins, _LENGTH)
            texture[:, channel] = one * (0.2 / np.sqrt(np.mean(one * one)))
        return texture


def _sung(f: float) -> float:
    return float(0.04 + sum(gain * np.exp(-(((f - centre) / width) ** 2)) for centre, width, gain in _CHOIR))
