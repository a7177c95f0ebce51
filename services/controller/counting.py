"""How many there are of a thing, in words."""

from __future__ import annotations


def number_of(count: int, thing: str) -> str:
    """ "1 song", "3 songs": for things whose plural takes an s."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
