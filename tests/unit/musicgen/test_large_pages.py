"""Memory on large pages: the same bytes, and fewer pages where the kernel allows it."""

from __future__ import annotations

import ctypes
from pathlib import Path

from services.generator.backends.musicgen.large_pages import PAGE, new_memory_on_large_pages
from shared.runtime import memory

THP = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def on_large_pages() -> int:
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("AnonHugePages:"):
            return int(line.split()[1]) * 1024
    return 0


def test_what_was_loaded_lies_on_large_pages_with_its_bytes() -> None:
    malloc, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free
    malloc.restype, malloc.argtypes, free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
    before = on_large_pages()
    with new_memory_on_large_pages():
        blocks = [malloc(PAGE + PAGE // 2) for _ in range(8)]
        for number, block in enumerate(blocks):
            ctypes.memset(block, 17 + number, PAGE + PAGE // 2)
    gives = THP.exists() and "[never]" not in THP.read_text()
    try:
        assert on_large_pages() - before >= (8 * PAGE if gives else 0)
        for number, block in enumerate(blocks):
            assert ctypes.string_at(block, PAGE + PAGE // 2) == bytes([17 + number]) * (PAGE + PAGE // 2)
    finally:
        for block in blocks:
            free(block)
        memory.give_back()
