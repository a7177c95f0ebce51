"""No sound device: takes the sound at the pace at which it would sound, so that the live stream goes on."""

from __future__ import annotations

import time
from collections.abc import Callable

from shared.errors import OutputError
from shared.units import STATION_RATE, Audio

CATCHES_UP_S = 2.0
"""As long as the stream's listeners live on what they hold (`services.dashboard.programme.PATIENCE_S`)."""


class NullOutput:
    """Paced on the monotonic clock: ALSA's own null device is not paced.

    A process that was held up catches up: the stream's listeners miss nothing. One that stood still for longer than
    `CATCHES_UP_S` goes on from where it stands, and ``write`` says so.
    """

    driver = "null"
    paced = True

    def __init__(
        self,
        latency_s: float = 0.1,
        description: str = "no sound device",
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.description = description
        self._latency_s = latency_s
        self._clock, self._sleep = clock, sleep
        self._began = clock()
        self._frames = 0
        self._closed = False

    @property
    def latency_s(self) -> float:
        return self._latency_s

    def write(self, block: Audio) -> bool:
        if self._closed:
            raise OutputError("The null output is closed.")
        ahead = self._frames / STATION_RATE - (self._clock() - self._began)
        in_time = ahead >= -CATCHES_UP_S or self._frames == 0
        if not in_time:
            self._began, self._frames = self._clock(), 0
        self._frames += len(block)
        ahead = self._frames / STATION_RATE - (self._clock() - self._began)
        if ahead > self._latency_s:
            self._sleep(ahead - self._latency_s)
        return in_time

    def close(self) -> None:
        self._closed = True
