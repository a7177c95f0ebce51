"""Sums of decaying partials, exact and cheap: strings, bars, bells and plates.

A decaying sinusoid is a power of one complex number, so the sound of all partials over a block times all blocks is one
matrix product: frame ``q·B + r`` of a partial is z^(qB)·z^r. Nothing else in numpy makes fifty partials as fast.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from services.generator.backends.composer.sound.tone import Mono

_BLOCK = 256


def partials(
    hertz: ArrayLike, amplitudes: ArrayLike, decays_s: ArrayLike, frames: int, rate: int, *, phases: ArrayLike = 0.0
) -> Mono:
    """Sum of sinusoids ``a·exp(-t/d)·sin(2π·f·t + φ)``; those above 0.45 of the rate are left out."""
    f, a, d, p = np.broadcast_arrays(
        np.asarray(hertz, float), np.asarray(amplitudes, float), np.asarray(decays_s, float), np.asarray(phases, float)
    )
    heard = (f < 0.45 * rate) & (np.abs(a) > 1e-6)
    f, a, d, p = f[heard], a[heard], d[heard], p[heard]
    if not len(f) or frames <= 0:
        return np.zeros(max(frames, 0), np.float32)
    step = (2j * np.pi * f - 1.0 / np.maximum(d, 1e-4)) / rate
    blocks = -(-frames // _BLOCK)
    coarse = np.exp(np.outer(np.arange(blocks) * _BLOCK, step)) * (a * np.exp(1j * p))
    fine = np.exp(np.outer(step, np.arange(_BLOCK)))
    left = np.concatenate([coarse.imag, coarse.real], axis=1).astype(np.float32)
    right = np.concatenate([fine.real, fine.imag], axis=0).astype(np.float32)
    return np.asarray((left @ right).ravel()[:frames], np.float32)


def stiff(fundamental: float, count: int, inharmonicity: float) -> NDArray[np.float64]:
    """Partials of a stiff string: f·h·sqrt(1 + B·h²), the first one exactly in tune (Fletcher 1964)."""
    h = np.arange(1, count + 1)
    tuned: NDArray[np.float64] = fundamental * h * np.sqrt((1.0 + inharmonicity * h * h) / (1.0 + inharmonicity))
    return tuned
