"""The tempo and the key that a prompt names itself: no mere wish, for the listener has said them. Pure."""

from __future__ import annotations

import re
from typing import Final

SLOWEST: Final = 20.0
FASTEST: Final = 400.0
_NUMBER: Final = r"(\d{2,3}(?:[.,]\d{1,2})?)"
_TEMPO: Final = re.compile(
    rf"(?<![\w.,])(?:{_NUMBER}\s*(?:-|–|to)\s*)?{_NUMBER}[\s-]*(?:bpm|beats? (?:per|a) minute)\b"
    rf"|\b(?:bpm|tempo)\s*(?:of|=|:)?\s*{_NUMBER}(?![\w/])",
    re.IGNORECASE,
)
_KEY: Final = re.compile(
    r"(?<![\w#♯♭])([A-Ga-g])[ -]?(#|♯|b|♭|sharp|flat)?(?:[ -]?(major|minor|maj|min)|(m))\b"
    r"(?! (?:key|mode|mood|tonality|scale|chord|I\b))"
)
_SIGNS: Final = {"♯": "#", "sharp": "#", "♭": "b", "flat": "b"}


def named_tempo(prompt: str) -> float | None:
    """Beats a minute: ``at 120 bpm``, ``bpm: 120``; of ``90-100 bpm`` the middle."""
    for found in _TEMPO.finditer(prompt):
        low, high, after = (float(each.replace(",", ".")) if each else None for each in found.groups())
        value = after if high is None else high if low is None else (low + high) / 2
        if value is not None and SLOWEST <= value <= FASTEST:
            return value
    return None


def named_key(prompt: str) -> str | None:
    """``in D minor`` → ``Dm``, ``E flat major`` → ``Eb``; "a minor" alone may be an article, and is no key."""
    for found in _KEY.finditer(prompt):
        letter, sign, mode, short = found.groups()
        if letter.islower() and short:
            continue
        if letter == "a" and not re.search(r"\b(?:in|of|key:?)\s+$", prompt[: found.start()], re.IGNORECASE):
            continue
        minor = bool(short) or mode.startswith("min")
        return letter.upper() + _SIGNS.get(sign or "", sign or "") + ("m" if minor else "")
    return None
