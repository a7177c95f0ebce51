"""How far a sound is out of tune."""

from __future__ import annotations

import numpy as np

from shared.transform import spectrum
from shared.units import Audio

_REACH = 60.0
_LENGTH = 1 << 17


def cents_off(audio: Audio, hertz: float, rate: int) -> float:
    """Cents by which the first three partials of a note lie above ``hertz``; 0 where there is nothing to measure.

    The centre of gravity of the comb's strength within 60 cents: vibrato and ensembles count by where they are most.
    """
    sound = audio[:, 0] + audio[:, -1]
    length = _LENGTH
    if hertz * 26.0 < rate:  # a quarter of the frames holds the three partials
        sound = sound[: len(sound) // 4 * 4].reshape(-1, 4).mean(axis=1)
        rate //= 4
        length //= 4
    sound = sound[:length]
    if len(sound) < rate // 4 or float(np.abs(sound).max()) < 1e-6:
        return 0.0
    strength = np.abs(spectrum(sound * np.blackman(len(sound)).astype(np.float32), length))
    grid = np.arange(-_REACH, _REACH + 0.25, 0.5)
    comb = np.zeros(len(grid))
    for harmonic in (1, 2, 3):
        place = hertz * harmonic * 2.0 ** (grid / 1200.0) * (length / rate)
        found = np.interp(place, np.arange(len(strength)), strength)
        if harmonic == 1 or found.max() > 0.05 * strength.max():
            comb += found
    near = comb > 0.7 * comb.max()
    return float((grid[near] * comb[near]).sum() / comb[near].sum())
