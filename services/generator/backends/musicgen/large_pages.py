"""Weights on large pages: a step reads all of them, and half a million small pages are slow to find.

Linux backs memory with pages of 2 MB where it is asked to (``madvise(2)``: ``MADV_HUGEPAGE``, and ``MADV_COLLAPSE`` for
what is there already); ONNX Runtime does not ask. A step of the decoder becomes a quarter faster by it on a virtual
machine (``benchmarks/results/musicgen.md``). Elsewhere, or where the kernel refuses, everything stays as it is.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shared.runtime import memory

PAGE: Final = 2 << 20
_MAPS: Final = Path("/proc/self/maps")
_MADV_HUGEPAGE: Final = 14
_MADV_COLLAPSE: Final = 25


@contextlib.contextmanager
def new_memory_on_large_pages() -> Iterator[None]:
    """Whatever memory is taken within the ``with`` lies on large pages at its end, as far as the kernel will."""
    before = set(_regions())
    with memory.in_one_piece():
        yield
    advise = getattr(ctypes.CDLL(None), "madvise", None)
    if advise is None:
        return
    for region in set(_regions()) - before:
        first, end = -(-region[0] // PAGE) * PAGE, region[1] // PAGE * PAGE
        if end <= first:
            continue
        for advice in (_MADV_HUGEPAGE, _MADV_COLLAPSE):
            advise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), advice)


def _regions() -> Iterator[tuple[int, int]]:
    """Beginning and end of each stretch of this process's own memory that no file stands behind."""
    if not _MAPS.exists():
        return
    for line in _MAPS.read_text().splitlines():
        where, allowed, _offset, _device, inode, *name = line.split(maxsplit=5)
        if allowed == "rw-p" and inode == "0" and name in ([], ["[heap]"]):
            first, end = where.split("-")
            yield int(first, 16), int(end, 16)
