"""Weights on large pages: a step reads all of them, and half a million small pages are slow to find.

Linux backs memory with pages of 2 MB where it is asked to (``madvise(2)``: ``MADV_HUGEPAGE``, and ``MADV_COLLAPSE`` for
what is there already); ONNX Runtime does not ask. A step of the decoder becomes a quarter faster by it on a virtual
machine (``benchmarks/results/musicgen.md``). Elsewhere, or where the kernel refuses, everything stays as it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from shared.runtime import memory

PAGE: Final = 2 << 20
_MADV_COLLAPSE: Final = 25


@contextlib.contextmanager
def new_memory_on_large_pages() -> Iterator[None]:
    """Whatever memory is taken within the ``with`` lies on large pages at its end, as far as the kernel will."""
    before = set(memory.regions())
    with memory.in_one_piece():
        yield
    for region in set(memory.regions()) - before:
        first, end = -(-region[0] // PAGE) * PAGE, region[1] // PAGE * PAGE
        if first < end:
            memory.advise(first, end, memory.MADV_HUGEPAGE)
            memory.advise(first, end, _MADV_COLLAPSE)
