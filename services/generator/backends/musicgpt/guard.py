"""Stands between the inference process and the MusicGPT binary, so that the binary never outlives us.

Run as ``python -m … LIFELINE PROGRAM ARGUMENT…``. The program gets a process group of its own. The guard passes SIGTERM
on to that group; when the other end of the pipe LIFELINE closes, because the job is over or whoever held it was killed,
it kills the group. It ends with the program's own code, and nothing of the group is left then.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
from typing import NoReturn

from shared.runtime import lifeline

NOT_STARTED = 127


def main() -> NoReturn:
    """Begin the program and attend to it."""
    held, program = int(sys.argv[1]), sys.argv[2:]
    guard = os.getpid()
    woken, waker = socket.socketpair()
    for each in (woken, waker):
        each.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    child = os.fork()
    if child == 0:
        _become(program, guard)
    with contextlib.suppress(PermissionError):  # the child was quicker to make its own group and is another program
        os.setpgid(child, child)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: _signal(child, signal.SIGTERM))
    waits: list[int] = [held, woken.fileno()]
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        ready, _, _ = select.select(waits, [], [])
        if held in ready:
            _signal(child, signal.SIGKILL)
            waits.remove(held)
        with contextlib.suppress(BlockingIOError):
            woken.recv(4096)
    _signal(child, signal.SIGKILL)  # whatever it left behind; unreaped, its number is still its own
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(code if code >= 0 else 128 - code)


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _become(program: list[str], guard: int) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        os.setpgid(0, 0)
        lifeline.end_with_parent(guard, signal.SIGKILL)
        os.execv(program[0], program)
    except OSError as error:
        os.write(2, f"{program[0]} cannot be run: {error.strerror}\n".encode())
    finally:
        os._exit(NOT_STARTED)


if __name__ == "__main__":
    main()
