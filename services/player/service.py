"""The player's shell: starts the sound, then listens.

Threads
-------
- *main*: the links, the timers, the receipts. It decides what is read and kept (``Librarian``).
- *writer* and *opener*: the sound (``writer``). They never wait for the network or the disk.
- *reader*: reads loops from the disk and works out moves.
- *tap*: sends the tap's blocks; its link is its own.
- *unplug*: watches the sound server (``manners``).

Sound starts before any peer is there: with the loops of the last wanted state if they can be read, else with one of the
two that are shipped. A player that is killed is heard again within two seconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import random
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from services.player.engine import Engine
from services.player.gains import STOP_FRAMES
from services.player.librarian import ROOM_FRAMES, Librarian
from services.player.manners import LONG_SLEEP_S, UnplugWatch, asleep_clock, slept_s
from services.player.moves import MoveShop
from services.player.outputs.output import Output
from services.player.outputs.snapcast import SnapcastOutput
from services.player.samples import CHUNK, Pool
from services.player.startup import any_startup_loop
from services.player.store import STARTUP, LoadedLoop, load_loop, load_transition
from services.player.taps import TapSender
from services.player.writer import Writer
from shared.bus import Received
from shared.errors import AudioFileError, OutputError, ProtocolError
from shared.messages import (
    Answer,
    Command,
    LoopLoaded,
    LoopReady,
    LoopRefused,
    PlayerHello,
    PlayerStatus,
    Status,
    TransitionReady,
    Wanted,
    decode,
)
from shared.music import Loop
from shared.paths import Paths
from shared.runtime.service import ServiceLoop, StatusReporter
from shared.settings import Settings
from shared.settings.watch import SettingsWatch
from shared.topology import COMMANDS, LOOPS, RECEIPTS, STATUS, STATUS_IN
from shared.units import STATION_RATE

log = logging.getLogger(__name__)
T = TypeVar("T")

SIGN = "player.sounding"
"""A file in the state folder while a player lives: one that finds it there at its start follows a killed one."""
RETURN_FRAMES = STATION_RATE // 20
SPARE_CHUNKS = 48
"""Memory beside that for loops: two moves, a rendered change, the ends of chunks that loops do not fill."""
_M_MMAP_THRESHOLD = -3
_LOOK_S = 0.1
_HELLO_S = 0.5
_REPORT_S = 1.0
_ANSWER_S = 2.0


def run(paths: Paths, settings: Settings) -> None:
    """Play until SIGTERM or SIGINT."""
    _return_memory()
    _Player(paths, settings).run()


def _return_memory() -> None:
    """Have glibc give large arrays back when they go: by itself it keeps more for itself with each one that went."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 18)


def last_wanted(paths: Paths, settings: Settings) -> Wanted:
    """What was wanted when the station last ran; playing, by the settings, if nothing can be read of it."""
    player = settings.player
    fresh = Wanted(
        number=0,
        playing=True,
        volume=player.volume,
        min_duration_s=player.min_duration,
        transition=player.transition,  # type: ignore[arg-type]
        variation=player.variation,  # type: ignore[arg-type]
        driver=player.driver,
        output_device=player.output_device,
    )
    try:
        found = decode(paths.wanted_file.read_bytes())
    except FileNotFoundError:
        return fresh
    except (OSError, ProtocolError) as error:
        log.warning("What was wanted last cannot be read (%s): playing by the settings.", error)
        return fresh
    return found if isinstance(found, Wanted) else fresh


