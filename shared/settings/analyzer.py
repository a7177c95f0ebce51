"""Settings of the analyzer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from shared.settings.fields import custom, number

_BARS = re.compile(r"(\d{1,2})\s*bars?", re.IGNORECASE)


def _min_loop(given: Any) -> str:
    """``auto``, a number of bars, or seconds from 1 to 20."""
    words = str(given).strip().lower()
    if words == "auto":
        return words
    if bars := _BARS.fullmatch(words):
        if not 1 <= int(bars[1]) <= 32:
            raise ValueError(given)
        return f"{int(bars[1])}bars"
    seconds = float(words.removesuffix("s").strip())
    if not 1 <= seconds <= 20:
        raise ValueError(given)
    return f"{seconds:g}"


@dataclass(frozen=True)
class AnalyzerSettings:
    min_loop: str = custom(
        "auto",
        _min_loop,
        allowed="auto, bars such as 4bars (1 to 32), or 1 to 20 s",
        help="loop at least",
        aliases=("minlength",),
    )
    loudness: float = number(-16.0, -30, -8, unit="LUFS", help="how loud every loop is made")
