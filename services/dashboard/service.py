"""The dashboard's shell: the main thread owns the links, the encoder and the service's life, a second one the web.

Between the two go only calls: ``loop.call_soon`` into the links' thread, ``call_soon_threadsafe`` into the web's.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import services
from services.dashboard.audience import Audience
from services.dashboard.board import Board, now_playing
from services.dashboard.desk import CommandDesk
from services.dashboard.ports import open_port
from services.dashboard.recorder import Recorder, songs_of
from services.dashboard.transmitter import Transmitter
from services.dashboard.web.api import Api
from services.dashboard.web.server import WebThread, build_app
from shared.bus import Received
from shared.errors import ProtocolError
from shared.messages import Answer, DashboardStatus, ServiceState, Status
from shared.paths import Paths
from shared.runtime.service import ServiceLoop, StatusReporter
from shared.settings import Settings
from shared.tap import unpack_block
from shared.topology import STATUS, STATUS_IN, TAP

log = logging.getLogger(__name__)

_LOOK_S = 0.1
_MEGA = 1_000_000


def run(paths: Paths, settings: Settings) -> None:
    """Serve the page and the stream until SIGTERM or SIGINT."""
    _Dashboard(paths, settings).run()


class _Dashboard:
    def __init__(self, paths: Paths, settings: Settings) -> None:
        self._opened = open_port(
            settings.dashboard.host,
            settings.dashboard.port,
            avoid=(settings.controller.jobs_port, settings.controller.clips_port),
        )
        if self._opened.note:
            log.warning("%s", self._opened.note)
        self._loop = ServiceLoop(paths)
        self._web = WebThread(asyncio.new_event_loop(), self._opened, when_ended=self._loop.stop)
        self._board = Board()
        self._audience = Audience(
            begin=lambda run: self._loop.call_soon(lambda: self._begin(run)),
            end=lambda: self._loop.call_soon(self._end),
        )
        self._transmitter = Transmitter(
            settings.dashboard.bitrate, lambda chunk: self._in_web(self._audience.publish, chunk)
        )
        self._api = Api(
            self._board,
            self._audience,
            self._ask,
            bitrate=self._transmitter.bitrate,
            note=self._opened.note,
            folders=(paths.cache, paths.library, Path(services.__file__).parent),
        )
        self._recorder = Recorder(
            paths.heard,
            minutes=settings.dashboard.heard_minutes,
            budget=settings.controller.cache_mb * _MEGA // 4,
            free=settings.controller.free_disk_mb * _MEGA,
            songs=lambda: songs_of(self._states),
        )
        self._malformed = 0
        self._sounds = False
        self._states: dict[str, ServiceState] = {}
        self._loop.on_frames(self._loop.bus.connect(TAP), self._take_block)
        self._loop.on(self._loop.bus.connect(STATUS), self._take_status)
        self._desk = CommandDesk(self._loop, f"dashboard-{os.getpid()}")
        StatusReporter(self._loop, "dashboard", self._loop.bus.connect(STATUS_IN).send, self._state)
        self._loop.every(_LOOK_S, self._look)

    def run(self) -> None:
        app = build_app(self._api, self._audience, bitrate=self._transmitter.bitrate, host=self._opened.host)
        self._web.serve(app, self._let_go)
        log.info("The station's page is at %s and its stream at %sstream.mp3", self._opened.url, self._opened.url)
        try:
            self._loop.run()
        finally:
            self._web.end()
            self._transmitter.end()
            self._recorder.close()
            if self._transmitter.programme.filled:
                log.info("%d blocks of the stream were lost and filled.", self._transmitter.programme.filled)

    # -- in the links' thread -----------------------------------------------------------------------------------------

    def _take_block(self, frames: list[bytes]) -> None:
        try:
            number, samples = unpack_block(frames)
        except ProtocolError as error:
            if not self._malformed:
                log.warning("Dropped from the tap: %s", error)
            self._malformed += 1
            return
        self._transmitter.take(number, samples, time.monotonic())
        self._recorder.take(number, samples)
        self._work()

    def _take_status(self, received: Received) -> None:
        status = received.message
        if not isinstance(status, Status):
            return
        if status.service == "controller":
            self._desk.controller_spoke()
        self._states[status.service] = status.state
        self._transmitter.title = now_playing(self._states.get("player"), self._states.get("controller"))
        self._in_web(self._board.take, status, time.monotonic())

    def _look(self) -> None:
        now = time.monotonic()
        self._transmitter.wait(now)
        self._work()
        if (sounds := self._transmitter.programme.sounds(now)) != self._sounds:
            self._sounds = sounds
            self._in_web(self._board.hear, sounds)

    def _begin(self, run: int) -> None:
        self._transmitter.begin(run)
        self._work()

    def _end(self) -> None:
        self._transmitter.end()

    def _work(self) -> None:
        if self._transmitter.work():
            self._loop.after(0.0, self._work)

    def _state(self) -> DashboardStatus:
        return DashboardStatus(
            url=self._opened.url, port=self._opened.port, note=self._opened.note, listeners=self._audience.count
        )

    # -- in the web's thread ------------------------------------------------------------------------------------------

    def _ask(self, name: str, arguments: dict[str, Any]) -> asyncio.Future[Answer | None]:
        answered: asyncio.Future[Answer | None] = self._web.loop.create_future()

        def settle(answer: Answer | None) -> None:
            if not answered.done():  # the one who asked may have gone
                answered.set_result(answer)

        self._loop.call_soon(lambda: self._desk.ask(name, arguments, functools.partial(self._in_web, settle)))
        return answered

    def _let_go(self) -> None:
        self._api.ending = True
        self._audience.dismiss()
        self._board.wake()

    # -- from any thread ----------------------------------------------------------------------------------------------

    def _in_web(self, call: Callable[..., object], *arguments: Any) -> None:
        try:
            self._web.loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:  # the web's loop is closed: the service is ending
            return
