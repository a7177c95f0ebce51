"""The sleep timer: when it has run out the station is stopped, faded on a gain of its own by the player. Pure."""

from __future__ import annotations

from services.controller.state import StationState

LONGEST_S = 12 * 3600.0
SHORTEST_S = 10.0
GRACE_S = 1.0
"""The player's count may be so much behind ours."""


class SleepTimer:
    """Keeps the time that is left on the station's clock; the state remembers the hour for a restart.

    Parameters
    ----------
    now : seconds, on the station's clock.
    hour : the same moment in seconds since 1970.
    """

    def __init__(self, state: StationState, now: float, hour: float) -> None:
        self._state = state
        self._until: float | None = None
        if state.sleep_at is not None:
            left = state.sleep_at - hour
            # A clock that was set meanwhile says nothing: the timer begins with what it can have had at most.
            self._until = now + min(left, LONGEST_S)

    def set(self, seconds: float, now: float, hour: float) -> None:
        """Fall silent after so long."""
        self._until = now + seconds
        self._state.sleep_at = hour + seconds
        self._state.asleep = False

    def clear(self) -> None:
        """Neither falling asleep nor asleep."""
        self._until = None
        self._state.sleep_at = None
        self._state.asleep = False

    def left_s(self, now: float) -> float | None:
        """Seconds until silence; None where no timer runs."""
        return None if self._until is None else max(0.0, self._until - now)

    def fade_out_s(self, now: float) -> float | None:
        """What the player is told. Asleep it stays told of 0, so that its gain does not rise before it is stopped."""
        return 0.0 if self._state.asleep else self.left_s(now)

    def ring(self, now: float) -> bool:
        """Whether it runs out now: the station is stopped and asleep from then on."""
        if self._until is None or now < self._until + GRACE_S:
            return False
        self.clear()
        self._state.stopped = self._state.asleep = True
        return True
