"""Answers commands: lets the core carry out what it can, and has the disk thread do the rest.

Threads: everything here runs in the main thread, but for what is handed to ``on_disk``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from services.controller import commands, outcomes, presets, saving
from services.controller.core import Station
from services.controller.effects import Effect
from services.controller.library import Library
from services.controller.listing import listed
from services.controller.naming import name_of
from services.controller.presets import Preset
from shared import settings as settings_store
from shared.errors import InfiniLoopError
from shared.messages import Answer, Command
from shared.paths import Paths
from shared.settings import Settings
from shared.settings.store import set_aside_broken

log = logging.getLogger(__name__)

_NEXT_CLIP, _NEXT_START = " It holds from the next clip on.", " It holds from the station's next start on."
_LATER = {
    "generator": _NEXT_CLIP,
    "analyzer": _NEXT_CLIP,
    "dashboard": _NEXT_START,
}
"""When the settings of a section take effect that do not at once."""


class OnDisk(Protocol):
    """Has the disk thread do something, and the main thread go on with what it gave or why it failed."""

    def __call__(
        self, work: Callable[[], Any], then: Callable[[Any], None], failed: Callable[[Exception], None]
    ) -> None: ...


class InLibrary(Protocol):
    """Has the library's thread do something with the library; else as ``OnDisk``."""

    def __call__(
        self, work: Callable[[Library], Any], then: Callable[[Any], None], failed: Callable[[Exception], None]
    ) -> None: ...


@dataclass(frozen=True)
class Reply:
    """An answer without its address."""

    text: str
    ok: bool = True
    exit_code: int = 0
    data: dict[str, Any] | None = None


class Desk:
    """Takes in one command at a time; each is answered once, at once or when the disk has done its part.

    Parameters
    ----------
    do : carries out the core's effects.
    report : the whole state, for ``status``.
    note : tells the listener something that the station cannot mend.
    shut_down : ends the station, once the answer has had time to leave.
    """

    def __init__(
        self,
        paths: Paths,
        station: Station,
        *,
        clock: Callable[[], float],
        do: Callable[[list[Effect]], None],
        on_disk: OnDisk,
        in_library: InLibrary,
        report: Callable[[], dict[str, Any]],
        note: Callable[[str], None],
        shut_down: Callable[[], None],
    ) -> None:
        self._paths, self._station, self._clock = paths, station, clock
        self._do, self._on_disk, self._in_library, self._report = do, on_disk, in_library, report
        self._note, self._shut_down = note, shut_down

    def take(self, command: Command, send: Callable[[Answer], object]) -> None:
        """Carry out a command; ``send`` is called with its answer."""

        def answer(reply: Reply) -> None:
            send(
                Answer(
                    command_id=command.command_id,
                    ok=reply.ok,
                    text=reply.text,
                    exit_code=reply.exit_code,
                    data=reply.data or {},
                )
            )

        def refuse(error: Exception) -> None:
            if not isinstance(error, InfiniLoopError):
                log.error("The command %s failed.", command.name, exc_info=error)
                error = InfiniLoopError(f"The command failed ({type(error).__name__}): the station's log says more.")
            answer(Reply(str(error), ok=False, exit_code=getattr(error, "exit_code", 1)))

        def go_on(then: Callable[[Any], outcomes.Done], found: Any) -> None:
            try:
                answer(self._finished(then(found)))
            except InfiniLoopError as error:
                refuse(error)

        try:
            asked = outcomes.Asked(command.arguments, self._station, self._clock(), self._find_preset)
            outcome = commands.carry_out(command.name, asked)
        except InfiniLoopError as error:
            refuse(error)
            return
        match outcome:
            case outcomes.Done():
                answer(self._finished(outcome))
            case outcomes.Consult(work, then):
                self._in_library(work, partial(go_on, then), refuse)
            case outcomes.WithFiles(in_folders, then):
                self._on_disk(lambda: in_folders(self._paths), partial(go_on, then), refuse)
            case outcomes.Report():
                answer(Reply(self._station.waiting, data=self._report()))
            case outcomes.ListSettings():
                answer(Reply("", data={"settings": listed(self._station.settings)}))
            case outcomes.ChangeSettings():
                self._on_disk(
                    lambda: self._change(outcome),
                    lambda settings: answer(self._changed(outcome, settings)),
                    refuse,
                )
            case outcomes.Save(order):
                self._on_disk(lambda: saving.save_loop(order), lambda done: answer(_saved(done, order)), refuse)
            case outcomes.ShutDown():
                answer(Reply("The station ends."))
                self._shut_down()

    def _finished(self, done: outcomes.Done) -> Reply:
        self._do(done.effects)
        return Reply(done.text, data=dict(done.data))

    def _find_preset(self, name: str) -> Preset:
        book, problem = presets.open_book(self._paths)
        if problem:
            self._note(problem)
        return book.find(name)

    def _change(self, order: outcomes.ChangeSettings) -> tuple[Settings, str]:
        """In the disk thread: write the settings; gives those in force, and a sentence if the file was broken."""
        aside = set_aside_broken(self._paths)
        for key, value in order.changes.items():
            settings_store.change(self._paths, key, value)
        if order.carried is not None:
            settings_store.carry(self._paths, order.carried)
        return settings_store.load(self._paths)[0], aside or ""

    def _changed(self, order: outcomes.ChangeSettings, done: tuple[Settings, str]) -> Reply:
        settings, aside = done
        if aside:
            self._note(aside)
        self._do(self._station.configure(settings, self._clock()))
        told = [_told(key, value, settings) for key, value in order.changes.items()]
        told += [f"While it plays, {_told(key, value, settings)}" for key, value in (order.carried or {}).items()]
        text = " ".join((*told, aside)).strip()
        if order.then is None:
            return Reply(text)
        finished = self._finished(order.then())
        return replace(finished, text=f"{finished.text} {text}".strip())


def _told(key: str, value: Any, settings: Settings) -> str:
    field = settings_store.find_field(key)
    in_force = settings_store.read_value(settings, field)
    words = ("off", "on")[value] if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else value
    if in_force != value:
        return f"{field.name} is {words} in the file, but the environment says {in_force!r}, which goes before it."
    return f"{field.name} is {words}.{_LATER.get(field.section, '')}"


def _saved(done: saving.Saved, order: saving.SaveOrder) -> Reply:
    seconds = done.frames / done.sample_rate
    text = f"Saved {name_of(order.loop)} to {done.path}: one loop of {seconds:.2f} s."
    data = {
        "path": str(done.path),
        "frames": done.frames,
        "sample_rate": done.sample_rate,
        "loop_id": order.loop.loop_id,
        "title": order.loop.title,
        "warning": done.warning,
    }
    return Reply(f"{text} {done.warning}".strip(), data=data)
