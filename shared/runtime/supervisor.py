"""The small parent of a service: begins it, begins it again when it dies, ends with it when asked.

Honcho stops everything when one of its processes exits and restarts nothing, so each of its processes is one of these.
Standard library only: five of them run in every station.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

from shared.runtime import lifeline

STOP_WITHIN_S = 4.0
"""A service has this long for its orderly end, then it is killed."""
STABLE_AFTER_S = 2.0
"""A service that lived this long has started well: the next restart is immediate again. Only one that dies in its very
beginning, and again and again, is begun ever more slowly."""
FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
LOCKED_CODE = 75
"""A service ends with this where another station holds its lock; beginning again would not help."""
USAGE_CODE = 2
SHUTDOWN_CODE = 76
"""A service ends with this when the listener ended the station: its parent ends too, and so all that is beside it."""
_LAST_WORDS = {USAGE_CODE: USAGE_CODE, LOCKED_CODE: 1, SHUTDOWN_CODE: 0}
"""Ends of a service after which it is not begun again, and what its parent then ends with."""
PARENT_VARIABLE = "INFINILOOP_PARENT"
"""Tells the service which process it ends with."""
LAUNCHER_VARIABLE = "INFINILOOP_LAUNCHER"
"""Tells a supervisor which process it ends with, where it was begun by one that says so."""
HONCHO_VARIABLE = "HONCHO_PROCESS_NAME"
"""Set by honcho for everything that it runs."""


def supervise(command: Sequence[str], name: str, *, stop_within_s: float = STOP_WITHIN_S) -> int:
    """Run ``command`` until asked to stop by SIGTERM, SIGINT or SIGHUP; returns the exit code for this process.

    The command is begun again whenever it ends by itself, after 0.1 s, doubling up to 5 s while it keeps dying. Asked
    to stop, it has ``stop_within_s`` for its orderly end.
    """
    supervisor = _Supervisor(command, name, stop_within_s)
    if launcher := os.environ.pop(LAUNCHER_VARIABLE, ""):
        lifeline.end_with_parent(int(launcher))
    elif HONCHO_VARIABLE in os.environ and (honcho := lifeline.find_honcho()) is not None:
        lifeline.end_with(honcho)
    return supervisor.run()


class _Supervisor:
    def __init__(self, command: Sequence[str], name: str, stop_within_s: float) -> None:
        self._command, self._name, self._stop_within_s = command, name, stop_within_s
        self._stop_signal: int | None = None
        # Every signal, the child's death among them, ends a wait on this pair of sockets.
        self._woken, waker = socket.socketpair()
        self._woken.setblocking(False)
        waker.setblocking(False)
        self._waker = waker
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> int:
        delay = FIRST_DELAY_S
        while not self._stopping():
            began = time.monotonic()
            child = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, env={**os.environ, PARENT_VARIABLE: str(os.getpid())}
            )
            code = self._attend(child)
            if code in _LAST_WORDS:
                return _LAST_WORDS[code]
            if self._stopping():
                break
            # One that was killed from outside has not failed: waiting would only lengthen the gap.
            if code == -signal.SIGKILL or time.monotonic() - began >= STABLE_AFTER_S:
                delay = FIRST_DELAY_S
            how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
            _say(f"{self._name} {how}; it begins again in {delay:.1f} s.")
            self._sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY_S)
        return 0

    def _attend(self, child: subprocess.Popen[bytes]) -> int:
        """Wait for the child's end; once asked to stop, see to it. Returns its exit code."""
        while not self._stopping():
            if (code := child.poll()) is not None:
                return code
            self._wait(None)
        child.terminate()
        try:
            return child.wait(self._stop_within_s)
        except subprocess.TimeoutExpired:
            _say(f"{self._name} did not end within {self._stop_within_s:g} s and was killed.")
            child.kill()
            return child.wait()

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopping() and (left := until - time.monotonic()) > 0:
            self._wait(left)

    def _wait(self, timeout_s: float | None) -> None:
        if select.select([self._woken], [], [], timeout_s)[0]:
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)

    def _stopping(self) -> bool:
        return self._stop_signal is not None

    def _stop(self, number: int, _frame: object) -> None:
        self._stop_signal = number


def _say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()
