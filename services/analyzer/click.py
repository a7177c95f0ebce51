"""Whether a cut clicks: what linear prediction from the samples before it fails to foresee.

Music is predicted well from its last few samples; a discontinuity is not, and its error stands out of the errors around
it (S. V. Vaseghi and P. J. W. Rayner, "Detection and suppression of impulsive noise in speech communication systems",
IEE Proceedings I 137(1), 1990).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from services.analyzer.sound import Doubles, Floats, windows

ORDER: Final = 20
AROUND_S: Final = 0.025
"""Within this time of a cut its error is compared with the music's own."""
FLOOR: Final = 1e-3


def predictor(samples: Floats) -> Doubles:
    """Weights of the last 20 samples, the latest first, by the autocorrelation method; ``(20,)``."""
    shaped = samples * _window(len(samples))
    lags = np.array([np.dot(shaped[lag:], shaped[: len(shaped) - lag]) for lag in range(ORDER + 1)])
    index = np.abs(np.arange(ORDER)[:, None] - np.arange(ORDER)[None, :])
    gram = lags[index]
    gram[np.diag_indices(ORDER)] += 1e-6 * lags[0] + 1e-12
    return np.asarray(np.linalg.solve(gram, lags[1:]))


@lru_cache(maxsize=8)
def _window(count: int) -> Floats:
    return np.hanning(count).astype(np.float32)


def errors(samples: Floats, weights: Doubles) -> Floats:
    """What the weights fail to foresee, one value for each sample from the 21st on."""
    out = samples[ORDER:].copy()
    # Twenty sums of whole arrays: several times faster than numpy's convolution with so short a kernel.
    for back, weight in enumerate(weights.astype(np.float32), start=1):
        out -= weight * samples[ORDER - back : len(samples) - back]
    return out


def _window_max(values: Floats, first: int, count: int, width: int) -> Floats:
    """The greatest of ``count`` windows of about ``width`` of absolute values, from ``first`` on: to a sixteenth."""
    block = max(1, width // 16)
    held, whole = max(1, width // block), len(values) // block
    blocks = np.zeros(whole + held, np.float32)
    np.abs(values[: whole * block].reshape(whole, block)).max(axis=1, out=blocks[:whole])
    blocks[whole] = np.abs(values[whole * block :]).max(initial=0)
    spans = windows(blocks, held).max(axis=1)
    return np.asarray(np.repeat(spans, block)[first : first + count])


def cut_ratios(here: Floats, there: Floats, rate: int) -> Doubles:
    """How loud a click a hard cut would make at each place of two aligned passages.

    Parameters
    ----------
    here, there : float arrays of one length
        Around the start and around the end; cutting at ``i`` plays ``there[:i]`` and then ``here[i:]``.

    Returns
    -------
    For every place, the greatest error across the cut over the greatest of the music within 25 ms; infinite where
    either passage is too short to tell.
    """
    count = len(here)
    ratios = np.full(count, np.inf)
    around = round(AROUND_S * rate)
    if count < 2 * around:
        return ratios
    weights = predictor(np.concatenate([there, here]))
    left, right = errors(there, weights), errors(here, weights)
    places = slice(around, count - around)
    inside = count - 2 * around
    # What follows a cut is foreseen from the wrong past: its error differs by the gap of both, as the weights see it.
    spread = np.zeros((ORDER, ORDER), np.float32)
    for later in range(ORDER):
        spread[later:, later] = weights[later:][::-1]
    # A row for each of the twenty that follow, so that their greatest is taken over rows and not within them.
    gaps, following = (windows(values[around - ORDER :], inside)[:ORDER] for values in (here - there, right))
    across = np.abs(following + spread.T @ gaps).max(axis=0)
    music = np.maximum(_window_max(left, 0, inside, around - ORDER), _window_max(right, around, inside, around - ORDER))
    ratios[places] = across / (music + FLOOR * float(np.abs(here).max()) + 1e-9)
    return ratios


def seam_ratio(joined: Floats, seam: int, crossfade: int, rate: int) -> float:
    """The same for a rendered seam: ``joined`` is what sounds around it, the crossfade ends at ``seam``."""
    around = round(AROUND_S * rate)
    part = joined[max(0, seam - around) : seam + around]
    at = min(seam, around)
    if len(part) < 6 * ORDER or float(np.ptp(part)) < 1e-6:
        return 0.0
    # A row for each sample from the 21st on: those before it, and itself. In single precision the weights are noise.
    rows = windows(part, ORDER + 1).astype(np.float64)
    first, last = max(0, at - crossfade - ORDER), at
    if len(rows) - (last - first) < 4 * ORDER:
        return 0.0
    # The weights are learnt outside the seam: those that had seen it would foresee a part of its click.
    products = rows[:first].T @ rows[:first] + rows[last:].T @ rows[last:]
    gram, target = products[:ORDER, :ORDER], products[:ORDER, ORDER]
    gram[np.diag_indices(ORDER)] += 1e-6 * np.trace(gram) / ORDER + 1e-12
    weights = np.linalg.solve(gram, target)
    found = np.abs(rows[:, ORDER] - rows[:, :ORDER] @ weights)
    music = max(float(found[:first].max(initial=0)), float(found[last:].max(initial=0)))
    return float(found[first:last].max()) / (music + FLOOR * float(np.abs(part).max()) + 1e-9)
