"""A long-lived process gives back what it no longer needs.

glibc raises the size from which it maps memory by itself whenever a mapped block is freed, up to 32 MB; from then on
the arrays of a clip come out of the heap, which frays and never shrinks. A fixed threshold keeps them apart: a freed
array is given back at once. What is smaller comes out of the heap all the same, and stays there behind whatever was
kept: a service that has done a piece of work gives those pages back too, and has Linux leave them alone. So its memory
is the same after an hour as after five minutes.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MAPPED_FROM = 4 << 20
"""Bytes; blocks from here on are mapped by themselves. Smaller ones are reused at once, which mapping would slow."""
MOST_FROM_HEAP = 32 << 20
"""Bytes; the largest threshold that glibc takes."""
ARENAS = 2
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_MAPS: Final = Path("/proc/self/maps")
MADV_HUGEPAGE: Final = 14
_MADV_NOHUGEPAGE: Final = 15


def keep_flat(mapped_from: int = MAPPED_FROM) -> None:
    """Fix the allocator's thresholds for this process; without effect where the C library is not glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_MMAP_THRESHOLD, mapped_from)
    mallopt(_M_TRIM_THRESHOLD, MAPPED_FROM)
    mallopt(_M_ARENA_MAX, ARENAS)


@contextlib.contextmanager
def in_one_piece() -> Iterator[None]:
    """Blocks taken within the ``with`` come out of the heap, one beside the other: many weights become one stretch.

    What is freed of them later goes back to the system with ``give_back`` only.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        yield
        return
    mallopt(_M_MMAP_THRESHOLD, MOST_FROM_HEAP)
    try:
        yield
    finally:
        mallopt(_M_MMAP_THRESHOLD, MAPPED_FROM)


def give_back() -> None:
    """Return every free page to the system; a few milliseconds, so not beside a thread that plays.

    numpy asks for pages of 2 MB wherever an array of 4 MB lies, now and then in the heap, and there they stay asked
    for: within minutes Linux would fill up the gaps that were given back. What lies on large pages stays on them.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
        for first, end in regions():
            advise(first, end, _MADV_NOHUGEPAGE)


def regions() -> Iterator[tuple[int, int]]:
    """First address and end of each stretch of this process's own memory that no file stands behind."""
    if not _MAPS.exists():
        return
    for line in _MAPS.read_text().splitlines():
        where, allowed, _offset, _device, inode, *name = line.split(maxsplit=5)
        if allowed == "rw-p" and inode == "0" and name in ([], ["[heap]"]):
            first, end = where.split("-")
            yield int(first, 16), int(end, 16)


def advise(first: int, end: int, advice: int) -> None:
    """Tell the kernel how the memory from ``first`` to ``end`` is used, by ``madvise(2)``; it may refuse."""
    madvise = getattr(ctypes.CDLL(None), "madvise", None)
    if madvise is not None:
        madvise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), advice)
