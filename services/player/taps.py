"""Sends the tap's blocks from a thread of its own, so that the writer never meets the network."""

from __future__ import annotations

import logging
import queue
import threading

from shared.bus import Bus
from shared.paths import Paths
from shared.tap import pack_block
from shared.topology import TAP
from shared.units import Audio

log = logging.getLogger(__name__)

ROOM = 250
"""Blocks that may wait: 5 s. Beyond it they are dropped, and their numbers tell."""


class TapSender:
    """``take`` is the writer's; the link belongs to the thread that sends."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._blocks: queue.SimpleQueue[list[bytes] | None] = queue.SimpleQueue()
        self._number = 0
        self._thread = threading.Thread(target=self._send, name="tap", daemon=True)
        self._running = True

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._blocks.put(None)
        self._thread.join(2.0)

    def take(self, block: Audio) -> None:
        """Number ``block`` [shape=(960, 2)] and have it sent; copies it, and never waits."""
        if self._running and self._blocks.qsize() < ROOM:
            self._blocks.put(pack_block(self._number, block))
        self._number += 1

    def _send(self) -> None:
        try:
            bus = Bus(self._paths)
            try:
                link = bus.bind(TAP)
                while (frames := self._blocks.get()) is not None:
                    link.send_frames(frames)
            finally:
                bus.close(linger_ms=0)
        except Exception:
            self._running = False
            log.exception("The live stream's tap has ended; the music goes on.")
