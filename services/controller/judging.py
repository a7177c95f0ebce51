"""The commands about loops, of the library and of what plays: library, like, dislike, play, again.

A listener who reacts after the moment has passed means the loop before: ``previous``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from services.controller.effects import Delete
from services.controller.library import DISLIKED, LIKED, NEUTRAL, Entry, Library
from services.controller.library.entry import described
from services.controller.library.inquiries import Finding, inquire, judge, judged, quoted
from services.controller.outcomes import Asked, Consult, Done, Outcome
from services.controller.remaking import remake
from shared.errors import InfiniLoopError, UsageError
from shared.music import Loop

SEEDS = 2**31


def _library(asked: Asked) -> Outcome:
    what = asked.text("do") or "search"
    arguments = {name: value for name, value in asked.arguments.items() if name != "do"}

    def then(found: Finding) -> Done:
        if what != "delete":
            return Done(found.text, data=found.data)
        files = tuple(Path(file) for file in found.data["files"])
        effects = asked.station.forget(found.data["loop_id"], asked.now)
        return Done(found.text, [*effects, Delete(files)], found.data)

    return Consult(lambda library: inquire(library, what, arguments), then)


def _like(asked: Asked) -> Outcome:
    return _judge(asked, NEUTRAL if asked.arguments.get("undo") else LIKED)


def _dislike(asked: Asked) -> Outcome:
    return _judge(asked, NEUTRAL if asked.arguments.get("undo") else DISLIKED)


def _judge(asked: Asked, verdict: int) -> Outcome:
    name = meant(asked)

    def then(entry: Entry) -> Done:
        station = asked.station
        disliked = verdict == DISLIKED
        effects = station.dislike(entry.loop_id, asked.now) if disliked else station.pardon(entry.loop_id, asked.now)
        return Done(judged(entry), effects, {"loop": described(entry)})

    return Consult(lambda library: judge(library, name, verdict), then)


def _play(asked: Asked) -> Outcome:
    name = asked.text("loop")
    if name is None:
        raise UsageError("Say which loop to play: its number, identifier or title.")

    def then(found: tuple[Entry, Loop]) -> Done:
        entry, loop = found
        already = asked.station.stock.sounding_id == loop.loop_id
        text = f"{quoted(entry)} plays already." if already else f"On to {quoted(entry)} at the next bar."
        return Done(text, asked.station.play(loop, asked.now), {"loop": described(entry)})

    return Consult(lambda library: playable(library, name), then)


def _again(asked: Asked) -> Outcome:
    name, seed = meant(asked), asked.arguments.get("seed")
    if seed is not None and (type(seed) is not int or not 0 <= seed < SEEDS):
        raise UsageError(f"seed takes a whole number from 0 to {SEEDS - 1}.")
    if asked.arguments.get("new_seed"):
        seed = asked.station.new_seed()

    def look(library: Library) -> tuple[Entry, Loop, Loop | None, Loop | None]:
        entry = library.find(name)
        loop = library.record(entry.loop_id)
        if loop is None:
            raise InfiniLoopError(f"What was known of {quoted(entry)} cannot be read, so it cannot be made again.")
        grew = loop.recipe.parent_clip if loop.recipe is not None else None
        return entry, loop, library.loop(entry.loop_id), library.record(grew) if grew else None

    def then(found: tuple[Entry, Loop, Loop | None, Loop | None]) -> Done:
        entry, loop, there, parent = found
        station, data = asked.station, {"loop": described(entry), "seed": entry.seed}
        if seed is None and there is not None and entry.verdict != DISLIKED and entry.seed is not None:
            already = station.stock.sounding_id == there.loop_id
            where = "plays already" if already else "is still in the library and plays at the next bar"
            text = f"{quoted(entry)} {where}; --new-seed makes another one."
            return Done(text, station.play(there, asked.now), data | {"made": False})
        job = remake(loop, parent, seed)
        offer = station.foreman.workers.backends().get(job.backend)
        if offer is None or not offer.available:
            why = offer.reason if offer is not None else "no generator offers it now."
            raise InfiniLoopError(f"{quoted(entry)} was made by {job.backend}, which cannot work here now: {why}")
        how = "with another seed" if seed is not None else "as it was" if job.seed is not None else "by the same words"
        text = f"Making {quoted(entry)} again {how}: it plays when it is ready."
        return Done(text, station.again(job, asked.now), data | {"made": True, "seed": job.seed})

    return Consult(look, then)


def playable(library: Library, name: str) -> tuple[Entry, Loop]:
    """A loop that can be played.

    Raises
    ------
    InfiniLoopError
        The listener dislikes it, or its audio is no longer there.
    """
    entry = library.find(name)
    if entry.verdict == DISLIKED:
        raise InfiniLoopError(
            f"You dislike {quoted(entry)}, so it does not play: `infiniloop like {entry.number}` changes that."
        )
    loop = library.loop(entry.loop_id)
    if loop is None:
        raise InfiniLoopError(
            f"The audio of {quoted(entry)} is no longer there: `infiniloop again {entry.number}` makes it once more."
        )
    return entry, loop


def meant(asked: Asked) -> str:
    """The loop that is meant: the one named, the one that sounds, or the one before it.

    Raises
    ------
    InfiniLoopError
        Nothing sounds or sounded, or it is a loop that ships with the station.
    """
    name, previous = asked.text("loop"), bool(asked.arguments.get("previous"))
    if name is not None:
        if previous:
            raise UsageError("Name a loop or say --previous, not both.")
        return name
    loop = asked.station.previous() if previous else asked.station.sounding
    if loop is None:
        raise InfiniLoopError("There is no earlier loop yet." if previous else "Nothing plays yet: try in a moment.")
    if loop.startup:
        raise InfiniLoopError("That loop ships with the station: it is not in the library, and is always there.")
    return loop.loop_id


JUDGING: Mapping[str, Callable[[Asked], Outcome]] = MappingProxyType(
    {"library": _library, "like": _like, "dislike": _dislike, "play": _play, "again": _again}
)
