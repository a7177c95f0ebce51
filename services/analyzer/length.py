"""How long a loop is wanted: by itself eight bars, four at the least; in bars; or in seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from shared.errors import UsageError

SHORTEST_S: Final = 1.0
LONGEST_S: Final = 60.0
MOST_BARS: Final = 64


@dataclass(frozen=True)
class LengthWish:
    """At most one of the two is given; none means: eight bars, four at the least, 12 s where nothing pulses."""

    seconds: float | None = None
    bars: int | None = None


def parse_wish(text: str) -> LengthWish:
    """``auto``, bars as ``8bars``, or seconds as ``6.5``.

    Raises
    ------
    UsageError
        Anything else, or out of range; the sentence names the range.
    """
    words = text.strip().lower()
    if words in ("", "auto"):
        return LengthWish()
    bars = re.fullmatch(r"(\d{1,3})\s*bars?", words)
    if bars and 1 <= int(bars[1]) <= MOST_BARS:
        return LengthWish(bars=int(bars[1]))
    seconds = re.fullmatch(r"(\d{1,4}(?:\.\d+)?)\s*s?", words)
    if seconds and SHORTEST_S <= float(seconds[1]) <= LONGEST_S:
        return LengthWish(seconds=float(seconds[1]))
    raise UsageError(
        f"{text!r} is no loop length: give auto, bars as 8bars (1 to {MOST_BARS}) "
        f"or seconds ({SHORTEST_S:g} to {LONGEST_S:g})."
    )
