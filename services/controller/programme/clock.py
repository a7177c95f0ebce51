"""Which prompt the clock asks for. Pure: a function of the programme and of the time on the wall.

An entry holds from its time until the next entry's, across midnight too. Times are those on the listener's wall: on the
night when an hour is repeated the programme does not go back, and what lies in an hour that is left out begins with the
next one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from shared.errors import UsageError
from shared.messages import PROMPT_LIMIT

MOST_SLOTS = 48
MOST_PROMPTS = 24
EVERY_MIN = (5, 720)
USUAL_EVERY_MIN = 30
_TIME = re.compile(r"(\d{1,2})(?::(\d{2}))?")
_SET_BACK = timedelta(hours=2)
"""What was applied lies further ahead than a repeated hour explains: the clock was set, and its word counts anew."""


class Slot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """From ``at`` on these prompts, one after the other."""

    at: str
    """``07:00``."""
    prompts: tuple[str, ...]
    every_min: int = USUAL_EVERY_MIN
    """Of several prompts each plays for so many minutes."""

    @property
    def minute(self) -> int:
        """Of the day."""
        hours, minutes = self.at.split(":")
        return 60 * int(hours) + int(minutes)


class Programme(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A listener's day, its entries in the order of the clock."""

    on: bool = True
    slots: tuple[Slot, ...] = ()

    def add(self, slot: Slot) -> Programme:
        """With this entry; one of the same time gives way to it."""
        kept = [each for each in self.slots if each.at != slot.at]
        if len(kept) >= MOST_SLOTS:
            raise UsageError(f"The programme has {MOST_SLOTS} entries, which is as many as it takes: remove one first.")
        return msgspec.structs.replace(self, slots=tuple(sorted([*kept, slot], key=lambda each: each.minute)))

    def remove(self, at: str) -> Programme:
        """Without the entry of this time."""
        kept = tuple(slot for slot in self.slots if slot.at != at)
        if len(kept) == len(self.slots):
            times = ", ".join(slot.at for slot in self.slots) or "it is empty"
            raise UsageError(f"Nothing begins at {at} in the programme: {times}.")
        return msgspec.structs.replace(self, slots=kept)


@dataclass(frozen=True)
class Due:
    """What the clock asks for."""

    since: str
    """The moment from which on it does, ``2026-03-01T07:00``: such moments are ordered as text."""
    prompt: str


def due(programme: Programme, wall: datetime) -> Due | None:
    """What the programme asks for at this time on the wall; None where it is off or empty."""
    if not programme.on or not programme.slots:
        return None
    wall = wall.replace(tzinfo=None)
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    begun = [(midnight + timedelta(minutes=slot.minute), slot) for slot in programme.slots]
    since, slot = max(
        ((at if at <= wall else at - timedelta(days=1), slot) for at, slot in begun), key=lambda pair: pair[0]
    )
    every = timedelta(minutes=slot.every_min)
    turn = int((wall - since) / every) if len(slot.prompts) > 1 else 0
    return Due((since + turn * every).isoformat(timespec="minutes"), slot.prompts[turn % len(slot.prompts)])


def coming(programme: Programme, wall: datetime) -> Due | None:
    """What the programme asks for next; None where it is off, or asks for nothing else."""
    now = due(programme, wall)
    if now is None:
        return None
    since = datetime.fromisoformat(now.since)
    turns = [slot.every_min for slot in programme.slots if now.prompt in slot.prompts and len(slot.prompts) > 1]
    ends = [_next(slot, wall) for slot in programme.slots]
    found = due(programme, min([*ends, *(since + timedelta(minutes=every) for every in turns)]))
    return found if found is not None and found.prompt != now.prompt else None


def _next(slot: Slot, wall: datetime) -> datetime:
    """When this entry begins next."""
    wall = wall.replace(tzinfo=None)
    today = wall.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(minutes=slot.minute)
    return today if today > wall else today + timedelta(days=1)


def news(programme: Programme, wall: datetime, applied: str) -> Due | None:
    """What is due and was not applied yet; ``applied`` is the moment of what was applied last."""
    found = due(programme, wall)
    if found is None or found.since == applied:
        return None
    ahead = (wall.replace(tzinfo=None) + _SET_BACK).isoformat(timespec="minutes")
    return found if not applied or found.since > applied or applied > ahead else None


def check_time(given: str) -> str:
    """``7:00``, ``07:00`` or ``7`` as ``07:00``.

    Raises
    ------
    UsageError
        It is no time of day.
    """
    found = _TIME.fullmatch(given.strip())
    hours, minutes = (int(found[1]), int(found[2] or 0)) if found else (99, 0)
    if hours > 23 or minutes > 59:
        raise UsageError(f"{given!r} is no time of day: write it like 07:00 or 22:30.")
    return f"{hours:02}:{minutes:02}"


def check_slot(slot: Slot) -> Slot:
    """The entry, its parts brought into their form.

    Raises
    ------
    UsageError
        A time, prompt or number that is not taken.
    """
    prompts = tuple(" ".join(prompt.split()) for prompt in slot.prompts)
    if not prompts or not all(1 <= len(prompt) <= PROMPT_LIMIT and prompt.isprintable() for prompt in prompts):
        raise UsageError(f"An entry of the programme needs prompts of 1 to {PROMPT_LIMIT:,} characters.")
    if len(prompts) > MOST_PROMPTS:
        raise UsageError(f"An entry takes up to {MOST_PROMPTS} prompts, not {len(prompts)}.")
    low, high = EVERY_MIN
    if not low <= slot.every_min <= high:
        raise UsageError(f"Prompts of an entry take turns every {low} to {high} minutes, not every {slot.every_min}.")
    return Slot(at=check_time(slot.at), prompts=prompts, every_min=slot.every_min)
