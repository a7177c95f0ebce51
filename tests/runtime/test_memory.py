"""A process that has done a piece of work is as large as before it."""

from __future__ import annotations

import subprocess
import sys

_WORK = """
import psutil, numpy as np
from shared.runtime import memory
memory.keep_flat()
size = lambda: psutil.Process().memory_info().rss / 1e6
np.ones(10)
before = size()
notes, kept = [], []
for number in range(200):  # what is kept lies between what is let go, so the heap cannot shrink from its end
    notes.append(np.ones(125_000))
    kept.append(np.ones(1_000))
notes.clear()
behind = size()
memory.give_back()
print(behind - before, size() - before)
"""


def test_free_pages_between_what_is_kept_go_back_to_the_system() -> None:
    told = subprocess.run([sys.executable, "-c", _WORK], capture_output=True, text=True, check=True).stdout
    behind, after = map(float, told.split())
    assert behind > 100
    assert after < 10


_LARGE = """
import numpy as np
from pathlib import Path
from shared.runtime import memory
memory.keep_flat()
def asked_for():
    stretch, found = "", 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            stretch = line
        found += "[heap]" in stretch and line.startswith("VmFlags") and " hg" in line
    return found
with memory.in_one_piece():
    np.ones(1 << 20)
    print(asked_for())
memory.give_back()
print(asked_for())
"""


def test_large_pages_that_an_array_asked_for_are_not_asked_for_after_it() -> None:
    told = subprocess.run([sys.executable, "-c", _LARGE], capture_output=True, text=True, check=True).stdout
    asked, behind = map(int, told.split())
    assert asked >= 1
    assert behind == 0
