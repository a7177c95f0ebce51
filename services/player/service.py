"""The player's shell: starts the sound, then listens.

Threads
-------
- *main*: the links, the timers, the receipts. It decides what is read and kept (``reading``).
- *writer* and *opener*: the sound (``writer``). They never wait for the network or the disk.
- *reader*: reads loops from the disk and works out moves.
- *tap*: sends the tap's blocks; its link is its own.
- *recorder*: writes the recording, where there is one.
- *unplug* and *sleep*: watch the sound server and the machine (``manners``).

Sound starts before any peer is there: with the loops of the last wanted state if they can be read, else with one of the
two that are shipped. A player that is killed is heard again within two seconds.
"""

from __future__ import annotations

import gc
import logging
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from services.player import priority
from services.player.beginning import RETURN_FRAMES, Sign, first_loop, last_wanted
from services.player.engine import Engine
from services.player.librarian import ROOM_FRAMES
from services.player.manners import Manners
from services.player.moves import MoveShop
from services.player.outputs.alsa import leave_out_the_encoder
from services.player.outputs.output import Output
from services.player.outputs.snapcast import SnapcastOutput
from services.player.reading import Reading
from services.player.recorder import Recorder
from services.player.samples import CHUNK, Pool
from services.player.startup import any_startup_loop
from services.player.store import STARTUP, LoadedLoop
from services.player.taps import TapSender
from services.player.telling import StatusBoard
from services.player.writer import Writer
from shared.bus import Received
from shared.errors import OutputError
from shared.messages import LoopReady, PlayerHello, Status, TransitionReady, Wanted
from shared.paths import Paths
from shared.runtime import memory
from shared.runtime.service import ServiceLoop, StatusReporter
from shared.settings import Settings
from shared.settings.watch import SettingsWatch
from shared.topology import LOOPS, RECEIPTS, STATUS, STATUS_IN

log = logging.getLogger(__name__)

SPARE_CHUNKS = 48
"""Memory beside that for loops: two moves, a rendered change, the ends of chunks that loops do not fill."""
ARRAY_BYTES = 1 << 16
"""From here on a block goes back to the system when it is freed: what is read and worked out here is large and rare."""
_LOOK_S = 0.1
_HELLO_S = 0.5
_SETTINGS_S = 1.0


def run(paths: Paths, settings: Settings) -> None:
    """Play until SIGTERM or SIGINT."""
    memory.keep_flat(ARRAY_BYTES)
    priority.take()
    if "a52" not in settings.player.output_device:
        leave_out_the_encoder(paths.runtime / "alsa")
    _Player(paths, settings).run()


class _Player:
    def __init__(self, paths: Paths, settings: Settings) -> None:
        self._settings = settings
        self._watch = SettingsWatch(paths, settings)
        folders = (paths.cache, paths.library, STARTUP)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        pool = Pool(ROOM_FRAMES // CHUNK + SPARE_CHUNKS)
        self._moves = MoveShop(self._reader.submit, pool)
        self._sign = Sign(paths)
        self._tap = TapSender(paths)
        self._recorder = Recorder()
        wanted = last_wanted(paths, settings)
        self._writer = Writer(
            self._engine(first_loop(wanted, folders, pool), wanted, self._sign.fade_in),
            driver=wanted.driver,
            device=wanted.output_device,
            tap=self._tap.take,
            record=self._recorder.take,
            sinks=self._sinks(),
            rescue=self._rescue,
        )
        self._loop = loop = ServiceLoop(paths)
        loop.on(loop.bus.bind(LOOPS), self._hear)
        self._receipts = loop.bus.connect(RECEIPTS)
        self._reading = Reading(
            self._writer,
            self._reader,
            folders=folders,
            pool=pool,
            receipt=self._receipts.send,
            call_soon=loop.call_soon,
        )
        self._reading.want(wanted)
        self._manners = Manners(loop, self._writer, self._watch)
        loop.on(loop.bus.connect(STATUS, topics=("controller",)), self._hear_controller)
        board = StatusBoard(
            self._writer,
            because=lambda: self._manners.because,
            recording=lambda: self._recorder.said,
            troubles=lambda: self._tap.trouble,
        )
        StatusReporter(loop, "player", loop.bus.connect(STATUS_IN).send, board.state)
        loop.every(_LOOK_S, self._look)
        loop.every(_HELLO_S, self._greet)
        loop.every(_SETTINGS_S, self._record)
        self._controller = 0
        self._greeted = False

    def run(self) -> None:
        self._record()
        self._tap.start()
        self._writer.start()
        self._sign.put_up()
        self._manners.start()
        gc.collect()
        gc.freeze()
        try:
            self._loop.run()
        finally:
            self._manners.stop()
            self._writer.stop()
            self._recorder.stop()
            self._tap.stop()
            self._reader.shutdown(wait=False, cancel_futures=True)
            self._sign.take_down()

    # -- the parts ----------------------------------------------------------------------------------------------------

    def _engine(self, first: LoadedLoop, wanted: Wanted, fade_in: int) -> Engine:
        loudness = self._settings.analyzer.loudness
        return Engine(first, wanted, self._moves.ask, loudness=loudness, fade_in=fade_in)

    def _rescue(self) -> Engine:
        """A new programme after a fault: the wanted state without the loops that may be at fault."""
        wanted = self._writer.report.wanted
        self._loop.call_soon(self._look)
        return self._engine(any_startup_loop(random.Random()), wanted, RETURN_FRAMES)

    def _sinks(self) -> list[Output]:
        path = self._settings.player.snapcast
        if not path:
            return []
        try:
            return [SnapcastOutput(Path(path).expanduser())]
        except OutputError as error:
            log.warning("%s", error)
            return []

    def _record(self) -> None:
        player = self._watch.current().player
        self._recorder.choose(player.record, split=player.record_split)

    # -- what comes in ------------------------------------------------------------------------------------------------

    def _hear(self, received: Received) -> None:
        match received.message:
            case LoopReady(loop=loop):
                self._reading.receive(loop)
            case TransitionReady(transition=transition):
                self._reading.transition(transition)
            case Wanted() as wanted:
                self._want(wanted)
            case other:
                log.warning("A %s is no message for the player.", type(other).__name__)

    def _want(self, wanted: Wanted) -> None:
        heeded = self._manners.heed(wanted)
        self._reading.want(heeded)
        self._writer.call(lambda engine: engine.want(heeded))
        self._writer.select(wanted.driver, wanted.output_device)
        self._look()

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

    def _look(self) -> None:
        self._reading.look()
        if not self._writer.alive:
            log.error("The writer's thread has ended; the player begins again.")
            os._exit(1)
