"""Changing the programme by words: for the station's command, and for the command line where no station runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from msgspec.structs import replace

from services.controller.programme.clock import USUAL_EVERY_MIN, Programme, Slot, check_slot, check_time
from services.controller.programme.store import open_programme, save_programme
from shared.errors import UsageError
from shared.paths import Paths

Change: TypeAlias = Callable[[Programme], Programme]


def programme_change(arguments: Mapping[str, Any]) -> tuple[Change | None, str]:
    """What a ``programme`` command does to the programme, and its answer; nothing where it only asks.

    Raises
    ------
    UsageError
        An action, a time, prompts or a number that it does not take.
    """
    match arguments.get("action", "list"):
        case "list":
            return None, ""
        case "add":
            slot = _slot(arguments)
            turns = f", each for {slot.every_min} minutes" if len(slot.prompts) > 1 else ""
            named = ", then ".join(f"“{prompt}”" for prompt in slot.prompts)
            return lambda programme: programme.add(slot), f"From {slot.at} on every day: {named}{turns}."
        case "remove":
            at = check_time(str(arguments.get("at", "")))
            return lambda programme: programme.remove(at), f"Nothing begins at {at} any more."
        case "on":
            return lambda programme: replace(programme, on=True), "The programme is on: what the clock asks for plays."
        case "off":
            return lambda programme: replace(programme, on=False), "The programme is off: this prompt stays."
        case other:
            raise UsageError(f"programme takes list, add, remove, on or off, not {other!r}.")


def change_programme(paths: Paths, change: Change | None) -> Programme:
    """Read the programme, change it where there is a change, and write it."""
    programme, _ = open_programme(paths)
    if change is not None:
        programme = change(programme)
        save_programme(paths, programme)
    return programme


def told(programme: Programme) -> str:
    """The programme in words, an entry a line."""
    if not programme.slots:
        return 'The programme is empty: `infiniloop programme add 07:00 "calm piano"` begins one.'
    lines = [f"The programme is {'on' if programme.on else 'off'}."]
    for slot in programme.slots:
        turns = f"  (each for {slot.every_min} min)" if len(slot.prompts) > 1 else ""
        lines.append(f"  {slot.at}  {' → '.join(slot.prompts)}{turns}")
    return "\n".join(lines)


def idle(programme: Programme, action: object) -> bool:
    """Whether an entry was added to a programme that nobody follows."""
    return action == "add" and not programme.on


def as_data(programme: Programme) -> dict[str, Any]:
    """The programme as its JSON keys say it."""
    slots = [{"at": slot.at, "prompts": list(slot.prompts), "every_min": slot.every_min} for slot in programme.slots]
    return {"on": programme.on, "slots": slots}


def _slot(arguments: Mapping[str, Any]) -> Slot:
    prompts, every = arguments.get("prompts"), arguments.get("every", USUAL_EVERY_MIN)
    if not isinstance(prompts, list | tuple) or not all(isinstance(each, str) for each in prompts):
        raise UsageError('An entry takes a time and prompts, as in `infiniloop programme add 07:00 "calm piano"`.')
    if not isinstance(every, int) or isinstance(every, bool):
        raise UsageError("Prompts of an entry take turns every so many whole minutes.")
    return check_slot(Slot(at=str(arguments.get("at", "")), prompts=tuple(prompts), every_min=every))
