"""The controller's process: carries messages to the core, and carries out what it wants.

Threads: the main thread owns the core and all sockets. The disk thread does what may block (see ``errands``); the
library's thread owns its database (see ``archive``). Neither touches the core.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Any

from msgspec.structs import replace

from services.controller import report, state, tidy
from services.controller.archive import Archive
from services.controller.core import Station
from services.controller.desk import Desk
from services.controller.effects import (
    Delete,
    Draw,
    Effect,
    ForgetClip,
    Heard,
    Measured,
    OwnSettings,
    Shelve,
    ToAnalyzer,
    ToPlayer,
    ToWorker,
    Unshelve,
)
from services.controller.errands import Errands
from services.controller.programme import Programme, open_programme
from services.controller.statistics import Attempt, Ledger
from services.controller.steering import presets_to_draw
from services.controller.upkeep import Upkeep
from services.controller.workers import GUEST
from shared.bus import Link, Received
from shared.durable import replace_file
from shared.errors import StoreError
from shared.messages import Command, ControllerStatus, Heartbeat, Status, encode
from shared.music import Loop
from shared.paths import Paths
from shared.runtime.door import Door
from shared.runtime.service import ServiceLoop, StatusReporter
from shared.runtime.supervisor import SHUTDOWN_CODE
from shared.settings import Settings, carry, load
from shared.settings.store import set_aside_broken
from shared.topology import CLIPS, COMMANDS, JOBS, JOBS_LAN, LOOPS, RECEIPTS

log = logging.getLogger(__name__)

TICK_S = 0.5
HEARTBEAT_S = 1.0
WANTED_AGAIN_S = 3.0
PARTING_S = 0.2
"""The answer to a shutdown has this long to leave."""


class Controller:
    """Joins the core to the sockets, the disk and the clock."""

    def __init__(self, loop: ServiceLoop, paths: Paths, settings: Settings, notes: list[str]) -> None:
        self._loop, self._paths = loop, paths
        self._notes = list(notes)
        self._errands = Errands(loop.call_soon)
        self._archive = Archive(
            paths,
            run=self._errands.run,
            disk=self._errands.disk,
            shelved=self._shelved,
            moved=self._moved,
            lost=self._lost,
            note=self._notes.append,
        )
        remembered, state_note = state.load(paths, epoch=self._archive.last_epoch + 1)
        self._notes += [state_note] if state_note else []
        self.station = Station(
            remembered, settings, self._archive.shelf, time.monotonic(), today=_today(), cores=os.cpu_count() or 1
        )
        self._statuses: dict[str, tuple[Status, float]] = {}
        self._store_fault = ""
        self.exit_code = 0
        self._peers: dict[str, tuple[Link | Door, bytes]] = {}
        self._jobs = loop.on(loop.bus.bind(JOBS), self._hear_worker)
        self._door = Door(loop, paths, JOBS_LAN, lambda: self.station.settings.door, self._hear_guest)
        loop.on(loop.bus.bind(RECEIPTS), self._hear)
        self._commands = loop.on(loop.bus.bind(COMMANDS), self._hear_command)
        self._desk = Desk(
            paths,
            self.station,
            clock=time.monotonic,
            do=self._do,
            on_disk=self._errands.on_disk,
            in_library=self._archive.in_library,
            report=self._report,
            note=self._notes.append,
            shut_down=self._shut_down,
        )
        self._player = loop.bus.connect(LOOPS)
        self._analyzer = loop.bus.connect(CLIPS)
        relay = loop.bus.status_relay(self._hear_status)
        StatusReporter(loop, "controller", relay.publish, self.status, by_work=True)
        loop.every(TICK_S, self._tick)
        loop.every(HEARTBEAT_S, self._heartbeat)
        loop.every(WANTED_AGAIN_S, self._send_wanted)
        self._upkeep = Upkeep(paths, self.station, self._archive, self._errands, self._do)
        self._do([Shelve(loop) for loop in remembered.unshelved])
        self._plan_the_day()
        self._upkeep.begin(loop)
        self._do(self.station.tick(time.monotonic(), _today()))

    def close(self) -> None:
        """Let the threads finish what they have begun, and keep the state."""
        self._errands.close()
        self._archive.close()
        self._remember()

    def status(self) -> ControllerStatus:
        station, counts = self.station, self.station.foreman.leases.counts
        remembered, now = station.state, time.monotonic()
        return ControllerStatus(
            prompt=remembered.prompt,
            epoch=remembered.epoch,
            playing=station.wanted.playing,
            stopped=remembered.stopped,
            hold=remembered.hold,
            volume=station.settings.player.volume,
            queue=tuple(loop.loop_id for loop in station.wanted.queue),
            titles=self._titles(),
            waiting=station.waiting,
            mode=station.settings.controller.mode,
            bridge=station.bridge_note(now),
            sleep_s=None if (left := station.sleeps_in(now)) is None else round(left),
            leases=len(station.foreman.leases),
            jobs_sent=counts.sent,
            accepted=counts.accepted,
            rejected=counts.rejected,
            cancelled=counts.cancelled,
            failed=counts.failed,
            lost=counts.lost,
            redelivered=counts.redelivered,
            library_loops=self._archive.extent.loops,
            library_bytes=self._archive.extent.bytes,
            cache_bytes=self._upkeep.cache_bytes,
            disk_free_bytes=self._upkeep.disk_free,
            machine_load=self._upkeep.load,
            restarts=dict(station.around.restarts),
            note=" ".join((*self._notes, self._store_fault)).strip(),
        )

    def _titles(self) -> dict[str, str]:
        loops = (*self.station.wanted.queue, self.station.sounding, self.station.previous())
        return {loop.loop_id: loop.title for loop in loops if loop is not None and loop.title}

    # -- what comes in ------------------------------------------------------------------------------------------------

    def _hear_worker(self, received: Received) -> None:
        key = received.peer.hex()
        self._peers[key] = (self._jobs, received.peer)
        self._do(self.station.receive(received.message, time.monotonic(), key))

    def _hear_guest(self, received: Received) -> None:
        """A generator on another machine; it cannot take a local one's name."""
        key = f"{GUEST}{received.peer.hex()}"
        self._peers[key] = (self._door, received.peer)
        self._do(self.station.receive(received.message, time.monotonic(), key))

    def _hear(self, received: Received) -> None:
        self._do(self.station.receive(received.message, time.monotonic()))

    def _hear_status(self, status: Status) -> None:
        now = time.monotonic()
        self._statuses[status.service] = (status, now)
        self._do(self.station.observe(status, now))

    def _tick(self) -> None:
        self._do(self.station.tick(time.monotonic(), _today()))

    def _heartbeat(self) -> None:
        known = set(self.station.foreman.workers.keys())
        self._peers = {key: peer for key, peer in self._peers.items() if key in known}
        for link, peer in self._peers.values():
            link.send(Heartbeat(), to=peer)

    def _plan_the_day(self) -> None:
        """Read what the clock and surprises draw on. What cannot be read is told and does without."""
        try:
            programme, note = open_programme(self._paths)
        except StoreError as error:
            programme, note = Programme(), str(error)
        self._notes += [note] if note else []
        self.station.programme = programme
        if self.station.state.surprise:
            self._errands.on_disk(partial(presets_to_draw, self._paths), partial(setattr, self.station, "presets"))

    # -- what goes out ------------------------------------------------------------------------------------------------

    def _do(self, effects: Iterable[Effect]) -> None:
        """Make the state safe, then carry out what follows from it."""
        effects = list(effects)
        if self.station.dirty:
            self._remember()
        if any(isinstance(effect, ToPlayer) for effect in effects):
            self._keep_wanted()
        for effect in effects:
            match effect:
                case ToWorker():
                    self._to_worker(effect)
                case ToAnalyzer():
                    self._analyzer.send(effect.message)
                case ToPlayer():
                    self._send_wanted()
                case Shelve() | Heard() | Unshelve() | Draw() | Delete():
                    self._to_library(effect)
                case ForgetClip(job_id):
                    self._errands.on_disk(partial(tidy.forget_clip, self._paths, job_id, self._upkeep.codes()))
                case Measured(attempt):
                    self._count(attempt)
                case OwnSettings():
                    self._errands.on_disk(self._own_settings, self._configure)

    def _own_settings(self) -> Settings:
        """In the disk thread: take back what a preset has set."""
        carry(self._paths, {})
        return load(self._paths)[0]

    def _configure(self, settings: Settings) -> None:
        if settings != self.station.settings:
            self._do(self.station.configure(settings, time.monotonic()))

    def _to_library(self, effect: Shelve | Heard | Unshelve | Draw | Delete) -> None:
        match effect:
            case Shelve(loop):
                self._archive.take(loop)
            case Heard(loop_id):
                self._archive.heard(loop_id)
            case Unshelve(loop_id):
                self._archive.gone([loop_id])
            case Draw():
                self._archive.draw(effect, lambda loops: self._offered(loops, effect))
            case Delete(files):
                self._archive.delete(files)

    def _to_worker(self, effect: ToWorker) -> None:
        peer = self._peers.get(effect.worker)
        if peer is None or not peer[0].send(effect.message, to=peer[1]):
            now = time.monotonic()
            self.station.foreman.unreachable(effect.worker, now)
            self._loop.call_soon(lambda: self._do(self.station.tick(time.monotonic())))

    def _send_wanted(self) -> None:
        self._player.send(self.station.wanted)

    def _remember(self) -> None:
        try:
            state.save(self._paths, self.station.remembered())
        except StoreError as error:
            self._fault(error)
        else:
            self.station.saved()
            self._store_fault = ""

    def _keep_wanted(self) -> None:
        try:
            replace_file(self._paths.wanted_file, encode(self.station.wanted))
        except StoreError as error:
            self._fault(error)

    def _fault(self, error: StoreError) -> None:
        if str(error) != self._store_fault:
            log.error("%s", error)
        self._store_fault = str(error)

    # -- the other threads --------------------------------------------------------------------------------------------

    def _shelved(self, loop_id: str) -> None:
        self.station.shelved(loop_id)
        self._remember()

    def _moved(self, loop: Loop) -> None:
        self._do(self.station.moved(loop, time.monotonic()))

    def _offered(self, loops: list[Loop], wish: Draw) -> None:
        self._do(self.station.offered(loops, wish, time.monotonic()))

    def _lost(self, loop_ids: list[str]) -> None:
        self.station.unshelve(loop_ids)
        self._tick()

    def _count(self, attempt: Attempt) -> None:
        """Keep what an attempt cost, unless the listener wants no statistics."""
        settings = self.station.settings
        if settings.controller.statistics:
            precision = settings.generator.precision if attempt.backend == "musicgen" else ""
            self._errands.on_disk(partial(self._write_down, replace(attempt, at=time.time(), precision=precision)))

    def _write_down(self, attempt: Attempt) -> None:
        ledger = Ledger(self._paths.statistics_file)
        try:
            ledger.add(attempt)
        finally:
            ledger.close()

    # -- commands -----------------------------------------------------------------------------------------------------

    def _hear_command(self, received: Received) -> None:
        if isinstance(received.message, Command):
            self._desk.take(received.message, lambda answer: self._commands.send(answer, to=received.peer))

    def _shut_down(self) -> None:
        self.exit_code = SHUTDOWN_CODE
        self._loop.after(PARTING_S, self._loop.stop)

    def _report(self) -> dict[str, Any]:
        found = report.report(self.station, self._statuses, time.monotonic())
        status = self.status()
        found["library"] = asdict(self._archive.extent)
        found["disk"] = {"cache_bytes": status.cache_bytes, "free_bytes": status.disk_free_bytes}
        found["machine_load"] = status.machine_load
        found["note"] = status.note
        return found


def _today() -> datetime:
    """Now, on the listener's clock."""
    return datetime.now().astimezone()


def run(paths: Paths, settings: Settings) -> None:
    """Run the controller until it is told to stop."""
    notes = [note for note in (set_aside_broken(paths),) if note]
    for note in notes:
        log.warning("%s", note)
    loop = ServiceLoop(paths)
    controller = Controller(loop, paths, settings, notes)
    try:
        loop.run()
    finally:
        controller.close()
    if controller.exit_code:
        raise SystemExit(controller.exit_code)
