"""No process of ours outlives the one that began it, even when that one is killed.

On Linux the kernel sends a signal when the parent dies. Elsewhere a watching thread sees the parent's number change.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

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


def _watch(parent: int, ending: signal.Signals) -> None:
    while os.getppid() == parent:
        threading.Event().wait(_WATCH_S)
    os.kill(os.getpid(), ending)
