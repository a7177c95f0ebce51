"""Whether a measurement had the machine to itself."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

LITTLE: Final = 0.05
"""Of all processors: more than this, taken by others, spoils a measurement of speed."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_STAT: Final = Path("/proc/stat")
Result = TypeVar("Result")


def undisturbed(measure: Callable[[], Result], tries: int = 3) -> tuple[Result, float]:
    """A measurement, and the share of the processors that others took meanwhile: the first with little of it, or the
    last of ``tries``.
    """
    attempt = 0
    while True:
        began, ours, everyone = time.perf_counter(), _ours(), _everyone()
        result = measure()
        spent = time.perf_counter() - began
        others = (_everyone() - everyone) - (_ours() - ours)
        share = max(0.0, others / spent / (os.cpu_count() or 1))
        attempt += 1
        if share <= LITTLE or attempt >= tries:
            return result, share


def _ours() -> float:
    """Seconds of the processors that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _everyone() -> float:
    """The same of everyone, other tenants of the hardware among them."""
    if not _STAT.exists():
        return _ours()
    user, nice, system, _idle, _waiting, irq, softirq, steal = map(int, _STAT.read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICKS
