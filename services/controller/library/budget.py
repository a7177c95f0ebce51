"""What the library lets go of when its room is full: the audio of what nobody likes, the oldest first.

Favourites never go and do not count. What is known of a loop stays when its audio goes: it can be made again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Stored:
    """A loop's audio in the library's folder."""

    loop_id: str
    bytes: int
    added: float
    liked: bool = False
    disliked: bool = False


def surplus(
    stored: Iterable[Stored], *, budget: int, database: int, short_of_disk: int, needed: Collection[str] = ()
) -> list[Stored]:
    """What goes, in this order: what is disliked, then the oldest. Pure.

    Parameters
    ----------
    budget : bytes for the database and the audio of what is not liked.
    database : bytes of the database.
    short_of_disk : bytes by which the free disk is below what the listener wants; 0 if it is not.
    needed : loops that sound or are named to the player.
    """
    unliked = [each for each in stored if not each.liked]
    over = max(sum(each.bytes for each in unliked) + database - budget, short_of_disk)
    going = []
    for each in sorted(unliked, key=lambda one: (not one.disliked, one.added, one.loop_id)):
        if over <= 0:
            break
        if each.loop_id not in needed:
            going.append(each)
            over -= each.bytes
    return going
