"""The thread that sounds: renders a block, hands it to the tap and the output, again and again, and waits for nobody.

Threads
-------
- *writer*: owns the engine and the output. It takes calls from a queue between two blocks, never blocks but in the
  output's ``write``, and publishes what it did as frozen values that others may read at any time.
- *opener*: opens the sound device, which may take seconds; meanwhile the writer plays to the paced null output. So
  the tap never waits for a device, and a device that is lost, or comes later, is taken up in passing.

Any other thread only calls ``call``, ``select`` and ``stop`` and reads ``report`` and ``health``.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from services.player.engine import Engine, Report
from services.player.outputs.choose import open_output, sentence
from services.player.outputs.device import signs
from services.player.outputs.null import NullOutput
from services.player.outputs.output import Output, OutputSpent
from shared.errors import OutputError
from shared.units import STATION_CHANNELS, STATION_RATE, TAP_BLOCK, Audio

log = logging.getLogger(__name__)

FIRST_LATENCY_S = 0.12
LONGEST_LATENCY_S = 1.0
RETRY_S = 0.25
"""A device that is not there is looked for this often while sound servers and cards come and go …"""
EAGER_S = 10.0
"""… which is so for this long after one did, or after a device was asked for or lost …"""
SELDOM_S = 60.0
"""… and else this often: a search takes 22 ms of processor time, and PortAudio never gives back a few kB of it."""
_ASLEEP_S = 2.0
"""A break this long is the machine's sleep, not its load: latency does not grow for it."""
_REPORT_BLOCKS = 5
_LATELY = 5
"""Blocks over which the worst lateness is what a break is put down to."""

Call = Callable[[Engine], None]
Open = Callable[..., Output]


@dataclass(frozen=True)
class Health:
    """How well the sound leaves the machine."""

    driver: str = "null"
    output: str = ""
    output_ok: bool = True
    latency_s: float = 0.0
    underruns: int = 0
    worst_lateness_s: float = 0.0
    faults: int = 0
    """Calls and blocks that failed and were survived."""


@dataclass(frozen=True)
class _Wish:
    """An output to be opened."""

    driver: str
    device: str
    latency_s: float
    fresh: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class _Offer:
    """What the opener has found: an output, or why there is none."""

    wish: _Wish
    output: Output | None = None
    trouble: str = ""


