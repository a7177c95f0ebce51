"""The beat's period, from how the onsets repeat.

A comb over the multiples of a period, weighted towards 120 beats a minute (the resonance of D. Moelants, "Preferred
tempo reconsidered", ICMPC 2002), on the normalised autocorrelation of the flux.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.analyzer.sound import Doubles, Floats
from services.analyzer.transform import fast_size

SLOWEST_S: Final = 1.1
FASTEST_S: Final = 0.28
PREFERRED_S: Final = 0.5
OCTAVES: Final = 0.9
"""Width of the preference, in octaves of tempo."""


@dataclass(frozen=True)
class Pulse:
    """A beat's period in feature frames, with a fraction, and how clearly it stands out, 0–1."""

    period: float
    clarity: float


def autocorrelation(rows: Floats, rate: float) -> Doubles:
    """Normalised autocorrelation of vectors over time, for every lag: 1 where the clip repeats itself.

    Lags that few pairs support are drawn towards zero, as if 1.5 s of unrelated sound were appended.
    """
    count = len(rows)
    size = fast_size(2 * count - 1)
    spectrum = np.fft.rfft(np.ascontiguousarray(rows.T), size, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).sum(axis=0)
    raw = np.fft.irfft(power, size)[:count]
    energy = np.concatenate([[0.0], np.cumsum(np.einsum("ij,ij->i", rows, rows), dtype=np.float64)])
    lags = np.arange(count)
    pairs = count - lags
    scale = np.sqrt(energy[pairs] * (energy[count] - energy[lags]) + 1e-9)
    return np.asarray(raw / scale * pairs / (pairs + 1.5 * rate), np.float64)


def find_pulse(onsets: Doubles, rate: float) -> Pulse | None:
    """The beat from the flux's autocorrelation ``onsets`` at ``rate`` lags a second; ``None`` where nothing pulses."""
    count = len(onsets)
    periods = np.exp(np.linspace(np.log(FASTEST_S), np.log(SLOWEST_S), 240)) * rate
    multiples = np.array([1, 2, 3, 4, 6, 8, 12, 16])
    lags = periods[:, None] * multiples
    heard = np.interp(lags, np.arange(count), onsets)
    strength = np.full(len(periods), -np.inf)
    # Bars of two and four beats and bars of three each have their own comb.
    for weights, favour in (
        ((1.0, 1.0, 0.4, 1.0, 0.4, 1.0, 0.4, 1.0), 1.0),
        ((1.0, 0.4, 1.0, 0.4, 1.0, 0.4, 1.0, 0.4), 0.95),
    ):
        inside = np.array(weights) * (lags < 0.7 * count)
        comb = (heard * inside).sum(axis=1) / np.maximum(inside.sum(axis=1), 1e-9)
        np.maximum(strength, favour * comb, out=strength)
    strength *= np.exp(-0.5 * (np.log2(periods / rate / PREFERRED_S) / OCTAVES) ** 2)
    best = int(strength.argmax())
    clarity = float(np.clip((strength[best] - 0.05) / 0.25, 0, 1))
    return Pulse(float(periods[best]), clarity) if clarity > 0 else None
