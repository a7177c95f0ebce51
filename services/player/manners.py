"""When the player falls silent unasked: unplugged headphones, and a machine that sleeps.

Owned by the main thread; both watches have threads of their own and reach it by the service's loop.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

from msgspec.structs import replace

from services.player.gains import STOP_FRAMES
from services.player.sleeping import LONG_SLEEP_S, Release, SleepWatch, asleep_clock, slept_s
from services.player.unplug import UnplugWatch
from services.player.writer import Writer
from shared.bus import Received
from shared.messages import Answer, Command, Wanted
from shared.runtime.service import ServiceLoop
from shared.settings.watch import SettingsWatch
from shared.topology import COMMANDS
from shared.units import STATION_RATE

log = logging.getLogger(__name__)

_LOOK_S = 1.0
_ANSWER_S = 2.0
_FADE_S = STOP_FRAMES / STATION_RATE
_LONGEST_REST_S = 30.0
"""A sleep that was announced and neither came nor was called off is given up after so long awake."""


class Manners:
    """Changes what the controller wants into what is right for the moment."""

    def __init__(
        self,
        loop: ServiceLoop,
        writer: Writer,
        settings: SettingsWatch,
        *,
        clock: Callable[[], float] = asleep_clock,
    ) -> None:
        self._loop, self._writer, self._settings, self._clock = loop, writer, settings, clock
        self.because = ""
        """Why the player paused by itself; empty where it did not."""
        self._wanted = writer.report.wanted
        self._resting: Release | None = None
        self._rest = 0
        self._pausing: Command | None = None
        self._asleep = clock()
        self._commands = loop.bus.connect(COMMANDS)
        loop.on(self._commands, self._hear_answer)
        loop.every(_LOOK_S, self.look)
        self._unplug = UnplugWatch(lambda: loop.call_soon(self.unplugged))
        self._sleep = SleepWatch(
            lambda release: loop.call_soon(lambda: self.going(release)), lambda: loop.call_soon(self.back)
        )

    def start(self) -> None:
        self._unplug.start()
        self._sleep.start()

    def stop(self) -> None:
        self._unplug.stop()
        self._sleep.stop()

    def heed(self, wanted: Wanted) -> Wanted:
        """What is to be done of a wanted state now."""
        self._wanted = wanted
        if self._pausing is not None:  # sent before the controller heard of the pause
            self._wanted = replace(wanted, playing=False)
        elif wanted.playing and self._resting is None:
            self.because = ""
        return self._wanted if self._resting is None else replace(self._wanted, playing=False, stopped=True)

    # -- unplugged ----------------------------------------------------------------------------------------------------

    def unplugged(self) -> None:
        """What it sounded on is gone."""
        if self._settings.current().player.on_unplug == "pause":
            self._pause("what it sounded on was unplugged")

    # -- sleep --------------------------------------------------------------------------------------------------------

    def going(self, release: Release) -> None:
        """The machine is about to sleep: fade, then let it."""
        sounds = self._writer.report.sounding
        self._resting, self._rest = release, self._rest + 1
        self._writer.call(lambda engine: engine.want(replace(self._wanted, playing=False, stopped=True)))
        rest = self._rest
        self._loop.after(_FADE_S + self._writer.health.latency_s if sounds else 0.0, release)
        self._loop.after(_LONGEST_REST_S, lambda: self.back() if rest == self._rest else None)

    def back(self) -> None:
        """The machine woke, or does not sleep after all."""
        self.look()
        if self._resting is not None:
            self._go_on()

    def look(self) -> None:
        """Has it slept since the last look?"""
        before, self._asleep = self._asleep, self._clock()
        slept = slept_s(before, self._asleep)
        if slept > LONG_SLEEP_S and self._settings.current().player.on_wake == "pause":
            self._pause(f"the machine slept for {slept / 60:.0f} minutes")
        if slept > _LOOK_S and self._resting is not None:  # whoever told that it sleeps need not tell that it woke
            self._go_on()

    def _go_on(self) -> None:
        self._resting, self._rest = None, self._rest + 1
        wanted = self._wanted
        self._writer.call(lambda engine: engine.want(wanted))

    # -- the pause ----------------------------------------------------------------------------------------------------

    def _pause(self, why: str) -> None:
        """Silence now, and the controller's word for it, so that ``resume`` finds the station paused."""
        if not self._wanted.playing or self._wanted.stopped or self._pausing is not None:
            return
        log.info("Paused, as %s.", why)
        self.because = why
        paused = self._wanted = replace(self._wanted, playing=False)
        if self._resting is None:
            self._writer.call(lambda engine: engine.want(paused))
        command = Command(command_id=f"player-{os.getpid()}-{time.monotonic_ns()}", name="pause")
        self._pausing = command
        self._commands.send(command)
        self._loop.after(_ANSWER_S, lambda: self._end_pausing(command.command_id))

    def _hear_answer(self, received: Received) -> None:
        if isinstance(received.message, Answer):
            self._end_pausing(received.message.command_id)

    def _end_pausing(self, command_id: str) -> None:
        if self._pausing is not None and self._pausing.command_id == command_id:
            self._pausing = None
