"""Runs a handful of commands side by side: when one ends, all end. What honcho does in the foreground, for a station in
the background. Standard library only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

from shared.runtime.supervisor import LAUNCHER_VARIABLE

STOP_WITHIN_S = 5.0
_LOOK_S = 0.2


def launch(commands: Mapping[str, Sequence[str]]) -> int:
    """Run every command until one of them ends or this process is asked to; returns the first one's exit code."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: asked.append(received))
    environment = {**os.environ, LAUNCHER_VARIABLE: str(os.getpid())}
    children = [subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment) for command in commands.values()]
    code = 0
    try:
        while not asked:
            ended = [child.returncode for child in children if child.poll() is not None]
            if ended:
                code = max(ended[0], 0)
                break
            time.sleep(_LOOK_S)
    finally:
        _end(children)
    return code


def _end(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for child in children:
        if child.poll() is None:
            child.terminate()
    deadline = time.monotonic() + STOP_WITHIN_S
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
