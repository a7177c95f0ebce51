"""What listeners may ask of a running station, by name. Each command checks its arguments and answers in one sentence.

Commands change the station's core; what touches files is handed to the disk thread by the service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from services.controller import steering
from services.controller.core import Station
from services.controller.judging import JUDGING
from services.controller.naming import name_of, named
from services.controller.outcomes import (
    Asked,
    ChangeSettings,
    Done,
    ListSettings,
    Outcome,
    Report,
    Save,
    ShutDown,
)
from services.controller.saving import SaveOrder
from shared.errors import InfiniLoopError, UsageError
from shared.messages import PROMPT_LIMIT
from shared.music import Loop
from shared.settings import find_field


def carry_out(name: str, asked: Asked) -> Outcome:
    """Do what the core can do at once; say what else is to be done.

    Raises
    ------
    InfiniLoopError
        No such command, an argument that it does not take, or nothing there to do it with.
    """
    try:
        command = COMMANDS[name]
    except KeyError:
        raise UsageError(f"The station knows no command {name!r}: there are {', '.join(COMMANDS)}.") from None
    return command(asked)


def check_prompt(prompt: str) -> str:
    """The prompt without blanks around it.

    Raises
    ------
    UsageError
        Empty, too long, or holding characters that cannot be shown.
    """
    words = " ".join(prompt.split())
    if not words:
        raise UsageError("The prompt is empty: say in a few words what you would like to hear.")
    if len(words) > PROMPT_LIMIT:
        raise UsageError(f"The prompt has {len(words)} characters; up to {PROMPT_LIMIT:,} are taken: say it shorter.")
    if not words.isprintable():
        raise UsageError("The prompt holds characters that cannot be shown: leave them out.")
    return words


def _start(asked: Asked) -> Outcome:
    given, preset = asked.text("prompt"), asked.text("preset")
    if given is not None and preset is not None:
        raise UsageError("Give either a prompt or a preset, not both.")
    prompt, changes = "" if given is None else check_prompt(given), _settings(asked.arguments.get("settings", {}))
    name, carried = "", None
    if preset is not None:
        found = asked.find_preset(preset)
        name, prompt = found.name, check_prompt(found.prompt)
        carried = {key: value for key, value in _settings(found.settings).items() if key not in changes}
    backend, model = (_checked(asked, name) for name in ("backend", "model"))

    def play() -> Done:
        effects = asked.station.start(prompt, backend, model, asked.now, preset=name)
        return Done(playing(asked.station, new=bool(prompt)), effects)

    return play() if not changes and carried is None else ChangeSettings(changes, play, carried)


def _settings(given: object) -> dict[str, Any]:
    """The settings that come with a command, by their whole names, each checked."""
    if not isinstance(given, Mapping):
        raise UsageError("settings must be names with their values.")
    return {(field := find_field(str(name))).key: field.check(value) for name, value in given.items()}


def _checked(asked: Asked, name: str) -> str:
    value = asked.text(name)
    return str(find_field(name).check(value)) if value else ""


def playing(station: Station, *, new: bool) -> str:
    """What ``start`` answers."""
    prompt = f"“{station.state.prompt}”"
    if not new:
        return f"Playing {prompt}."
    if drawn := next(iter(station.stock.fresh), None):
        return f"Now for {prompt}: {name_of(drawn)} of the library plays until its first song is made."
    if station.settings.controller.bridge:
        return f"Now for {prompt}: a bridge is heard in a few seconds, until its first song is made."
    return f"Now for {prompt}: heard as soon as its first song is made."


def _stop(asked: Asked) -> Outcome:
    effects = asked.station.wish(asked.now, stopped=True)
    return Done("Stopped: it fades to silence; `infiniloop start` plays on, `infiniloop shutdown` ends it.", effects)


def _pause(asked: Asked) -> Outcome:
    return Done("Paused; `infiniloop resume` plays on.", asked.station.wish(asked.now, paused=True))


def _resume(asked: Asked) -> Outcome:
    return Done("Playing.", asked.station.wish(asked.now, paused=False, stopped=False))


def _skip(asked: Asked) -> Outcome:
    sounding = asked.station.sounding
    ahead = [loop for loop in asked.station.wanted.queue if sounding is None or loop.loop_id != sounding.loop_id]
    effects = asked.station.wish(asked.now, skip=True)
    if not ahead:
        return Done("Nothing else is ready yet: the next loop plays as soon as it is.", effects)
    return Done(f"On to {name_of(ahead[0])} at the next bar.", effects)


def _back(asked: Asked) -> Outcome:
    previous = asked.station.previous()
    effects = asked.station.wish(asked.now, back=True)
    if previous is None:
        return Done("There is nothing to go back to yet.", effects)
    return Done(f"Back to {name_of(previous)} at the next bar.", effects)


def _hold(asked: Asked) -> Outcome:
    hold = asked.arguments.get("on")
    if not isinstance(hold, bool):
        raise UsageError("hold takes on or off.")
    text = "This loop stays until `infiniloop hold off`." if hold else "Songs change again."
    return Done(text, asked.station.wish(asked.now, hold=hold))


def _set(asked: Asked) -> Outcome:
    key = asked.text("key")
    if key is None or "value" not in asked.arguments:
        raise UsageError("set takes a setting and a value; `infiniloop settings` lists them.")
    chosen = find_field(key)
    return ChangeSettings({chosen.key: chosen.check(asked.arguments["value"])})


def _volume(asked: Asked) -> Outcome:
    field = find_field("player.volume")
    return ChangeSettings({field.key: field.check(asked.arguments.get("volume"))})


def _save(asked: Asked) -> Outcome:
    target = asked.text("file")
    if target is None:
        raise UsageError("save takes a file to write to.")
    loop, section = _meant(asked)
    return Save(
        SaveOrder(
            loop,
            Path(target),
            asked.text("format") or "",
            bool(asked.arguments.get("force")),
            section,
            asked.station.settings.analyzer.loudness,
        )
    )


def _sounding(asked: Asked) -> Outcome:
    """The loop that sounds, or sounded before, whole: for who writes it to a file in a process of its own."""
    loop, section = _meant(asked)
    return Done(
        name_of(loop),
        data={
            "loop": msgspec.to_builtins(loop),
            "section": section,
            "loudness": asked.station.settings.analyzer.loudness,
        },
    )


def _meant(asked: Asked) -> tuple[Loop, str]:
    """The loop that a listener means, and of a piece the section that sounds."""
    station, previous = asked.station, bool(asked.arguments.get("previous"))
    loop = station.previous() if previous else station.sounding
    if loop is None:
        raise InfiniLoopError("There is no earlier loop yet." if previous else "Nothing plays yet: try in a moment.")
    player = station.around.player
    sounds = player is not None and player.loop_id == loop.loop_id
    return named(loop), player.section if player is not None and sounds else ""


COMMANDS: Mapping[str, Callable[[Asked], Outcome]] = MappingProxyType(
    {
        "start": _start,
        "stop": _stop,
        "pause": _pause,
        "resume": _resume,
        "skip": _skip,
        "back": _back,
        "hold": _hold,
        "set": _set,
        "settings": lambda _: ListSettings(),
        "volume": _volume,
        "save": _save,
        "sounding": _sounding,
        "status": lambda _: Report(),
        "shutdown": lambda _: ShutDown(),
        **JUDGING,
        **steering.COMMANDS,
    }
)
