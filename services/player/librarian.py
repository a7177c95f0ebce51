"""Which loops lie in memory: the one that sounds, those that come next, and as many more as there is room for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.messages import Wanted
from shared.music import Loop
from shared.units import STATION_RATE

ROOM_FRAMES = 136 * STATION_RATE
"""For all loops together, at most; with it the process stays under 110 MB (benchmarks/results/player.md)."""
AT_LEAST = 2
"""The one that sounds and the next are held whatever their size."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to read now, and what to keep of what is held."""

    load: tuple[Loop, ...]
    keep: frozenset[str]


class Librarian:
    """Knows every loop that was named, by the queue or by the analyzer, until neither names it any more."""

    def __init__(self) -> None:
        self._queue: dict[str, Loop] = {}
        self._received: dict[str, Loop] = {}
        self._refused: dict[str, Loop] = {}
        self._epoch = 0

    def want(self, wanted: Wanted) -> None:
        """A new wanted state: what was refused is tried again, and what is older than its prompt is forgotten."""
        self._queue = {loop.loop_id: loop for loop in wanted.queue}
        self._refused.clear()
        self._epoch = wanted.epoch
        self._received = {
            name: loop
            for name, loop in self._received.items()
            if loop.epoch >= wanted.epoch and name not in wanted.unwanted
        }

    def receive(self, loop: Loop) -> bool:
        """A loop from the analyzer. False if it was made for an older prompt and is not wanted."""
        if loop.epoch < self._epoch and loop.loop_id not in self._queue:
            return False
        self._received[loop.loop_id] = loop
        self._refused.pop(loop.loop_id, None)
        return True

    def refuse(self, loop: Loop) -> None:
        """It could not be read: not tried again before it is named again."""
        self._refused[loop.loop_id] = loop
        self._received.pop(loop.loop_id, None)

    def refused(self, loop: Loop) -> bool:
        """Whether it could not be read when it was last tried."""
        return loop.loop_id in self._refused

    def may_keep(self, coming: Loop, ahead: Iterable[str]) -> bool:
        """Whether the loop that is foreseen next stays so: it is the first of the queue.

        Otherwise it was merely at hand, and makes room for what the queue names first and is not read yet: two long
        songs that fill the memory would follow one another for ever.
        """
        first = next((name for name in ahead if name not in self._refused), coming.loop_id)
        return coming.loop_id == first

    def plan(self, sounding: Sequence[Loop], ahead: Iterable[str], previous: Loop | None, held: Iterable[str]) -> Plan:
        """What should be in memory.

        Parameters
        ----------
        sounding
            The loop that sounds and the one that it is changing to, or shall go back to.
        ahead
            The order of what may come, by name.
        previous
            The song before, for ``back``.
        held
            What lies in memory now.
        """
        known = {**self._received, **self._queue}
        order = {loop.loop_id: loop for loop in sounding}
        for name in (*ahead, *known):
            if name in known and name not in self._refused:
                order.setdefault(name, known[name])
        if previous is not None:
            order.setdefault(previous.loop_id, previous)
        keep, used = [], 0
        for number, loop in enumerate(order.values()):
            if number < max(AT_LEAST, len(sounding)) or used + loop.frames <= ROOM_FRAMES:
                keep.append(loop)
                used += loop.frames
        there = set(held)
        return Plan(tuple(loop for loop in keep if loop.loop_id not in there), frozenset(loop.loop_id for loop in keep))
