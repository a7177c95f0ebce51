"""The loops at hand, and which of them comes next and why.

The order is the controller's: what follows the current loop in its queue, then what has come and was not asked for yet,
then the queue from its beginning. So with the controller gone the station goes round the loops that it holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from services.player.store import LoadedLoop
from shared.messages import Wanted
from shared.music import Loop

_HISTORY = 16
Why: TypeAlias = Literal["skip", "back", "prompt", "startup", "bridge", "due"]


@dataclass(frozen=True, slots=True)
class Target:
    """The song to change to, why, and the listener's counters that this answers."""

    loaded: LoadedLoop
    why: Why
    skips: int
    backs: int


class Shelf:
    """Holds loops and the wanted state; the counters of a state that is new to it count as done."""

    def __init__(self, first: LoadedLoop, wanted: Wanted) -> None:
        self.wanted = wanted
        self.skips_done, self.backs_done = wanted.skips, wanted.backs
        self._held = {first.loop_id: first}
        self._history: list[Loop] = []

    @property
    def held(self) -> tuple[str, ...]:
        return tuple(self._held)

    @property
    def previous(self) -> Loop | None:
        """The song before this one, at hand or not."""
        return self._history[-1] if self._history else None

    def add(self, loaded: LoadedLoop) -> None:
        """Take a loop in; one that is held already stays as it is."""
        self._held.setdefault(loaded.loop_id, loaded)

    def keep(self, loops: Iterable[str]) -> None:
        """Let go of all loops but these."""
        kept = set(loops)
        self._held = {loop_id: loaded for loop_id, loaded in self._held.items() if loop_id in kept}

    def want(self, wanted: Wanted) -> None:
        """The wanted state, whole. A ``back`` with nothing to go back to is answered by staying."""
        self.wanted = wanted
        # A loop of an earlier prompt may be wanted for this one: what is said of it now holds.
        named = {loop.loop_id: loop for loop in wanted.queue}
        self._held = {
            loop_id: replace(loaded, loop=named.get(loop_id, loaded.loop)) for loop_id, loaded in self._held.items()
        }
        self._history = [loop for loop in self._history if loop.loop_id not in wanted.unwanted]
        # Counters that fell belong to a controller that began anew.
        self.skips_done = min(self.skips_done, wanted.skips)
        self.backs_done = min(self.backs_done, wanted.backs)
        if self.previous is None:
            self.backs_done = wanted.backs

    def entered(self, target: Target, left: Loop) -> None:
        """The change to ``target`` is made; ``left`` is the loop that it came from."""
        self.skips_done, self.backs_done = target.skips, target.backs
        if target.why == "back":
            self._history = self._history[:-1]
        else:
            heard = [*self._history, left] if left.loop_id not in self.wanted.unwanted else self._history
            self._history = heard[-_HISTORY:]

    def target(self, current: LoadedLoop) -> Target | None:
        """The change that is to come from ``current``, or None where it stays."""
        order = self.order(current)
        wish = self._wish(current, order)
        if wish is not None or not order or self.wanted.hold:
            return wish
        fresh = next((loaded for loaded in order if not loaded.loop.startup), None)
        if current.loop.startup and fresh is not None:
            return self._target(fresh, "startup")
        asked = (loaded for loaded in order if not loaded.loop.bridge and not loaded.loop.startup)
        better = next((loaded for loaded in asked if loaded.loop.epoch >= current.loop.epoch), None)
        if current.loop.bridge and better is not None:
            return self._target(better, "bridge")
        return self._target(order[0], "due")

    def _wish(self, current: LoadedLoop, order: list[LoadedLoop]) -> Target | None:
        """What the listener asked for: back, skip, or another prompt."""
        wanted, previous = self.wanted, self.previous
        if wanted.backs > self.backs_done and previous is not None and previous.loop_id in self._held:
            return self._target(self._held[previous.loop_id], "back")
        steps = wanted.skips - self.skips_done
        if steps > 0 and order:
            return self._target(order[min(steps, len(order)) - 1], "skip")
        # The queue says for which prompt a loop is played now: one out of the library was made for another.
        named = {loop.loop_id: loop.epoch for loop in wanted.queue}
        if order and current.loop_id not in named and order[0].loop_id in named:
            return self._target(order[0], "prompt") if named[order[0].loop_id] > current.loop.epoch else None
        return None

    def order(self, current: LoadedLoop) -> list[LoadedLoop]:
        """All other loops at hand, the next one first."""
        ids = self.names_ahead(current.loop_id)
        return [self._held[loop_id] for loop_id in ids if loop_id in self._held]

    def names_ahead(self, current: str) -> list[str]:
        """The order of what may come, of the loops that the queue names and of those at hand."""
        named = [loop.loop_id for loop in self.wanted.queue]
        at = named.index(current) if current in named else -1
        others = [loop_id for loop_id in self._held if loop_id not in named]
        before = {loop.loop_id for loop in self._history}
        new = [loop_id for loop_id in others if loop_id not in before]
        heard = [loop_id for loop_id in others if loop_id in before]
        ahead = [*named[at + 1 :], *new, *named[: max(at, 0)], *heard]
        unwanted = (current, *self.wanted.unwanted)
        return [loop_id for loop_id in dict.fromkeys(ahead) if loop_id not in unwanted]

    def _target(self, loaded: LoadedLoop, why: Why) -> Target:
        return Target(loaded, why, self.wanted.skips, self.wanted.backs)
