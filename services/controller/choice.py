"""What goes well with what: which loop comes next, and what the next job asks for. Pure.

Two tempos go together within 6 % after halving or doubling one; two keys when they are neighbours on the circle of
fifths, or relative to one another, as on a DJ's wheel.
"""

from __future__ import annotations

import functools
import heapq
import re
from collections.abc import Container, Iterable, Sequence
from random import Random

from services.controller.named import named_key, named_tempo
from shared.music import Loop

QUEUE = 5
"""Loops that are named to the player: what sounds, and what comes next."""
TEMPO_TOLERANCE = 0.06
_PITCHES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_KEY = re.compile(r"^([A-Ga-g])([#♯b♭]?)\s*(m|min|minor|maj|major|M)?$")


def tempo_distance(first: float, second: float) -> float:
    """How far two tempos are apart as a fraction, after the best of halving, doubling and leaving."""
    return min(abs(second * factor / first - 1.0) for factor in (0.5, 1.0, 2.0))


@functools.cache
def wheel_place(key: str) -> tuple[int, bool] | None:
    """A key's hour on the circle of fifths (0–11) and whether it is minor; relative keys share an hour."""
    found = _KEY.match(key.strip())
    if found is None:
        return None
    pitch = _PITCHES[found[1].upper()] + {"#": 1, "♯": 1, "b": -1, "♭": -1}.get(found[2], 0)
    minor = (found[3] or "") in ("m", "min", "minor")
    return (7 * (pitch + (3 if minor else 0))) % 12, minor


@functools.cache
def key_distance(first: str, second: str) -> float:
    """0 for the same key, 0.5 for its relative, then steps on the wheel."""
    one, other = wheel_place(first), wheel_place(second)
    if one is None or other is None:
        return 2.0
    steps = abs(one[0] - other[0])
    return min(steps, 12 - steps) + (0.5 if one[1] != other[1] else 0.0)


def misfit(first: Loop | None, second: Loop) -> float:
    """How badly ``second`` follows ``first``: 0 is perfect, below 1 it blends, above 2 it jars."""
    if first is None:
        return 0.0
    cost = 0.5
    if first.bpm and second.bpm:
        apart = tempo_distance(first.bpm, second.bpm)
        cost = apart / TEMPO_TOLERANCE * 0.5 if apart <= TEMPO_TOLERANCE else 1.0 + min(1.0, 4 * apart)
    if first.key and second.key:
        cost += 0.25 * min(4.0, key_distance(first.key, second.key))
    else:
        cost += 0.25
    return cost


def order(first: Loop | None, candidates: Iterable[Loop], most: int) -> list[Loop]:
    """At most ``most`` candidates, each the one that follows the last best; of equals the earlier one."""
    left = list(candidates)
    chosen: list[Loop] = []
    while left and len(chosen) < most:
        best = min(left, key=lambda loop: misfit(first, loop))
        left.remove(best)
        chosen.append(best)
        first = best
    return chosen


def replays(sounding: Loop | None, shelf: Iterable[Loop], history: Sequence[str], most: int) -> list[Loop]:
    """Loops to play again, those heard longest ago first, a bridge last."""
    heard = {loop_id: place for place, loop_id in enumerate(history)}

    def place(loop: Loop) -> tuple[bool, int, float]:
        at = heard.get(loop.loop_id)
        # Only those that nobody has heard yet are equals.
        return (loop.bridge, -1, misfit(sounding, loop)) if at is None else (loop.bridge, at, 0.0)

    others = (loop for loop in shelf if sounding is None or loop.loop_id != sounding.loop_id)
    return heapq.nsmallest(most, others, key=place)


def line_up(
    sounding_id: str,
    fresh: Iterable[Loop],
    shelf: Iterable[Loop],
    epoch: int,
    history: Sequence[str],
    *,
    held: Container[str] = (),
    as_made: bool = False,
    stay: bool = False,
) -> tuple[Loop, ...]:
    """The queue: what sounds, then what nobody has heard yet by how well it follows, then what may be heard again.

    Parameters
    ----------
    fresh : loops of this prompt that have not sounded yet.
    shelf : every loop that can be played, those of ``fresh`` and the one that sounds among them.
    history : names of what sounded, oldest first.
    held : names of the loops that the player has read.
    as_made : songs grew out of one another and follow in that order, whatever would fit better.
    stay : a song of an earlier prompt that sounds is heard to its end, though this one can be heard already.
    """
    at_hand = {loop.loop_id: loop for loop in shelf}
    sounding = at_hand.pop(sounding_id, None)
    unheard = [loop for loop in fresh if loop.loop_id != sounding_id]
    for loop in unheard:
        at_hand.pop(loop.loop_id, None)
    followed = sounding if sounding is not None and sounding.epoch == epoch else None
    # A bridge is there for the wait: where that is over, it is not wanted any more. It is over when the player has read
    # a song: it may be about to go to the bridge, and would wait for the bar after the song's arrival instead.
    asked = [loop for loop in unheard if not loop.bridge]
    songs = (asked[: QUEUE - 1] if as_made else order(followed, asked, QUEUE - 1)) or unheard[:1]
    if not any(loop.loop_id in held for loop in asked):
        meanwhile = [loop for loop in unheard if loop.bridge and loop.loop_id in held and loop not in songs]
        songs = [*meanwhile[:1], *songs][: QUEUE - 1]
    # Of an earlier prompt only where this one has nothing else: what there is keeps the music going.
    of_prompt = [loop for loop in at_hand.values() if loop.epoch == epoch]
    again = replays(sounding, of_prompt if of_prompt or songs else at_hand.values(), history, QUEUE - 1 - len(songs))
    # What was made for an earlier prompt is not named any more once this one can be heard: the player leaves it then.
    stays = sounding is not None and (sounding.epoch == epoch or not songs or stay)
    return (*([sounding] if sounding is not None and stays else []), *songs, *again)


def chosen_first(queue: Sequence[Loop], sounding_id: str, chosen: Sequence[Loop]) -> tuple[Loop, ...]:
    """The queue with what the listener asked for by name right after what sounds."""
    now = [loop for loop in queue if loop.loop_id == sounding_id]
    named = {loop.loop_id for loop in (*now, *chosen)}
    return (*now, *chosen, *(loop for loop in queue if loop.loop_id not in named))[:QUEUE]


def ask_for(anchor: Loop | None, prompt: str, dice: Random) -> tuple[float | None, str | None]:
    """Tempo and key for the next job, such that it fits what this prompt has brought so far.

    Where the prompt names a tempo or key itself, that is left to it. The anchor is the prompt's first loop, so that the
    station does not drift away from it song by song.
    """
    if anchor is None:
        return None, None
    bpm = None if anchor.bpm is None or named_tempo(prompt) else round(anchor.bpm * dice.uniform(0.97, 1.03), 1)
    key = None if anchor.key is None or named_key(prompt) else neighbour(anchor.key, dice)
    return bpm, key


def neighbour(key: str, dice: Random) -> str | None:
    """This key, its relative, or the next one up or down the wheel, in the same words: ``Am``, ``F``."""
    place = wheel_place(key)
    if place is None:
        return None
    hour, minor = place
    step, turned = dice.choice(((0, False), (0, True), (1, False), (-1, False)))
    minor ^= turned
    major_pitch = ((hour + step) * 7) % 12
    return f"{_NAMES[(major_pitch - 3) % 12]}m" if minor else _NAMES[major_pitch]
