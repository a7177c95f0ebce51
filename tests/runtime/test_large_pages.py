"""Memory on large pages: the same bytes, in memory for which the kernel was asked to use them."""

from __future__ import annotations

import subprocess
import sys

from services.generator.backends.musicgen.large_pages import PAGE

# In a process of its own: what another test freed would be used again, and nothing new be taken.
_WORK = """
import ctypes
from pathlib import Path
from services.generator.backends.musicgen.large_pages import PAGE, new_memory_on_large_pages

def asked_for():  # bytes of the stretches that carry the flag of MADV_HUGEPAGE, see proc(5)
    total = size = 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if line.startswith("Rss:"):
            size = int(line.split()[1]) * 1024
        elif line.startswith("VmFlags:") and "hg" in line.split():
            total += size
    return total

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
size = PAGE + PAGE // 2
with new_memory_on_large_pages():
    blocks = [libc.malloc(size) for _ in range(8)]
    for number, block in enumerate(blocks):
        ctypes.memset(block, 17 + number, size)
whole = all(ctypes.string_at(block, size) == bytes([17 + number]) * size for number, block in enumerate(blocks))
print(asked_for(), whole)
"""


def test_what_was_loaded_lies_on_large_pages_with_its_bytes() -> None:
    told = subprocess.run([sys.executable, "-c", _WORK], capture_output=True, text=True, check=True).stdout.split()
    assert int(told[0]) >= 8 * PAGE
    assert told[1] == "True"
