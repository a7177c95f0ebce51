"""Stands between the inference process and the MusicGPT binary, so that the binary never outlives us.

Run as ``python -m … LIFELINE PROGRAM ARGUMENT…`` at the head of a process group of its own. It ends with the
program's own code; when the other end of the pipe LIFELINE closes, for whoever held it was killed, it kills the group.
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
    parent = os.getpid()
    woken, waker = socket.socketpair()
    for each in (woken, waker):
        each.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    # Handlers, unlike ignored signals, are not inherited by the program.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: None)
    child = os.fork()
    if child == 0:
        _become(program, parent)
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
        ready, _, _ = select.select([held, woken.fileno()], [], [])
        if held in ready:
            os.killpg(0, signal.SIGKILL)
        with contextlib.suppress(BlockingIOError):
            woken.recv(4096)


def _become(program: list[str], parent: int) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        lifeline.end_with_parent(parent, signal.SIGKILL)
        os.execv(program[0], program)
    except OSError as error:
        os.write(2, f"{program[0]} cannot be run: {error.strerror}\n".encode())
    finally:
        os._exit(NOT_STARTED)


if __name__ == "__main__":
    main()
