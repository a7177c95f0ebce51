"""One run of the MusicGPT binary under a terminal of its own, from its first line to the end of its process group."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from services.generator.backends.musicgpt.guard import NOT_STARTED
from services.generator.backends.musicgpt.screen import COLUMNS, DOWNLOADING, Screen
from shared.errors import BackendError

GUARD = (sys.executable, "-m", "services.generator.backends.musicgpt.guard")
LOOK_S = 0.05
TERM_WITHIN_S = 0.3
"""What the program has for its own end after SIGTERM; whoever called the job back waits little longer."""
GUARD_WITHIN_S = 1.0
DOWNLOAD_STALLS_S = 120.0
_READ = 1 << 16
_OFFLINE = "http://127.0.0.1:9"
"""A proxy that is not there: the discard port."""


def environment(*, network: bool) -> dict[str, str]:
    """The program's environment; without ``network`` every request it makes goes nowhere."""
    chosen = {**os.environ, "TERM": "xterm-256color"}
    if not network:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            chosen[name] = chosen[name.lower()] = _OFFLINE
        for name in ("NO_PROXY", "no_proxy"):
            chosen.pop(name, None)
    return chosen


class Run:
    """The program while it runs; leaving the ``with`` ends it and everything it began."""

    def __init__(self, command: Sequence[str], *, network: bool) -> None:
        self.screen = Screen()
        self.download_s = 0.0
        self._began = time.monotonic()
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        held, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(
                [*GUARD, str(held), *command],
                stdin=subprocess.DEVNULL,
                stdout=slave,
                stderr=slave,
                pass_fds=(held,),
                start_new_session=True,
                env=environment(network=network),
            )
        finally:
            os.close(slave)
            os.close(held)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._end()
        os.close(self._master)

    @property
    def working_s(self) -> float:
        """Seconds since the beginning, downloads not counted."""
        return time.monotonic() - self._began - self.download_s

    def attend(self, limit_s: float, look: Callable[[], None]) -> float:
        """Read along until the program has ended; returns the seconds that it worked.

        Parameters
        ----------
        look : called about twenty times a second; what it raises ends the program.

        Raises
        ------
        BackendError
            It failed, or took longer than ``limit_s``, or its download stood still.
        """
        got_on_at = looked_at = time.monotonic()
        while self._process.poll() is None:
            downloading = self.screen.stage == DOWNLOADING
            if self.screen.feed(self._read(LOOK_S)):
                got_on_at = time.monotonic()
            now = time.monotonic()
            if downloading:
                self.download_s += now - looked_at
            looked_at = now
            look()
            if self.working_s > limit_s:
                raise TooSlow(
                    f"MusicGPT did not finish within {limit_s:.0f} s and was ended: choose a smaller model or shorter "
                    "clips."
                )
            if self.screen.stage == DOWNLOADING and now - got_on_at > DOWNLOAD_STALLS_S:
                raise BackendError(
                    f"MusicGPT's download stood still for {DOWNLOAD_STALLS_S:.0f} s: look at the network and try again."
                )
        while data := self._read(0.0):
            self.screen.feed(data)
        took = self.working_s
        if code := self._end():
            complaint = self.screen.complaint() or "it gave no reason"
            how = "could not be started" if code == NOT_STARTED else f"ended with code {code}"
            raise BackendError(f"MusicGPT {how}: {complaint}.")
        return took

    def _read(self, timeout_s: float) -> bytes:
        """What was drawn; nothing if nothing comes in time."""
        if not select.select([self._master], [], [], timeout_s)[0]:
            return b""
        try:
            return os.read(self._master, _READ)
        except OSError as error:
            if error.errno != errno.EIO:  # every writer has closed the terminal
                raise
            time.sleep(timeout_s)
            return b""

    def _end(self) -> int:
        """TERM, then KILL, to the program's own process group; returns the program's exit code."""
        if self._lifeline >= 0:
            if self._process.poll() is None:
                self._process.terminate()  # the guard passes it on
                self._wait(TERM_WITHIN_S)
            os.close(self._lifeline)
            self._lifeline = -1
            if not self._wait(GUARD_WITHIN_S):
                self._process.kill()
        return self._process.wait()

    def _wait(self, seconds: float) -> bool:
        """Wait for the end, reading on, for a program may hang in what it has to say."""
        until = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < until:
            self.screen.feed(self._read(0.01))
        return self._process.returncode is not None


class TooSlow(BackendError):
    """The program took longer than it may."""
