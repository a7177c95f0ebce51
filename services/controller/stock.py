"""The loops at hand: which of them sounds, which sounded, which nobody has heard yet. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from services.controller.effects import Effect, Heard
from services.controller.naming import named
from services.controller.state import HISTORY, StationState
from shared.music import Loop

SONGS_REMEMBERED = 8
INVITED = 50
DISLIKED_TOLD = 64
AT_HAND = 300
"""Loops on the shelf; what does not fit is in the library all the same."""


class Stock:
    """What can be played, and where in it the station stands.

    Parameters
    ----------
    state : what is remembered over restarts; ``fresh``, ``history`` and ``unshelved`` are kept here.
    shelf : the loops whose files are there.
    """

    def __init__(self, state: StationState, shelf: Iterable[Loop]) -> None:
        self._state = state
        self.shelf: dict[str, Loop] = {loop.loop_id: loop for loop in shelf}
        self.sounding_id = ""
        self._songs: dict[str, Loop] = {}
        for loop in state.unshelved:
            self.shelf.setdefault(loop.loop_id, loop)
        for loop_id in state.drawn:
            if loop_id in self.shelf:
                self.shelf[loop_id] = replace(self.shelf[loop_id], epoch=state.epoch)

    @property
    def sounding(self) -> Loop | None:
        """The loop that sounds, where it is known."""
        return self.find(self.sounding_id)

    @property
    def fresh(self) -> list[Loop]:
        """Loops of this prompt that nobody has heard, in the order of their arrival."""
        return [self.shelf[loop_id] for loop_id in self._state.fresh if loop_id in self.shelf]

    def previous(self) -> Loop | None:
        """The loop that sounded before this one."""
        unwanted = {self.sounding_id, *self._state.disliked}
        earlier = [loop_id for loop_id in self._state.history if loop_id not in unwanted]
        return next((found for loop_id in reversed(earlier) if (found := self.find(loop_id))), None)

    def find(self, loop_id: str) -> Loop | None:
        return self.shelf.get(loop_id) or self._songs.get(loop_id)

    def of_epoch(self, epoch: int) -> list[Loop]:
        return [loop for loop in self.shelf.values() if loop.epoch == epoch]

    def needed(self, held: Iterable[str], queue: Iterable[Loop]) -> set[str]:
        """Loops whose files must stay: named to the player, held by it, not heard yet, or heard last."""
        recent = {loop.loop_id for loop in (self.sounding, self.previous()) if loop is not None}
        return {*held, *recent, *self._state.fresh, *self._state.chosen, *(loop.loop_id for loop in queue)}

    def accept(self, loop: Loop) -> Loop:
        """A new loop is there, and gets its name. One of an older prompt stays on the shelf, but not at the front."""
        loop, state = named(loop, self.shelf.values()), self._state
        self.shelf[loop.loop_id] = loop
        state.unshelved += (loop,)
        if loop.epoch == state.epoch and loop.loop_id not in state.history:
            state.fresh += (loop.loop_id,)
            if not loop.bridge:
                state.parent, state.growing = loop.loop_id, max(0, state.growing - 1)
            anchor = self.find(state.anchor)
            if anchor is None or (anchor.bridge and not loop.bridge):
                state.anchor = loop.loop_id
        return loop

    def draw(self, loop: Loop) -> None:
        """Have a loop of an earlier prompt play for this one."""
        state = self._state
        self.shelf[loop.loop_id] = replace(loop, epoch=state.epoch)
        state.drawn = (*state.drawn, loop.loop_id)
        if loop.loop_id != self.sounding_id and loop.loop_id not in state.fresh:
            state.fresh = (*state.fresh, loop.loop_id)

    def invite(self, loops: Iterable[Loop]) -> None:
        """Have loops of the library play for this prompt where it has nothing new: they come among what is heard again.

        They are not songs ahead: more is made all the same.
        """
        state = self._state
        for loop in loops:
            if loop.loop_id not in state.disliked and loop.loop_id not in self.shelf:
                self.shelf[loop.loop_id] = replace(loop, epoch=state.epoch)
                state.drawn = (*state.drawn, loop.loop_id)[-INVITED:]

    def choose(self, loop: Loop) -> None:
        """The listener wants to hear this loop: it comes first, whatever it was made for, and is no bridge now."""
        state = self._state
        self.shelf[loop.loop_id] = replace(loop, epoch=state.epoch, bridge=False)
        if loop.loop_id != self.sounding_id:
            state.drawn = (*state.drawn, loop.loop_id)[-INVITED:]
            state.chosen = (loop.loop_id, *(each for each in state.chosen if each != loop.loop_id))
            state.summoned = loop.loop_id

    def dislike(self, loop_id: str) -> None:
        """This loop never plays again."""
        state = self._state
        self.forget(loop_id)
        state.disliked = (*(each for each in state.disliked if each != loop_id), loop_id)[-DISLIKED_TOLD:]

    def forget(self, loop_id: str) -> None:
        """The library has let go of this loop."""
        state = self._state
        self.shelf.pop(loop_id, None)
        for name in ("fresh", "drawn", "chosen"):
            setattr(state, name, tuple(each for each in getattr(state, name) if each != loop_id))
        state.summoned = "" if state.summoned == loop_id else state.summoned
        state.parent = "" if state.parent == loop_id else state.parent

    def know(self, loop: Loop) -> None:
        """The player tells of a loop that it plays, which may have left the shelf."""
        self._songs[loop.loop_id] = loop
        while len(self._songs) > SONGS_REMEMBERED:
            self._songs.pop(next(iter(self._songs)))

    def drop(self, loop_ids: Iterable[str]) -> None:
        """These files are gone."""
        for loop_id in loop_ids:
            self.shelf.pop(loop_id, None)

    def moved(self, loop: Loop) -> None:
        """The library keeps this loop's audio now: it is played from there."""
        if known := self.shelf.get(loop.loop_id):
            self.shelf[loop.loop_id] = replace(known, path=loop.path, codes_path=loop.codes_path)

    def trim(self, needed: set[str]) -> None:
        """Put the oldest back into the library where more are at hand than anybody chooses from."""
        for loop_id in [each for each in self.shelf if each not in needed][: max(0, len(self.shelf) - AT_HAND)]:
            del self.shelf[loop_id]

    def sounds(self, loop_id: str) -> list[Effect] | None:
        """This loop sounds now; None if nothing has changed."""
        if not loop_id or loop_id == self.sounding_id:
            return None
        self.sounding_id = loop_id
        state = self._state
        state.fresh = tuple(each for each in state.fresh if each != loop_id)
        state.chosen = tuple(each for each in state.chosen if each != loop_id)
        if state.history[-1:] == (loop_id,):
            return []
        state.history = (*state.history, loop_id)[-HISTORY:]
        loop = self.shelf.get(loop_id)
        state.songs_heard += loop is not None and not loop.bridge and loop.epoch == state.epoch
        return [Heard(loop_id)] if loop_id in self.shelf else []
