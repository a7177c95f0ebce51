"""How loud a loop is played: one place for the player, and for who writes down what it plays."""

from __future__ import annotations

from typing import Final

from shared.music import Loop

TOLERANCE_LU: Final = 0.5
"""A loop this close to the wanted loudness is played as it lies on the disk, bit for bit."""
CEILING_DBTP: Final = -1.0


def playing_gain(loop: Loop, loudness: float) -> float:
    """The factor that brings a loop to ``loudness`` (LUFS) without pushing its true peak over −1 dBTP."""
    wanted = loudness - loop.lufs
    if abs(wanted) <= TOLERANCE_LU:
        return 1.0
    return float(10.0 ** (min(wanted, max(0.0, CEILING_DBTP - loop.true_peak_dbtp)) / 20.0))
