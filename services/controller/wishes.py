"""What the listener's words change in the station's memory: a new prompt, more of this, this one changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from services.controller.matching import matching
from services.controller.state import StationState
from services.controller.stock import Stock
from shared.errors import InfiniLoopError
from shared.messages import PROMPT_LIMIT
from shared.music import Loop

Pace: TypeAlias = Literal["now", "soon", "after"]
SONGS_LIKE_THIS = 2
"""``more`` has so many songs grow out of the one that sounds."""


def new_prompt(state: StationState, prompt: str, pace: Pace = "now") -> None:
    """Begin a new epoch; presets are drawn no more, unless they are who asks."""
    state.prompt, state.preset = prompt, ""
    state.epoch += 1
    state.fresh, state.drawn, state.anchor = (), (), ""
    state.chosen, state.summoned = (), ""
    state.parent, state.growing = "", 0
    state.hold, state.pace = False, pace
    state.bridge_seed, state.bridges_refused = None, 0
    state.songs_heard, state.surprise = 0, False


def draw(state: StationState, stock: Stock, loops: Iterable[Loop]) -> Loop | None:
    """Have the loop that suits the new prompt best play for it, until its first song is made."""
    found = matching(state.prompt, (loop for loop in loops if loop.loop_id != stock.sounding_id))
    for loop in found:
        stock.draw(loop)
    return found[0] if found else None


def nudge(state: StationState, stock: Stock, words: str) -> str:
    """Ask for what plays, changed by these words; returns the new prompt. Its first song grows out of what plays."""
    parent, preset = _playing_for(state, stock), state.preset
    new_prompt(state, nudged(state.prompt, words))
    state.preset = preset
    if parent is not None:
        state.parent, state.growing = parent.loop_id, 1
    return state.prompt


def more(state: StationState, stock: Stock) -> Loop:
    """Ask for more like the loop that sounds: what waits stands back for songs that grow out of it.

    Raises
    ------
    InfiniLoopError
        Nothing sounds that anything could grow out of.
    """
    loop = stock.sounding
    if loop is None or loop.recipe is None:
        raise InfiniLoopError("There is nothing to make more of yet: wait for the first song, or say what to play.")
    if loop.recipe.prompt != state.prompt:
        new_prompt(state, loop.recipe.prompt, "soon")
        stock.draw(loop)
    state.fresh, state.surprise = (), False
    state.parent = state.anchor = loop.loop_id
    state.growing, state.bridge_seed = SONGS_LIKE_THIS, None
    if not loop.bridge:
        state.backend = loop.recipe.backend
    return loop


def nudged(prompt: str, words: str) -> str:
    """The prompt with these words after it; where it grows too long, the oldest words but the first go."""
    clauses = [clause.strip() for clause in f"{prompt}, {words}".split(",") if clause.strip()]
    while len(", ".join(clauses)) > PROMPT_LIMIT and len(clauses) > 2:
        del clauses[1]
    return ", ".join(clauses)[:PROMPT_LIMIT]


def _playing_for(state: StationState, stock: Stock) -> Loop | None:
    """The loop to be changed: what sounds, if it was made for this prompt, else the first that was."""
    for loop in (stock.sounding, stock.find(state.anchor)):
        if loop is not None and loop.recipe is not None and state.prompt.startswith(loop.recipe.prompt):
            return loop
    return None
