"""No process of ours outlives the one that began it, even when that one is killed.

On Linux the kernel sends a signal when the parent dies. Elsewhere a watching thread sees the parent's number change.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import threading
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_WATCH_S = 0.5


def end_with_parent(parent: int, ending: signal.Signals = signal.SIGTERM) -> None:
    """End this process by ``ending`` when the process ``parent`` is gone.

    Called early in the child. The kernel watches the parent's *thread* that began us, so children are begun in the
    main thread. The parent may have died before this call: then it takes effect at once.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, int(ending), 0, 0, 0)
    else:
        threading.Thread(target=_watch, args=(parent, ending), daemon=True, name="lifeline").start()
    if os.getppid() != parent:
        os.kill(os.getpid(), ending)


def end_with(process: int, ending: signal.Signals = signal.SIGTERM) -> None:
    """End this process by ``ending`` when ``process``, which need not be its parent, is gone."""
    threading.Thread(target=_wait_for, args=(process, ending), daemon=True, name="lifeline").start()


def find_honcho() -> int | None:
    """The honcho that runs this process, or None.

    Honcho puts a process of its own between itself and each command, which outlives it; so the parent says nothing.
    Read from ``/proc``: elsewhere nobody is found.
    """
    above, found = os.getppid(), None
    with contextlib.suppress(OSError, ValueError, IndexError):
        while above > 1:
            words = Path(f"/proc/{above}/cmdline").read_bytes().split(b"\0")[:4]
            is_honcho = any(word.rpartition(b"/")[2] == b"honcho" for word in words)
            if found is not None and not is_honcho:
                break
            found = above if is_honcho else found
            above = int(Path(f"/proc/{above}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def _wait_for(process: int, ending: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        if sys.platform == "linux":
            descriptor = os.pidfd_open(process)
            select.select([descriptor], [], [])  # readable when it has ended
        else:
            while True:
                os.kill(process, 0)
                threading.Event().wait(_WATCH_S)
    os.kill(os.getpid(), ending)


def _watch(parent: int, ending: signal.Signals) -> None:
    while os.getppid() == parent:
        threading.Event().wait(_WATCH_S)
    os.kill(os.getpid(), ending)
