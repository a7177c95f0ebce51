"""The programme as the listeners of the live stream get it: the tap's blocks in order, without a hole.

A number that is missed becomes 20 ms of silence, so that a listener's clock never runs ahead of the station's, and is
counted. A player that is away is waited for: for ``PATIENCE_S`` the listeners live on what they hold, and a player
that was killed is usually back by then without anybody hearing it. After that silence keeps them connected.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from shared.units import STATION_CHANNELS, STATION_RATE, TAP_BLOCK, Audio

BLOCK_S: Final = TAP_BLOCK / STATION_RATE
PATIENCE_S: Final = 2.0
LONGEST_HOLE: Final = 250
"""Blocks; the tap has room for five seconds, so a wider hole is a machine that slept, and is not made up for."""

_SILENCE: Final[Audio] = np.zeros((TAP_BLOCK, STATION_CHANNELS), np.float32)
_SILENCE.flags.writeable = False


class Programme:
    """Puts blocks in order, fills holes, and keeps the last ``history_s`` seconds for whoever comes."""

    def __init__(self, history_s: float) -> None:
        self.history: deque[Audio] = deque(maxlen=max(1, round(history_s / BLOCK_S)))
        self.filled = 0
        """Blocks of silence that stand for blocks lost on the way."""
        self.restarts = 0
        """How often the player was heard to begin again."""
        self._expected: int | None = None
        self._heard_at = 0.0
        self._waited = 0
        """Blocks of silence since the last real one, given while the player was away."""

    def take(self, number: int, samples: Audio, now: float) -> list[Audio]:
        """A block has come; returns what follows in the programme: silence for each one missed, then the block.

        Parameters
        ----------
        number : the block's number; lower than expected means that the player began again
        samples : float32 [shape=(960, 2)]
        now : seconds on the monotonic clock
        """
        missed = 0
        if self._expected is not None and number < self._expected:
            self.restarts += 1
        elif self._expected is not None:
            missed = min(number - self._expected, LONGEST_HOLE)
            self.filled += missed
        silences = max(0, missed - self._waited)
        self._expected, self._heard_at, self._waited = number + 1, now, 0
        blocks = [_SILENCE] * silences + [samples]
        self.history.extend(blocks)
        return blocks

    def wait(self, now: float) -> list[Audio]:
        """The silence that is due because nothing came; none before the first block ever."""
        if self._expected is None:
            return []
        due = int((now - self._heard_at - PATIENCE_S) / BLOCK_S) - self._waited
        if due <= 0:
            return []
        self._waited += due
        blocks = [_SILENCE] * min(due, LONGEST_HOLE)
        self.history.extend(blocks)
        return blocks

    def sounds(self, now: float) -> bool:
        """Whether the player was heard within the last second."""
        return self._expected is not None and now - self._heard_at < 1.0