class _Player:
    def __init__(self, paths: Paths, settings: Settings) -> None:
        self._settings = settings
        self._watch = SettingsWatch(paths, settings)
        self._folders = (paths.cache, paths.library, STARTUP)
        self._began = time.monotonic()
        self._librarian = Librarian()
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._pool = Pool(ROOM_FRAMES // CHUNK + SPARE_CHUNKS)
        self._moves = MoveShop(self._reader.submit, self._pool)
        self._reading: set[str] = set()
        self._controller = 0
        self._greeted = False
        wanted = last_wanted(paths, settings)
        self._sign = paths.state / SIGN
        # Whoever was in the middle of a song waits for no gentle beginning.
        self._fade_in = RETURN_FRAMES if self._sign.exists() else STOP_FRAMES
        self._tap = TapSender(paths)
        self._writer = Writer(
            self._engine(self._first(wanted), wanted),
            driver=wanted.driver,
            device=wanted.output_device,
            tap=self._tap.take,
            sinks=self._sinks(),
            rescue=self._rescue,
        )
        self._librarian.want(wanted)
        self._loop = ServiceLoop(paths)
        self._loop.on(self._loop.bus.bind(LOOPS), self._hear)
        self._receipts = self._loop.bus.connect(RECEIPTS)
        self._loop.on(self._loop.bus.connect(STATUS, topics=("controller",)), self._hear_controller)
        StatusReporter(self._loop, "player", self._loop.bus.connect(STATUS_IN).send, self._state)
        self._loop.every(_LOOK_S, self._look)
        self._loop.every(_HELLO_S, self._greet)
        self._loop.every(_REPORT_S, self._wake)
        self._status = PlayerStatus()
        self._status_at = 0.0
        self._processor = (0.0, 0.0)
        self._percent = 0.0
        self._paused_because = ""
        self._pausing: Command | None = None
        self._asleep = asleep_clock()
        self._unplug = UnplugWatch(lambda: self._loop.call_soon(self._unplugged))
        self._commands = self._loop.bus.connect(COMMANDS)
        self._loop.on(self._commands, self._hear_answer)
        self._told: tuple[object, ...] = ()

    def run(self) -> None:
        self._tap.start()
        self._writer.start()
        with contextlib.suppress(OSError):
            self._sign.touch()
        self._unplug.start()
        gc.collect()
        gc.freeze()
        try:
            self._loop.run()
        finally:
            self._unplug.stop()
            self._writer.stop()
            self._tap.stop()
            self._reader.shutdown(wait=False, cancel_futures=True)
            with contextlib.suppress(OSError):
                self._sign.unlink(missing_ok=True)

    # -- the beginning ------------------------------------------------------------------------------------------------

    def _first(self, wanted: Wanted) -> LoadedLoop:
        """What sounds first: the first loop of the queue that can be read, else one of the shipped ones."""
        for loop in wanted.queue:
            try:
                return load_loop(loop, self._folders, self._pool)
            except AudioFileError as error:
                log.info("%s", error)
        return any_startup_loop(random.Random())

    def _engine(self, first: LoadedLoop, wanted: Wanted) -> Engine:
        loudness = self._settings.analyzer.loudness
        return Engine(first, wanted, self._moves.ask, loudness=loudness, fade_in=self._fade_in)

    def _rescue(self) -> Engine:
        """A new programme after a fault: the wanted state without the loops that may be at fault."""
        wanted = self._writer.report.wanted
        self._fade_in = RETURN_FRAMES
        self._loop.call_soon(self._look)
        return self._engine(any_startup_loop(random.Random()), wanted)

    def _sinks(self) -> list[Output]:
        path = self._settings.player.snapcast
        if not path:
            return []
        try:
            return [SnapcastOutput(Path(path).expanduser())]
        except OutputError as error:
            log.warning("%s", error)
            return []

    # -- what comes in ------------------------------------------------------------------------------------------------

    def _hear(self, received: Received) -> None:
        match received.message:
            case LoopReady(loop=loop):
                self._receive(loop)
            case TransitionReady(transition=transition):
                self._read(partial(load_transition, transition, self._folders, self._pool), Engine.add_transition)
            case Wanted() as wanted:
                self._want(wanted)
            case other:
                log.warning("A %s is no message for the player.", type(other).__name__)

    def _want(self, wanted: Wanted) -> None:
        if self._pausing is not None:  # sent before the controller heard of the pause
            wanted = replace(wanted, playing=False)
        elif wanted.playing:
            self._paused_because = ""
        self._librarian.want(wanted)
        self._writer.call(lambda engine: engine.want(wanted))
        self._writer.select(wanted.driver, wanted.output_device)
        self._look()

    def _receive(self, loop: Loop) -> None:
        if loop.loop_id in self._writer.report.held:
            self._receipts.send(LoopLoaded(loop_id=loop.loop_id))
        elif not self._librarian.receive(loop):
            self._receipts.send(LoopRefused(loop_id=loop.loop_id, reason="It was made for an earlier prompt."))
        else:
            self._load(loop)

    def _hear_controller(self, received: Received) -> None:
        if isinstance(received.message, Status) and received.message.pid != self._controller:
            self._controller = received.message.pid
            self._greeted = False
            self._greet()

    def _greet(self) -> None:
        """Say what sounds and what is held: to a controller that has begun, and until one takes it."""
        if self._greeted:
            return
        report = self._writer.report
        self._greeted = self._receipts.send(
            PlayerHello(
                wanted_number=report.wanted.number,
                loop_id=report.loop.loop_id,
                frame=report.frame,
                held=report.held,
                skips_done=report.skips_done,
                backs_done=report.backs_done,
                pid=os.getpid(),
            )
        )

    # -- manners -------------------------------------------------------------------------------------------------------

    def _unplugged(self) -> None:
        if self._watch.current().player.on_unplug == "pause":
            self._pause("what it sounded on was unplugged")

    def _wake(self) -> None:
        before, self._asleep = self._asleep, asleep_clock()
        slept = slept_s(before, self._asleep)
        if slept > LONG_SLEEP_S and self._watch.current().player.on_wake == "pause":
            self._pause(f"the machine slept for {slept / 60:.0f} minutes")

    def _pause(self, why: str) -> None:
        """Silence now, and the controller's word for it, so that ``resume`` finds the station paused."""
        wanted = self._writer.report.wanted
        if not wanted.playing or self._pausing is not None:
            return
        log.info("Paused, as %s.", why)
        self._paused_because = why
        self._writer.call(lambda engine: engine.want(replace(wanted, playing=False)))
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

    # -- loops ---------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Read what should be at hand and is not; let go of what need not be."""
        report = self._writer.report
        sounding = [report.loop] if report.next_loop is None else [report.loop, report.next_loop]
        plan = self._librarian.plan(sounding, report.ahead, report.previous, report.held)
        for loop in plan.load:
            self._load(loop)
        if not plan.keep.issuperset(report.held):
            self._writer.call(lambda engine: engine.keep(set(plan.keep)))
        if not self._writer.alive:
            log.error("The writer's thread has ended; the player begins again.")
            os._exit(1)

    def _load(self, loop: Loop) -> None:
        if loop.loop_id in self._reading:
            return
        self._reading.add(loop.loop_id)

        def done(trouble: str) -> None:
            self._reading.discard(loop.loop_id)
            if trouble:
                self._librarian.refuse(loop)
                self._receipts.send(LoopRefused(loop_id=loop.loop_id, reason=trouble))
            else:
                self._receipts.send(LoopLoaded(loop_id=loop.loop_id))

        self._read(partial(load_loop, loop, self._folders, self._pool), Engine.add, done)

    def _read(
        self, load: Callable[[], T], give: Callable[[Engine, T], None], done: Callable[[str], None] | None = None
    ) -> None:
        """Have the reader load something and give it to the engine; ``done`` hears in the main thread how it went."""

        def ended(future: Future[T]) -> None:
            error = future.exception()
            trouble = str(error) if error is not None else ""
            if error is None:
                loaded = future.result()
                self._writer.call(lambda engine: give(engine, loaded))
            elif not isinstance(error, AudioFileError):
                log.error("A file could not be read.", exc_info=error)
            if done is not None:
                self._loop.call_soon(lambda: done(trouble))

        self._reader.submit(load).add_done_callback(ended)

    # -- status -------------------------------------------------------------------------------------------------------

    def _state(self) -> PlayerStatus:
        """The state for the status: new at every change and once a second, not for each step of the position."""
        now = time.monotonic()
        report, health, last = self._writer.report, self._writer.health, self._status
        told = (
            report.loop.loop_id,
            report.note,
            report.pass_number,
            report.wanted.number,
            report.held,
            report.sounding,
        )
        if now - self._status_at < _REPORT_S and told == self._told and self._output(health.output) == last.output:
            return last
        self._told, self._status_at = told, now
        self._status = PlayerStatus(
            playing=report.sounding,
            volume=report.wanted.volume,
            loop_id=report.loop.loop_id,
            loop=report.loop,
            next_loop_id=report.next_loop.loop_id if report.next_loop is not None else None,
            frame=report.frame,
            section=report.section,
            pass_number=report.pass_number,
            song_frames=report.song_frames,
            song_length_frames=report.song_length,
            blocks=self._writer.blocks,
            driver=health.driver,
            output=self._output(health.output),
            output_ok=health.output_ok,
            latency_s=health.latency_s,
            underruns=health.underruns,
            worst_lateness_s=round(health.worst_lateness_s, 4),
            cpu_percent=self._cpu(now),
            held=report.held,
            skips_done=report.skips_done,
            backs_done=report.backs_done,
            wanted_number=report.wanted.number,
            loops_played=report.songs,
            transition=report.note,
            leave_frame=report.leave_frame,
        )
        return self._status

    def _output(self, sentence: str) -> str:
        because = self._paused_because
        return f"Paused, as {because}; resume plays on. {sentence}" if because else sentence

    def _cpu(self, now: float) -> float:
        """Processor time of this process as a share of the last second or more, in percent of one core."""
        then, used_then = self._processor
        used = time.process_time()
        if now - then >= _REPORT_S:
            self._percent = round(100.0 * (used - used_then) / (now - then), 1) if then else 0.0
            self._processor = (now, used)
        return self._percent
