"""The loop of a service: wait for messages and timers, handle each in turn, stop in good order.

Threads: everything here runs in the service's main thread, except ``call_soon``, which any thread may use.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import math
import os
import queue
import resource
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from shared.bus import Bus, Link, Received
from shared.messages import ServiceState, Status
from shared.paths import Paths
from shared.runtime import verbosity

log = logging.getLogger(__name__)

STATUS_INTERVAL_S = 1.0
STATUS_SHORTEST_S = 0.05
_LONGEST_WAIT_S = 0.5


class ServiceLoop:
    """Waits on links and timers and calls their handlers until ``stop``."""

    def __init__(self, paths: Paths) -> None:
        self.bus = Bus(paths)
        self._paths = paths
        self._handlers: dict[Link, Callable[[Received], None]] = {}
        self._frame_handlers: dict[Link, Callable[[list[bytes]], None]] = {}
        self._timers: list[tuple[float, int, float, Callable[[], None]]] = []
        self._order = itertools.count()
        self._soon: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._stopping = False
        self._look: Callable[[], None] | None = None
        self._look_due = math.inf
        self._looked_at = self._apart = 0.0
        self._farewells: list[Callable[[], None]] = []
        self.bus.watch(self._woken.fileno(), self._drain)

    def on(self, link: Link, handler: Callable[[Received], None]) -> Link:
        """Call ``handler`` with every message that this link receives."""
        self._handlers[link] = handler
        return link

    def on_frames(self, link: Link, handler: Callable[[list[bytes]], None]) -> Link:
        """Call ``handler`` with the bare frames of everything that this link receives (the PCM tap)."""
        self._frame_handlers[link] = handler
        return link

    def forget(self, link: Link) -> None:
        """Close this link and its handler."""
        self._handlers.pop(link, None)
        self._frame_handlers.pop(link, None)
        self.bus.drop(link)

    def every(self, seconds: float, call: Callable[[], None]) -> None:
        """Call again and again, ``seconds`` apart, for the first time after ``seconds``."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), seconds, call))

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call once."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), 0.0, call))

    def after_work(self, call: Callable[[], None], apart_s: float) -> None:
        """Call whenever something was handled, at most once in ``apart_s``; while nothing comes, nothing is called."""
        self._look, self._apart, self._look_due = call, apart_s, 0.0

    def call_soon(self, call: Callable[[], None]) -> None:
        """Have the loop's thread make this call; safe from any thread."""
        self._soon.put(call)
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def before_closing(self, call: Callable[[], None]) -> None:
        """Call when the loop has stopped, while the links still carry messages."""
        self._farewells.append(call)

    def stop(self) -> None:
        """End ``run`` after the handler that runs now; safe from a signal handler."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def run(self) -> None:
        """Wait and handle until stopped, then close the links. SIGTERM and SIGINT stop it."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        self.every(verbosity.LOOK_S, verbosity.Verbosity(self._paths).look)
        try:
            while not self._stopping:
                self.turn(_LONGEST_WAIT_S)
            for farewell in self._farewells:
                farewell()
        finally:
            self.close()

    def close(self) -> None:
        """Close the links; ``run`` does it by itself."""
        self.bus.close()
        self._waker.close()
        self._woken.close()

    def turn(self, longest_s: float) -> None:
        """One round: wait at most ``longest_s``, handle what is there, make the calls that are due."""
        tokens = self.bus.wait(min(longest_s, self._until_next_timer()))
        worked = bool(tokens)
        for token in tokens:
            if isinstance(token, Link):
                self._handle(token)
            else:
                token()
        while not self._soon.empty():
            worked = True
            self._soon.get()()
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now and not self._stopping:
            due, _, interval, call = heapq.heappop(self._timers)
            if interval:
                # A machine that slept does not make up for the calls it missed.
                heapq.heappush(self._timers, (max(due + interval, now), next(self._order), interval, call))
            worked = True
            call()
        if self._look is not None:
            if worked:
                self._look_due = min(self._look_due, self._looked_at + self._apart)
            if now >= self._look_due:
                self._looked_at, self._look_due = now, math.inf
                self._look()

    def _handle(self, link: Link) -> None:
        handler, frame_handler = self._handlers.get(link), self._frame_handlers.get(link)
        # A flood on one link must not starve the timers and the others.
        for _ in range(64):
            if self._stopping:
                return
            if handler is not None and (received := link.receive()) is not None:
                handler(received)
            elif frame_handler is not None and (frames := link.receive_frames()) is not None:
                frame_handler(frames)
            else:
                return

    def _until_next_timer(self) -> float:
        due = min(self._timers[0][0] if self._timers else math.inf, self._look_due)
        return min(_LONGEST_WAIT_S, max(0.0, due - time.monotonic()))

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._woken.recv(4096):
                pass


class StatusReporter:
    """Publishes a service's state: at once when it changed, at most 20 times a second, and once a second anyway.

    Parameters
    ----------
    by_work : the state changes by what the loop handles alone, so that nothing is looked at while nothing comes.
    """

    def __init__(
        self,
        loop: ServiceLoop,
        service: str,
        publish: Callable[[Status], object],
        state: Callable[[], ServiceState],
        *,
        by_work: bool = False,
    ) -> None:
        self._service, self._publish, self._state = service, publish, state
        self._began = time.monotonic()
        self._sent: ServiceState | None = None
        if by_work:
            loop.after_work(self._look, STATUS_SHORTEST_S)
        else:
            loop.every(STATUS_SHORTEST_S, self._look)
        loop.every(STATUS_INTERVAL_S, lambda: self._tell(state()))

    def _look(self) -> None:
        state = self._state()
        if state != self._sent:
            self._tell(state)

    def _tell(self, state: ServiceState) -> None:
        self._sent = state
        self._publish(
            Status(
                service=self._service,
                pid=os.getpid(),
                uptime_s=round(time.monotonic() - self._began, 3),
                rss_bytes=resident_bytes(),
                state=state,
            )
        )


def resident_bytes() -> int:
    """Resident memory of this process, in bytes."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
