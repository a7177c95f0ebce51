"""The service's end of the inference process: begins it, speaks with it, ends it.

Threads: all of it in the service's main thread, which must also be the one that begins the child (see
``shared.runtime.lifeline``). Nothing here blocks, but ``close``, for a bounded time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from services.generator.frames import Begin, FrameReader, Order, Report, pack, reports
from shared.errors import ProtocolError
from shared.paths import Paths
from shared.settings.generator import GeneratorSettings

COMMAND = (sys.executable, "-m", "services.generator.child")
_READ = 1 << 16
_KILLED_WITHIN_S = 2.0


class InferenceProcess:
    """One child. It costs about as much to begin as its imports do; the service keeps it between jobs."""

    def __init__(self, paths: Paths, settings: GeneratorSettings, command: Sequence[str] = COMMAND) -> None:
        self._process = subprocess.Popen(
            [*command, str(os.getpid())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._inward, self._outward = self._process.stdout, self._process.stdin
        os.set_blocking(self._inward.fileno(), False)
        os.set_blocking(self._outward.fileno(), False)
        self._reader = FrameReader(reports)
        self.closed = False
        """Its pipe is at its end: the process is gone or as good as gone."""
        self.send(
            Begin(
                config=str(paths.config),
                data=str(paths.data),
                cache=str(paths.cache),
                state=str(paths.state),
                runtime=str(paths.runtime),
                settings=settings,
            )
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        """The descriptor that becomes readable when the child reports, and when it ends."""
        return self._inward.fileno()

    def send(self, order: Order) -> None:
        """Hand over an order. A child that does not take it has ended or hangs, and is found out as such."""
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            self._outward.write(pack(order))

    def read(self) -> list[Report]:
        """What the child has reported since; sets ``closed`` at the pipe's end."""
        complete: list[Report] = []
        while not self.closed:
            try:
                data = os.read(self._inward.fileno(), _READ)
            except BlockingIOError:
                break
            if not data:
                self.closed = True
                break
            try:
                complete += self._reader.feed(data)
            except ProtocolError:
                self.closed = True
        return complete

    def kill(self) -> None:
        self._process.kill()

    def close(self, patience_s: float = 0.0) -> str:
        """End the child, at once or after ``patience_s`` for an end of its own; returns how it ended, in words."""
        self._outward.close()  # the child ends when its orders do
        try:
            code = self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait(_KILLED_WITHIN_S)
        self._inward.close()
        self.closed = True
        if code >= 0:
            return f"ended with code {code}"
        if -code == signal.SIGKILL:
            return "was killed, perhaps for want of memory"
        return f"was ended by {signal.Signals(-code).name}"
