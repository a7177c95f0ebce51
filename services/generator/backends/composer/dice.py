"""Chance that can be repeated: every choice of a piece comes from its prompt and seed.

Each aspect of a piece throws its own dice, so that a wish that changes one (another tempo, no drums) leaves the others.
"""

from __future__ import annotations

import hashlib
import random
import unicodedata


class Dice:
    """A tree of named random generators grown from one text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def fork(self, name: object) -> Dice:
        return Dice(f"{self._text}/{name}")

    def throw(self) -> random.Random:
        """A generator that always begins the same for the same text."""
        return random.Random(int.from_bytes(hashlib.sha256(self._text.encode("utf-8", "surrogatepass")).digest()))

    def number(self) -> int:
        """A 32-bit number."""
        return self.throw().getrandbits(32)


def seed_text(prompt: str, seed: int) -> str:
    """What the dice grow from: spacing, capitals and Unicode forms of the prompt make no difference."""
    return f"{' '.join(unicodedata.normalize('NFKC', prompt).casefold().split())}|{seed}"
