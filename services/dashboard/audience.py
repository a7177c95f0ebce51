"""Those who listen to the live stream: each has a bounded queue, and whoever does not keep up is let go.

Threads: everything here belongs to the thread of the web server's event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from services.dashboard.transmitter import BURST_BYTES, Chunk

QUEUE_BYTES: Final = 4 * BURST_BYTES
"""What one listener may leave unread before it is let go, some 20 s beside what the kernel holds for it."""
MOST_LISTENERS: Final = 64


class Listener:
    """One client's place in the stream."""

    def __init__(self) -> None:
        self._chunks: deque[Chunk] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self.gone = asyncio.Event()
        """Set when the client was let go: it did not read, or the station ends."""

    async def next(self) -> Chunk:
        """The next chunk, waited for."""
        while not self._chunks:
            self._news.clear()
            await self._news.wait()
        chunk = self._chunks.popleft()
        self._bytes -= len(chunk.audio)
        return chunk

    def offer(self, chunk: Chunk) -> bool:
        """Queue a chunk; False if there is no room for it."""
        if self._bytes + len(chunk.audio) > QUEUE_BYTES:
            return False
        self._chunks.append(chunk)
        self._bytes += len(chunk.audio)
        self._news.set()
        return True


class Audience:
    """All listeners, and the last ``BURST_BYTES`` of the stream for whoever comes next."""

    def __init__(self, begin: Callable[[int], None], end: Callable[[], None]) -> None:
        self._begin, self._end = begin, end
        self._listeners: set[Listener] = set()
        self._recent: deque[Chunk] = deque()
        self._recent_bytes = 0
        self._run = 0
        self.dropped = 0
        """Listeners that were let go because they did not read."""

    @property
    def count(self) -> int:
        return len(self._listeners)

    @property
    def full(self) -> bool:
        return self.count >= MOST_LISTENERS

    def join(self) -> Listener:
        """A client connects: it gets what was just heard; the first one sets the encoder to work."""
        listener = Listener()
        if not self._listeners:
            self._run += 1
            self._begin(self._run)
        for chunk in self._recent:
            listener.offer(chunk)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """A client is gone; the last one lets the encoder rest."""
        if listener not in self._listeners:
            return
        self._listeners.remove(listener)
        listener.gone.set()
        if not self._listeners:
            self._recent.clear()
            self._recent_bytes = 0
            self._end()

    def publish(self, chunk: Chunk) -> None:
        """Hand a chunk to everyone; what an earlier run of the encoder left over is passed over."""
        if chunk.run != self._run or not self._listeners:
            return
        self._recent.append(chunk)
        self._recent_bytes += len(chunk.audio)
        while self._recent_bytes - len(self._recent[0].audio) >= BURST_BYTES:
            self._recent_bytes -= len(self._recent.popleft().audio)
        for listener in [each for each in self._listeners if not each.offer(chunk)]:
            self.dropped += 1
            self.leave(listener)

    def dismiss(self) -> None:
        """The station ends: everyone is let go."""
        for listener in list(self._listeners):
            self.leave(listener)