class Writer:
    """Plays an engine.

    Parameters
    ----------
    tap
        Takes each block of 960 frames before the volume; must neither wait nor keep the array.
    record
        Takes each block of programme, as long as it is, with the number of its song and how many frames of that have
        sounded; must neither wait nor keep the array.
    sinks
        Other outputs that take what the paced one takes: Snapcast. One that fails is left out from then on.
    rescue
        A new engine after a fault in the one that plays.
    open_device
        Opens an output by driver, device and latency.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        driver: str,
        device: str,
        tap: Callable[[Audio], None],
        record: Callable[[Audio, int, int], None] = lambda *_: None,
        sinks: Sequence[Output] = (),
        rescue: Callable[[], Engine],
        open_device: Open = open_output,
    ) -> None:
        self._engine = engine
        self._tap, self._record, self._rescue, self._open_device = tap, record, rescue, open_device
        self._sinks = list(sinks)
        self._calls: queue.SimpleQueue[Call] = queue.SimpleQueue()
        self._wishes: queue.SimpleQueue[_Wish | None] = queue.SimpleQueue()
        self._offers: queue.SimpleQueue[_Offer] = queue.SimpleQueue()
        self._returned: queue.SimpleQueue[Output] = queue.SimpleQueue()
        self._wish = _Wish(driver, device, FIRST_LATENCY_S)
        self._output: Output = NullOutput()
        self._lent = False
        self._written = 0.0
        self._lately: deque[float] = deque(maxlen=_LATELY)
        self._stopping = threading.Event()
        self._eager_until = 0.0
        self._threads = [
            threading.Thread(target=self._write, name="writer", daemon=True),
            threading.Thread(target=self._open, name="opener", daemon=True),
        ]
        self.report: Report = engine.report()
        self.health = Health(output="Opening the sound device.")
        self.blocks = 0
        """Blocks of the tap since the beginning."""

    def start(self) -> None:
        sys.setswitchinterval(0.001)  # the writer gets the interpreter back from a busy thread within a millisecond
        self._wishes.put(self._wish)
        for thread in self._threads:
            thread.start()

    def stop(self, within_s: float = 2.0) -> None:
        """End both threads and close the outputs."""
        self._stopping.set()
        self._threads[0].join(within_s)
        self._put(NullOutput(), lent=False)
        self._wishes.put(None)
        self._threads[1].join(within_s)
        for sink in self._sinks:
            self._close(sink)

    def call(self, call: Call) -> None:
        """Have ``call`` made with the engine before the next block."""
        self._calls.put(call)

    def select(self, driver: str, device: str) -> None:
        """Play to another output; the same one again changes nothing."""
        self._calls.put(lambda _: self._choose(driver, device))

    @property
    def alive(self) -> bool:
        return self._threads[0].is_alive()

    # -- the writer's thread ------------------------------------------------------------------------------------------

    def _write(self) -> None:
        tap = np.zeros((TAP_BLOCK, STATION_CHANNELS), np.float32)
        out = np.zeros((TAP_BLOCK, STATION_CHANNELS), np.float32)
        while not self._stopping.is_set():
            self._answer_calls()
            self._take_offer()
            try:
                count = self._engine.render(tap, out)
            except Exception:
                log.exception("The programme could not go on as planned and begins anew.")
                self._fault()
                self._engine = self._rescue()
                tap[:], out[:], count = 0.0, 0.0, 0
            self._tap(tap)
            self._record(self._engine.programme[:count], *self._engine.song)
            self.blocks += 1
            self._feed_sinks(out)
            self._sound(out)
            if self.blocks % _REPORT_BLOCKS == 0:
                self.report = self._engine.report()

    def _answer_calls(self) -> None:
        called = False
        while not self._calls.empty():
            called = True
            try:
                self._calls.get_nowait()(self._engine)
            except Exception:
                log.exception("A message to the player failed; the music goes on.")
                self._fault()
        if called:
            self.report = self._engine.report()

    def _sound(self, out: Audio) -> None:
        try:
            well = self._output.write(out)
        except OutputError as error:
            log.warning("%s", error)
            if isinstance(error, OutputSpent):
                self._stopping.set()  # the service sees that the thread has ended, and ends the process
            else:
                self._lost(str(error))
            return
        # From one block's end to the next: a machine that stands still does so within a write as well as between two.
        before, self._written = self._written, time.monotonic()
        self._lately.append(self._written - before - TAP_BLOCK / STATION_RATE if before else 0.0)
        lateness = max(self._lately)  # a break is told of by the block after the one that came too late
        if lateness > self.health.worst_lateness_s and self.blocks > _REPORT_BLOCKS:
            self.health = replace(self.health, worst_lateness_s=lateness)
        if not well and self._lent:  # the stopgap between two devices is heard by nobody
            self.health = replace(self.health, underruns=self.health.underruns + 1)
            if self._output.driver != "null" and lateness < _ASLEEP_S:
                self._grow(lateness)

    def _feed_sinks(self, out: Audio) -> None:
        for sink in tuple(self._sinks):
            try:
                sink.write(out)
            except OutputError as error:
                log.warning("%s", error)
                self._sinks.remove(sink)

    def _fault(self) -> None:
        self.health = replace(self.health, faults=self.health.faults + 1)

    # -- outputs ------------------------------------------------------------------------------------------------------

    def _choose(self, driver: str, device: str) -> None:
        if (driver, device) != (self._wish.driver, self._wish.device):
            self._ask(_Wish(driver, device, FIRST_LATENCY_S, fresh=True), "Changing the sound device.")

    def _grow(self, lateness_s: float) -> None:
        """More latency after a break: twice as much, or what would have borne it."""
        grown = min(LONGEST_LATENCY_S, max(2 * self._wish.latency_s, 1.5 * lateness_s))
        if grown > self._wish.latency_s:
            late = round(1000 * lateness_s)
            log.info("The sound broke off (%d ms late): from now on %.2f s wait in the device.", late, grown)
            self._ask(replace(self._wish, latency_s=grown, fresh=False), "")

    def _lost(self, trouble: str) -> None:
        self._ask(replace(self._wish, fresh=True), trouble)

    def _ask(self, wish: _Wish, trouble: str) -> None:
        """Fall to the null output, give the old one back, and have another one opened."""
        self._put(NullOutput(), lent=False)
        self._wish = wish
        if trouble:
            self._say(trouble)
        self._wishes.put(wish)

    def _put(self, output: Output, *, lent: bool) -> None:
        """Play to ``output`` from the next block on. What the opener lent goes back to it: closing may take time."""
        if self._lent:
            self._returned.put(self._output)
        self._output, self._lent = output, lent
        self._written = 0.0
        self._lately.clear()

    def _take_offer(self) -> None:
        if self._offers.empty():
            return
        offer = self._offers.get_nowait()
        if offer.output is not None and offer.wish != self._wish:
            self._returned.put(offer.output)
        elif offer.output is not None:
            self._put(offer.output, lent=True)
            self._say("")
        elif offer.wish == self._wish:
            self._say(offer.trouble)

    def _say(self, trouble: str) -> None:
        output = self._output
        self.health = replace(
            self.health,
            driver=output.driver,
            output=sentence(output, self._wish.driver, trouble),
            output_ok=not trouble,
            latency_s=round(output.latency_s, 3),
        )

    # -- the opener's thread ------------------------------------------------------------------------------------------

    def _open(self) -> None:
        wish = self._next_wish()
        while wish is not None and not self._stopping.is_set():
            seen = signs()
            offer = self._opened(wish)
            self._offers.put(offer)
            if offer.output is None:
                wish = self._next_search(wish, seen)
            else:
                wish = self._next_wish()
                self._close(self._returned.get())  # PortAudio lets go of one device before it looks for another

    def _next_wish(self, timeout: float | None = None) -> _Wish | None:
        """The next wish; raises ``queue.Empty`` where none comes in time."""
        wish = self._wishes.get(timeout=timeout)
        self._eager_until = time.monotonic() + EAGER_S
        return wish

    def _next_search(self, failed: _Wish, seen: tuple[object, ...]) -> _Wish | None:
        """Another wish; or this one again, when there is reason to think that it may be met now."""
        searched = time.monotonic()
        while True:
            with contextlib.suppress(queue.Empty):
                return self._next_wish(RETRY_S)
            now = time.monotonic()
            changed = signs() != seen
            if changed:
                self._eager_until = now + EAGER_S
            if changed or now < self._eager_until or now - searched >= SELDOM_S:
                return replace(failed, fresh=True)

    def _opened(self, wish: _Wish) -> _Offer:
        try:
            return _Offer(wish, self._open_device(wish.driver, wish.device, wish.latency_s, fresh=wish.fresh))
        except OutputError as error:
            return _Offer(wish, trouble=str(error))
        except Exception:
            log.exception("The sound device could not be opened.")
            return _Offer(wish, trouble="The sound device could not be opened, as the log tells.")

    def _close(self, output: Output) -> None:
        try:
            output.close()
        except OutputError as error:
            log.warning("%s", error)
