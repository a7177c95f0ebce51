"""Which loops of the library suit a prompt that they were not made for, by the words of both. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from shared.music import Loop

LIKE_ENOUGH = 0.6
"""Of two prompts of five words, three are the same."""
_FILLERS = frozenset(
    (
        "a", "an", "and", "at", "beats", "bpm", "by", "for", "from", "in", "into", "loop", "minute", "music", "of",
        "on", "or", "per", "some", "song", "the", "to", "track", "very", "with",
    )
)  # fmt: skip
_REFUSING = frozenset(("no", "without"))


def likeness(prompt: str, other: str) -> float:
    """The share of words that two prompts have in common (Dice's coefficient), 0–1; "no drums" is one word of its own.

    Figures count as words, so that another tempo is another wish.
    """
    first, second = _words(prompt), _words(other)
    total = len(first) + len(second)
    return 2 * len(first & second) / total if total else 0.0


def matching(prompt: str, loops: Iterable[Loop], most: int = 1) -> list[Loop]:
    """At most ``most`` loops whose prompt is like this one, the likest first; of equals the newer one."""
    ranked = [
        (likeness(prompt, loop.recipe.prompt), loop)
        for loop in loops
        if loop.recipe is not None and not loop.bridge and not loop.startup
    ]
    found = [(like, loop) for like, loop in ranked if like >= LIKE_ENOUGH]
    return [loop for _, loop in sorted(found, key=lambda pair: (-pair[0], -pair[1].epoch))[:most]]


def _words(prompt: str) -> frozenset[str]:
    words: set[str] = set()
    refused = ""
    for word in re.findall(r"[^\W_]+", prompt.casefold()):
        if word in _REFUSING:
            refused = "no "
        elif word not in _FILLERS:
            words.add(refused + word)
            refused = ""
    return frozenset(words)
