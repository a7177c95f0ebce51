"""The commands that steer by words and by the clock: nudge, more, surprise, sleep, programme."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from services.controller.naming import name_of
from services.controller.outcomes import Asked, Done, Outcome, WithFiles
from services.controller.programme import Programme, as_data, change_programme, idle, programme_change, told
from services.controller.sleeping import LONGEST_S, SHORTEST_S
from services.controller.surprises import Surprise
from shared.errors import UsageError
from shared.paths import Paths

_SPAN = re.compile(r"(?:(\d+(?:\.\d+)?)\s*h)?\s*(?:(\d+(?:\.\d+)?)\s*m(?:in)?)?\s*(?:(\d+(?:\.\d+)?)\s*s)?")
_NUDGE_LIMIT = 200


def read_span(given: str) -> float:
    """Seconds in ``30m``, ``1h30m``, ``90s``; a bare number is minutes.

    Raises
    ------
    UsageError
        It is none, or out of range.
    """
    words = given.strip().lower()
    found = _SPAN.fullmatch(words)
    if re.fullmatch(r"\d+(\.\d+)?", words):
        seconds = 60.0 * float(words)
    elif words and found is not None:
        hours, minutes, rest = (float(part or 0) for part in found.groups())
        seconds = 3600 * hours + 60 * minutes + rest
    else:
        raise UsageError(f"{given!r} is no time span: write minutes as 30 or 30m, or 1h30m, or off.")
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise UsageError(f"The sleep timer takes {SHORTEST_S:.0f} s to {LONGEST_S / 3600:.0f} h, not {given}.")
    return seconds


def spoken_span(seconds: float) -> str:
    """``5400`` → ``1 h 30 min``; from five minutes on without seconds."""
    whole = round(seconds)
    if whole < 300:
        minutes, rest = divmod(whole, 60)
        return " ".join(part for part in (f"{minutes} min" if minutes else "", f"{rest} s" if rest else "") if part)
    hours, minutes = divmod(round(whole / 60), 60)
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if part)


def _nudge(asked: Asked) -> Outcome:
    words = " ".join((asked.text("words") or "").split()).strip(" ,")
    if not words or not words.isprintable():
        raise UsageError('nudge takes a few words, such as "darker, slower, no drums".')
    if len(words) > _NUDGE_LIMIT:
        raise UsageError(f"A nudge has up to {_NUDGE_LIMIT} characters, not {len(words)}: say it shorter.")
    effects = asked.station.nudge(words, asked.now)
    return Done(f"Changing what plays: “{asked.station.state.prompt}”.", effects)


def _more(asked: Asked) -> Outcome:
    sounding = asked.station.sounding
    effects = asked.station.more(asked.now)
    name = name_of(sounding) if sounding is not None else "this"
    return Done(f"More like {name}: the next songs grow out of it.", effects)


def _sleep(asked: Asked) -> Outcome:
    given, station, now = asked.arguments.get("time"), asked.station, asked.now
    if given is None:
        left = station.sleeps_in(now)
        return Done("No sleep timer runs." if left is None else f"Silent in {spoken_span(left)}.")
    if str(given).strip().lower() == "off":
        return Done("The sleep timer is off.", station.sleep(None, now))
    seconds = read_span(str(given))
    effects = station.sleep(seconds, now)
    return Done(f"Silent in {spoken_span(seconds)}, faded; `infiniloop sleep off` takes it back.", effects)


def _surprise(asked: Asked) -> Outcome:
    switch, station, now = asked.arguments.get("on"), asked.station, asked.now
    if switch is False:
        return Done("No more surprises: this prompt stays.", station.no_surprise(now))

    def then(presets: list[Surprise]) -> Done:
        drawn, effects = station.surprise(presets, now, on=switch is True)
        also = " Another one comes every few songs; `infiniloop surprise off` ends that." if switch is True else ""
        return Done(f"{drawn.title}: “{drawn.prompt}”.{also}", effects, {"preset": drawn.name})

    return WithFiles(presets_to_draw, then)


def presets_to_draw(paths: Paths) -> list[Surprise]:
    """Every preset that the listener sees."""
    from services.controller.presets import open_book

    return [Surprise(each.name, each.title, each.prompt) for each in open_book(paths)[0].presets.values()]


def _programme(asked: Asked) -> Outcome:
    change, text = programme_change(asked.arguments)
    station, now, action = asked.station, asked.now, asked.arguments.get("action")

    def then(programme: Programme) -> Done:
        effects = station.keep_programme(programme, now, at_once=action == "on") if change is not None else []
        said = f"{text} The programme is off until `infiniloop programme on`." if idle(programme, action) else text
        return Done(said or told(programme), effects, {"programme": as_data(programme)})

    return WithFiles(lambda paths: change_programme(paths, change), then)


COMMANDS: Mapping[str, Callable[[Asked], Outcome]] = MappingProxyType(
    {"nudge": _nudge, "more": _more, "surprise": _surprise, "sleep": _sleep, "programme": _programme}
)
