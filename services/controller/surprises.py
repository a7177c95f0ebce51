"""Presets at random: one that was not drawn lately, and none whose style does poorly on this machine. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

REMEMBERED = 20
SONGS = 2
"""Of each preset so many songs are heard before the next one is drawn."""


@dataclass(frozen=True)
class Surprise:
    """A preset that may be drawn."""

    name: str
    title: str
    prompt: str


def draw(presets: Sequence[Surprise], weak_words: Iterable[str], drawn: Sequence[str], dice: Random) -> Surprise | None:
    """One of the presets; None where there is none that may be drawn.

    Parameters
    ----------
    weak_words : words and phrases that ask for a style which does poorly here; a prompt that has one is not drawn.
    drawn : names of those drawn before, oldest first; the latest are left out while there are others.
    """
    phrases = [re.escape(word.casefold()) for word in weak_words]
    weak = re.compile(rf"(?<!\w)(?:{'|'.join(phrases)})(?!\w)") if phrases else None
    able = [each for each in presets if weak is None or not weak.search(each.prompt.casefold())]
    lately = set(drawn[-min(REMEMBERED, max(0, len(able) - 1)) :]) if len(able) > 1 else set()
    fresh = [each for each in able if each.name not in lately]
    return dice.choice(fresh) if fresh else None
