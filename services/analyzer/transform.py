"""Sizes at which a Fourier transform is fast."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=256)
def fast_size(count: int) -> int:
    """The least product of powers of 2, 3 and 5 that is not below ``count``: FFTs of other sizes are slow."""
    best = 1 << max(0, count - 1).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            size = three << max(0, -(-count // three) - 1).bit_length()
            if count <= size < best:
                best = size
            three *= 3
        five *= 5
    return best
