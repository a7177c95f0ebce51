"""The beat's period, from how the onsets repeat.

A comb over the multiples of a period, weighted towards 120 beats a minute (the resonance of D. Moelants, "Preferred
tempo reconsidered", ICMPC 2002), on the normalised autocorrelation of the flux.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.analyzer.sound import Doubles, Floats
from shared.transform import lag_products

SLOWEST_S: Final = 1.1
FASTEST_S: Final = 0.28
PREFERRED_S: Final = 0.5
OCTAVES: Final = 0.9
"""Width of the preference, in octaves of tempo."""
PERIODS_S: Final = np.geomspace(FASTEST_S, SLOWEST_S, 240)
MULTIPLES: Final = np.array([1, 2, 3, 4, 6, 8, 12, 16])
COMBS: Final = (
    (np.array([1.0, 1.0, 0.4, 1.0, 0.4, 1.0, 0.4, 1.0]), 1.0),
    (np.array([1.0, 0.4, 1.0, 0.4, 1.0, 0.4, 1.0, 0.4]), 0.95),
)
"""What a beat's multiples count in bars of two and four beats and in bars of three, and how far each is favoured."""
BESIDE: Final = np.linspace(-0.5, 0.5, 9)
"""Where around the end of a bar it is compared with what lies beside it; the middle is the end itself."""
RETURNS: Final = 0.05
"""By how much more than the beat's own another one's bars must come back."""


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
    raw = lag_products(np.ascontiguousarray(rows.T))
    energy = np.concatenate([[0.0], np.cumsum(np.einsum("ij,ij->i", rows, rows), dtype=np.float64)])
    lags = np.arange(count)
    pairs = count - lags
    scale = np.sqrt(energy[pairs] * (energy[count] - energy[lags]) + 1e-9)
    return np.asarray(raw / scale * pairs / (pairs + 1.5 * rate), np.float64)


def find_pulse(onsets: Doubles, repetition: Doubles, rate: float) -> Pulse | None:
    """The beat, or ``None`` where nothing pulses.

    Parameters
    ----------
    onsets : autocorrelation of the flux
    repetition : autocorrelation of the feature vectors; both at ``rate`` lags a second
    """
    count = len(onsets)
    periods = PERIODS_S * rate
    lags = periods[:, None] * MULTIPLES
    known = lags < 0.7 * count
    heard = np.interp(lags, np.arange(count), onsets) * known
    strength = np.max(
        [favour * (heard @ weights) / np.maximum(known @ weights, 1e-9) for weights, favour in COMBS], axis=0
    )
    strength *= np.exp(-0.5 * (np.log2(PERIODS_S / PREFERRED_S) / OCTAVES) ** 2)
    best = int(strength.argmax())
    clarity = min(max((float(strength[best]) - 0.05) / 0.25, 0.0), 1.0)
    return Pulse(_whose_bars_return(float(periods[best]), repetition, rate), clarity) if clarity > 0 else None


def _whose_bars_return(period: float, repetition: Doubles, rate: float) -> float:
    """The period, or two or four thirds of it where the music comes back after those bars and not after its own.

    Onsets in threes over beats in fours (3 + 3 + 2, dotted notes) pulse as clearly as the beat; no chord follows them.
    """
    fitting = [third * period for third in (2 / 3, 4 / 3) if FASTEST_S <= third * period / rate <= SLOWEST_S]
    own = _return(period, period, repetition)
    best = max(fitting, key=lambda other: _return(other, period, repetition), default=period)
    return best if _return(best, period, repetition) > own + RETURNS else period


def _return(period: float, around: float, repetition: Doubles) -> float:
    """By how much bars of four such beats stand out of what lies up to half of ``around`` beside them; mean of four."""
    bars = 4 * period * np.arange(1, 5)
    bars = bars[bars < 0.7 * len(repetition)]
    if len(bars) < 2:
        return 0.0
    near = np.interp(bars[:, None] + around * BESIDE, np.arange(len(repetition)), repetition)
    return float(near[:, len(BESIDE) // 2].mean() - near.mean())
