"""From the tap to the listeners: one encoder for all of them, at work only while there is one.

Threads: everything here belongs to the thread of the links. What was encoded is handed to ``publish``, which may pass
it to another thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.dashboard.mp3 import Mp3Encoder, nearest_bitrate
from services.dashboard.programme import Programme
from shared.units import Audio

BURST_BYTES: Final = 96 << 10
"""Sent at once to whoever connects: a browser asks for 32 KiB at a time and then plays on without a stall."""
_BATCH: Final = 4
"""Blocks encoded together, 80 ms: fewer wake-ups for every listener."""
_AT_ONCE: Final = 24
"""Blocks of the past encoded in one turn, some 15 ms of work, so that messages are still answered in between."""


@dataclass(frozen=True)
class Chunk:
    """Some of the stream: whole bytes of audio, what sounds in them, and which run of the encoder made them."""

    run: int
    audio: bytes
    title: str


class Transmitter:
    """Encodes the programme between ``begin`` and ``end``; a run starts with the seconds that were just heard."""

    def __init__(self, bitrate: int, publish: Callable[[Chunk], None]) -> None:
        self.bitrate = nearest_bitrate(bitrate)
        self.programme = Programme(history_s=BURST_BYTES * 8 / (self.bitrate * 1_000))
        self.title = ""
        """What sounds now, for clients that show it."""
        self._publish = publish
        self._encoder: Mp3Encoder | None = None
        self._run = 0
        self._pending: deque[Audio] = deque()

    def begin(self, run: int) -> None:
        """Somebody listens: encode what was just heard, then what comes."""
        self.end()
        self._encoder, self._run = Mp3Encoder(self.bitrate), run
        self._pending.extend(self.programme.history)

    def end(self) -> None:
        """Nobody listens any more."""
        if self._encoder is not None:
            self._encoder.close()
        self._encoder = None
        self._pending.clear()

    def take(self, number: int, samples: Audio, now: float) -> None:
        """A block of the tap."""
        self._add(self.programme.take(number, samples, now))

    def wait(self, now: float) -> None:
        """Time has passed, perhaps without a block."""
        self._add(self.programme.wait(now))

    def work(self) -> bool:
        """Encode what is there, a little at a time; True if some is left."""
        if self._encoder is None or len(self._pending) < _BATCH:
            return False
        batch = [self._pending.popleft() for _ in range(min(len(self._pending), _AT_ONCE))]
        if audio := self._encoder.encode(np.concatenate(batch)):
            self._publish(Chunk(self._run, audio, self.title))
        return len(self._pending) >= _BATCH

    def _add(self, blocks: list[Audio]) -> None:
        if self._encoder is not None:
            self._pending.extend(blocks)
