"""A listener at a terminal: the interactive shell on a pseudo-terminal, over a station of real processes."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pexpect

from tests.pipeline.whole import BUSY_PORT, ROOT

WAITS_S = 40.0
"""No answer ever takes this long but on a machine that is busy with everything else."""
_WHERE = "\x1b\\[6n"
"""The shell asks where the cursor is; a terminal answers."""
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
MOUNTS = 'mount -t tmpfs -o size=32k full "$1" && mount -t tmpfs -o ro sealed "$2" && shift 2 && exec "$@"'


class Terminal:
    """One shell: what is typed into it and what it shows.

    It runs in a mount namespace of its own, where ``full`` is a disk of 32 kB and ``sealed`` one that takes nothing.
    """

    def __init__(self, home: Path, folder: Path) -> None:
        self.folder, self.full, self.sealed = folder, folder / "full", folder / "sealed"
        for each in (self.full, self.sealed):
            each.mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "INFINILOOP_HOME": str(home),
            "INFINILOOP_PLAYER_DRIVER": "null",
            "INFINILOOP_DASHBOARD_PORT": BUSY_PORT,
            "PYTHONPATH": str(ROOT),
            "PROMPT_TOOLKIT_NO_CPR": "",
            "TERM": "xterm",
            "LANG": "C.UTF-8",
        }
        namespace = ["-m"] if os.geteuid() == 0 else ["-rm"]
        command = [sys.executable, "-m", "services"]
        self._shown: list[str] = []
        self._child = pexpect.spawn(
            "unshare",
            [*namespace, "sh", "-c", MOUNTS, "sh", str(self.full), str(self.sealed), *command],
            env=environment,
            cwd=folder,
            encoding="utf-8",
            timeout=WAITS_S,
            dimensions=(50, 160),
        )
        self._child.delaybeforesend = None

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close(force=True)

    @property
    def shown(self) -> str:
        """Everything so far, without colours and movements."""
        return _COLOURS.sub("", "".join(self._shown))

    def sees(self, *patterns: str) -> str:
        """Wait until each of these has been shown, one after the other; returns what the last one matched."""
        found = ""
        for pattern in patterns:
            while self._child.expect([_WHERE, pattern]) == 0:
                self._keep()
                self._child.send("\x1b[1;1R")
            self._keep()
            found = str(self._child.after)
        return found

    def says(self, line: str, *patterns: str) -> str:
        """Type a line, wait for what it brings, and for the next prompt; returns what the last pattern matched."""
        self._child.sendline(line)
        found = self.sees(*patterns)
        self.sees("infini>")
        return found

    def types(self, text: str) -> None:
        """Type without Enter."""
        self._child.send(text)

    def presses(self, key: str) -> None:
        """Ctrl and this key."""
        self._child.sendcontrol(key)

    def ends(self) -> int:
        """Wait for the shell's end; returns its exit code."""
        while self._child.expect([_WHERE, pexpect.EOF]) == 0:
            self._child.send("\x1b[1;1R")
        self._child.close()
        code = self._child.exitstatus
        assert code is not None
        return int(code)

    def _keep(self) -> None:
        self._shown.append(f"{self._child.before}{self._child.after}")
