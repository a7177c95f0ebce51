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
_AGAIN_S = 1.0


class TapSender:
    """``take`` is the writer's; the link belongs to the thread that sends, and is made anew where it fails."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._blocks: queue.SimpleQueue[list[bytes] | None] = queue.SimpleQueue()
        self._number = 0
        self._thread = threading.Thread(target=self._run, name="tap", daemon=True)
        self._stopping = threading.Event()
        self.trouble = ""
        """Why the live stream is silent, and what is done about it; empty while all is well."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._blocks.put(None)
        self._thread.join(2.0)

    def take(self, block: Audio) -> None:
        """Number ``block`` [shape=(960, 2)] and have it sent; copies it, and never waits."""
        if self._blocks.qsize() < ROOM:
            self._blocks.put(pack_block(self._number, block))
        self._number += 1

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._send()
            except Exception as error:
                if not self.trouble:
                    log.exception("The live stream's tap failed; the music goes on, and it is begun anew.")
                self.trouble = f"The live stream is silent and begun anew every second. {error}"
                self._stopping.wait(_AGAIN_S)

    def _send(self) -> None:
        bus = Bus(self._paths)
        try:
            link = bus.bind(TAP)
            if self.trouble:
                self._forget_the_stale()
            while (frames := self._blocks.get()) is not None:
                link.send_frames(frames)
                self.trouble = ""
        finally:
            bus.close(linger_ms=0)

    def _forget_the_stale(self) -> None:
        """What waited while there was no link is late: the stream goes on with what sounds now."""
        while self._blocks.qsize() > 1:
            self._blocks.get()
