"""The generator's process: carries out what the worker's logic decides.

Threads: one. The inference child is begun from it and its reports are read in it, between messages and timers.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.generator import inference
from services.generator.actions import Action, Deliver, Reconnect, Renew, Say, Tell
from services.generator.frames import Made, Make, Missed, Order
from services.generator.inference import InferenceProcess
from services.generator.tasks import USUAL, Limits
from services.generator.worker import Worker
from shared.bus import Link, Received
from shared.paths import Paths
from shared.runtime.service import ServiceLoop, StatusReporter
from shared.settings import Settings
from shared.settings.watch import SettingsWatch
from shared.topology import CLIPS, JOBS, STATUS_IN

log = logging.getLogger(__name__)

TICK_S = 0.05
SETTINGS_CHECK_S = 1.0
FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
CHILD_ENDS_WITHIN_S = 0.5
REOPEN_S = 4.0
ROOM_BYTES = 64 << 20
"""Free disk below which no clip is begun: it could not be written."""


@dataclass(frozen=True)
class Lines:
    """The way to the controller and the analyzer."""

    open_jobs: Callable[[], Link]
    """Opens the line for jobs; called again after the controller was lost."""
    open_clips: Callable[[], Link]
    attach: bool = False
    """The analyzer is on another machine: the audio itself goes along."""


class Generator:
    """Joins the worker's logic, the inference child and the lines to the station."""

    def __init__(
        self,
        loop: ServiceLoop,
        paths: Paths,
        settings: Settings,
        lines: Lines,
        *,
        name: str,
        clips: Path,
        command: Sequence[str] = inference.COMMAND,
        limits: Limits = USUAL,
    ) -> None:
        self._loop, self._paths, self._lines = loop, paths, lines
        self._watch, self._settings = SettingsWatch(paths, settings), settings.generator
        self._clips, self._command = clips, command
        self.worker = Worker(
            name,
            clips=clips,
            now=time.monotonic(),
            host=socket.gethostname(),
            pid=os.getpid(),
            suffix=".flac" if lines.attach else ".wav",
            limits=limits,
        )
        self._child: InferenceProcess | None = None
        self._delay = FIRST_DELAY_S
        self._outdated = False
        self._jobs = loop.on(lines.open_jobs(), self._hear)
        self._clips_line = lines.open_clips()
        self._refused_since: float | None = None
        loop.every(TICK_S, self._tick)
        loop.every(SETTINGS_CHECK_S, self._check_settings)
        loop.before_closing(self.close)
        self._begin_child()

    def _do(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Say(message):
                    self._jobs.send(message)
                case Tell(order):
                    self._tell(order)
                case Deliver():
                    self._deliver(action)
                case Renew(why):
                    self._end_child(why)
                case Reconnect():
                    self._loop.forget(self._jobs)
                    self._jobs = self._loop.on(self._lines.open_jobs(), self._hear)

    def _hear(self, received: Received) -> None:
        self._do(self.worker.hear(received.message, time.monotonic()))

    def _tick(self) -> None:
        if self._outdated and self._child is not None and self.worker.idle:
            self._outdated = False
            self._end_child("ended for new settings")
        self._do(self.worker.tick(time.monotonic()))

    def _deliver(self, action: Deliver) -> None:
        audio: bytes | None = None
        if self._lines.attach:
            try:
                audio = action.path.read_bytes()
            except OSError as error:
                log.warning("The clip %s cannot be read again (%s); its job will be sent anew.", action.path, error)
                self._do(self.worker.lost(time.monotonic()))
                return
        now = time.monotonic()
        if self._clips_line.send(action.clip, attachment=audio):
            self._refused_since = None
            self._do(self.worker.delivered(now))
        elif self._lines.attach and now - (self._refused_since or now) > REOPEN_S:
            # A line between machines that was refused once, for a key that was not known yet, stays dead.
            self._loop.forget(self._clips_line)
            self._clips_line, self._refused_since = self._lines.open_clips(), now
        elif self._refused_since is None:
            self._refused_since = now

    # -- the child ----------------------------------------------------------------------------------------------------

    def _begin_child(self) -> None:
        self._child = child = InferenceProcess(self._paths, self._settings, self._command)
        self._loop.bus.watch(child.fileno(), self._read_child)
        self._do(self.worker.child_began(time.monotonic()))

    def _tell(self, order: Order) -> None:
        if isinstance(order, Make) and (full := self._no_room()) is not None:
            self._do(self.worker.child_said(Missed(job_id=order.job.job_id, reason=full), time.monotonic()))
        elif self._child is not None:
            self._child.send(order)

    def _no_room(self) -> str | None:
        try:
            free = shutil.disk_usage(self._clips).free
        except OSError as error:
            return f"The folder {self._clips} cannot be used ({(error.strerror or str(error)).lower()}): make it again."
        if free < ROOM_BYTES:
            return f"The disk of {self._clips} is full ({free >> 20} MB left): free at least {ROOM_BYTES >> 20} MB."
        return None

    def _read_child(self) -> None:
        child = self._child
        if child is None:
            return
        for report in child.read():
            if isinstance(report, Made):
                self._delay = FIRST_DELAY_S
                log.info(
                    "%s made %.1f s in %.1f s for job %s.",
                    report.recipe.backend,
                    report.frames / report.sample_rate,
                    report.generation_s,
                    report.job_id,
                )
            self._do(self.worker.child_said(report, time.monotonic()))
        if child.closed and child is self._child:
            self._end_child("")

    def _end_child(self, why: str) -> None:
        """See a child off, killing it where it still runs, and begin another."""
        child, self._child = self._child, None
        if child is None:
            return
        self._loop.bus.unwatch(child.fileno())
        if why:
            child.kill()
        how = child.close(CHILD_ENDS_WITHIN_S)
        self._do(self.worker.child_ended(why or how, time.monotonic()))
        log.warning("The inference process %s; another begins.", why or how)
        if why:
            self._begin_child()
        else:
            self._loop.after(self._delay, self._begin_child)
            self._delay = min(self._delay * 2, LONGEST_DELAY_S)

    # -- settings and the end -----------------------------------------------------------------------------------------

    def _check_settings(self) -> None:
        """New settings for the generator take effect with a new child, between two jobs."""
        if (changed := self._watch.current().generator) != self._settings:
            self._settings, self._outdated = changed, True

    def close(self) -> None:
        """Give back what is not done, and end the child."""
        self._do(self.worker.stop(time.monotonic()))
        child, self._child = self._child, None
        if child is not None:
            self._loop.bus.unwatch(child.fileno())
            child.kill()
            child.close()


def run(paths: Paths, settings: Settings) -> None:
    """Run the station's own generator until it is told to stop."""
    loop = ServiceLoop(paths)
    name = worker_name(paths)
    lines = Lines(open_jobs=lambda: loop.bus.connect(JOBS, identity=name), open_clips=lambda: loop.bus.connect(CLIPS))
    generator = Generator(loop, paths, settings, lines, name=name, clips=paths.clips)
    status = loop.bus.connect(STATUS_IN)
    StatusReporter(loop, "generator", status.send, lambda: generator.worker.status(time.monotonic()))
    loop.run()


def worker_name(paths: Paths) -> str:
    """A name that this home's generator keeps over restarts, and no other has."""
    host = re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname().split(".")[0])[:40].strip("-") or "worker"
    return f"{host}-{hashlib.sha256(os.fsencode(paths.cache)).hexdigest()[:8]}"
