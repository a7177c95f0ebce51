"""The desk as a listener stands before it: a command goes in, one answer comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.controller.core import Station
from services.controller.desk import Desk
from services.controller.library import Library, open_library
from services.controller.report import report
from services.controller.state import StationState
from shared.messages import Answer, Command
from shared.paths import Paths
from shared.settings import load
from tests.unit.controller.conftest import House


class Counter:
    """A desk whose disk thread is the caller's, and what it answered."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        settings, _ = load(paths, environment={})
        self.house = House(Station(StationState(salt="5a17"), settings, [], 100.0))
        self.ended = False
        self.notes: list[str] = []
        self._desk = Desk(
            paths,
            self.house.station,
            clock=lambda: self.house.now,
            do=self.house.note,
            on_disk=self._at_once,
            in_library=self._in_library,
            report=lambda: report(self.house.station, {}, self.house.now),
            note=self.notes.append,
            shut_down=self._end,
        )

    def ask(self, name: str, **arguments: Any) -> Answer:
        answers: list[Answer] = []
        self._desk.take(Command(command_id="c1", name=name, arguments=arguments), answers.append)
        (answer,) = answers
        return answer

    def _at_once(
        self, work: Callable[[], Any], then: Callable[[Any], None], failed: Callable[[Exception], None]
    ) -> None:
        try:
            done = work()
        except Exception as error:
            failed(error)
        else:
            then(done)

    def _in_library(
        self, work: Callable[[Library], Any], then: Callable[[Any], None], failed: Callable[[Exception], None]
    ) -> None:
        library, _ = open_library(self.paths)
        try:
            self._at_once(lambda: work(library), then, failed)
        finally:
            library.close()

    def _end(self) -> None:
        self.ended = True
