"""What making music costs this machine: its share of an hour, its price, and how long restful making has to wait. Pure.

Cost is counted in seconds of the whole machine: seconds of processor divided by the number of cores.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

HOUR_S = 3600.0
QUARTER = 0.25
"""Restful and evolving stations take no more of the machine than this, over any hour."""
BURST_S = 300.0
"""So much of the hour's due may be spent at once, as after a new prompt; the rest is given evenly over the hour."""
_RATE = (QUARTER * HOUR_S - BURST_S) / HOUR_S
_RECENT = 8
"""Pieces of work that say what the next one will cost."""


@dataclass(frozen=True)
class Work:
    """One clip that was made here."""

    at: float
    cost_s: float
    """Seconds of the whole machine."""
    music_s: float


class Workload:
    """The work of the last hour."""

    def __init__(self, cores: int = 1, works: Iterable[Work] = ()) -> None:
        self._cores = max(1, cores)
        self._works = deque(works)

    @property
    def works(self) -> tuple[Work, ...]:
        """Oldest first."""
        return tuple(self._works)

    def add(self, at: float, cpu_s: float, music_s: float) -> None:
        """A clip was made and analysed in so many seconds of processor."""
        self._works.append(Work(at, cpu_s / self._cores, music_s))
        self._forget(at)

    def share(self, now: float) -> float:
        """Of the last hour that the machine has worked, 0–1."""
        return sum(work.cost_s for work in self._works if now - work.at < HOUR_S) / HOUR_S

    def price(self) -> float | None:
        """Seconds of the whole machine for one second of new music; None before any was made."""
        recent = list(self._works)[-_RECENT:]
        music = sum(work.music_s for work in recent)
        return sum(work.cost_s for work in recent) / music if music else None

    def wait_s(self, now: float) -> float:
        """How long the next piece of work has to wait, so that no hour sees more than its quarter.

        What may be spent fills up like a bucket: at most ``BURST_S``, and over any hour no more than the quarter. A
        piece that costs more than the bucket holds waits until it is full, and its debt is paid back afterwards.
        """
        self._forget(now)
        if not self._works:
            return 0.0
        level, then = BURST_S, self._works[0].at
        for work in self._works:
            level = min(BURST_S, level + _RATE * (work.at - then)) - work.cost_s
            then = work.at
        level = min(BURST_S, level + _RATE * (now - then))
        recent = list(self._works)[-_RECENT:]
        expected = min(BURST_S, sum(work.cost_s for work in recent) / len(recent))
        return max(0.0, (expected - level) / _RATE)

    def _forget(self, now: float) -> None:
        while self._works and now - self._works[0].at >= HOUR_S:
            self._works.popleft()


def on_another_clock(works: Iterable[Work], now: float, then: float) -> tuple[Work, ...]:
    """The same work on a clock that shows ``then`` where this one shows ``now``. None of it lies ahead."""
    return tuple(replace(work, at=min(work.at, now) - now + then) for work in works)
