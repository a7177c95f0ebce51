"""The figures in a prompt: tempo, key, metre, bars."""

from __future__ import annotations

import re
from typing import Final

from services.generator.backends.composer import meters, theory
from services.generator.backends.composer.prompt.lexicon import find
from services.generator.backends.composer.score import Meter

TEMPO_RANGE: Final = (20.0, 400.0)
_BPM: Final = re.compile(
    r"(?<![\w.])(\d{2,3}(?:[.,]\d{1,2})?)\s*(?:bpm|beats? per minute|battiti(?: al minuto)?)\b"
    r"|\b(?:bpm|tempo)\s*(?:of|di|=|:)?\s*(\d{2,3}(?:[.,]\d{1,2})?)(?![\w/])"
)
_BARE: Final = re.compile(r"(?<![\w./])(?:at|@|a)?\s*(\d{2,3})(?=\s*(?:,|$|with\b|con\b))")
"""A number at the end of a clause is a tempo, if it can be one and is no machine's name."""
_MACHINES: Final = frozenset({"101", "106", "303"})
_KEY: Final = re.compile(
    r"(?<![\w#♯♭])([A-Ga-g])\s*[- ]?(#|♯|b|♭|sharp|flat)?\s*[- ]?"
    r"(major|minor|maj|min|harmonic[ -]minor|dorian|phrygian|lydian|mixolydian|aeolian|ionian|blues)\b"
    r"(?!\s+(?:key|mode|mood|tonality|scale))"
)
_KEY_SHORT: Final = re.compile(r"(?<![\w#♯♭])(?i:in|key of|key:?|in the key of)\s+([A-G](?:#|♯|b|♭)?m?)(?![\w#♯♭'’])")
_KEY_ALONE: Final = re.compile(
    r"(?<![\w#♯♭])([B-G](?:#|♯|b|♭)?m|A(?:#|♯|b|♭)?m(?!\s+[Ii]\b)|[A-G](?:#|♯|♭))(?![\w#♯♭'’/])"
)
_KEY_ITALIAN: Final = re.compile(
    r"\b(do|re|mi|fa|sol|la|si)\s*(diesis|bemolle|#|♯|b|♭)?\s*(maggiore|minore|dorico|frigio|lidio|misolidio)\b"
)
_ITALIAN: Final = {"do": "C", "re": "D", "mi": "E", "fa": "F", "sol": "G", "la": "A", "si": "B"}
_ITALIAN_MODES: Final = {
    "maggiore": "major",
    "minore": "minor",
    "dorico": "dorian",
    "frigio": "phrygian",
    "lidio": "lydian",
    "misolidio": "mixolydian",
}
_METER: Final = re.compile(r"(?<![\w/.])(\d{1,2}\s*/\s*(?:4|8))(?![\w/])")
_WALTZ: Final = ("waltz", "waltzes", "valzer", "walzer", "valse", "three four", "in three", "in tre", "tre quarti")
_COMPOUND: Final = ("jig", "tarantella", "six eight", "sei ottavi", "barcarolle", "barcarola")
_ODD: Final = {"five four": "5/4", "cinque quarti": "5/4", "seven eight": "7/8", "sette ottavi": "7/8"}
_BARS: Final = re.compile(r"(?<![\w.])(\d{1,3})\s*(?:bars?|battute|battuta|measures?|misure)\b")
_MODES: Final = {
    "minor": ("minor", "minor key", "minore"),
    "major": ("major", "major key", "maggiore"),
    "dorian": ("dorian", "dorico"),
    "phrygian": ("phrygian", "frigio", "flamenco"),
    "lydian": ("lydian", "lidio"),
    "mixolydian": ("mixolydian", "misolidio"),
    "harmonic-minor": ("harmonic minor", "minore armonica"),
}


def bpm_in(bare: str) -> float | None:
    """A tempo in beats a minute, from plain text."""
    for match in _BPM.finditer(bare):
        value = float((match[1] or match[2]).replace(",", "."))
        if TEMPO_RANGE[0] <= value <= TEMPO_RANGE[1]:
            return value
    tempi = [match[1] for match in _BARE.finditer(bare) if match[1] not in _MACHINES]
    return next((float(text) for text in tempi if 40 <= float(text) <= 220), None)


def bars_in(bare: str) -> int | None:
    """A length in bars, from plain text."""
    match = _BARS.search(bare)
    return int(match[1]) if match and 1 <= int(match[1]) <= 64 else None


def key_in(bare: str, text: str) -> tuple[int | None, str | None]:
    """The key that is named, tonic and mode; a mode may be named without a tonic."""
    tonic, mode = _named_key(text)
    return tonic, mode or next((name for name, phrases in _MODES.items() if find(phrases, bare)), None)


def _named_key(text: str) -> tuple[int | None, str | None]:
    """A letter with no mode leaves the mode open only if it stands alone."""
    if match := _KEY.search(text):
        letter, accidental, mode = match.groups()
        # "a minor chord" begins with an article, "A minor" with a key.
        article = letter == "a" and not re.search(r"\b(?:in|of|key)\s+$", text[: match.start()])
        if not article or text.strip().casefold().startswith("a min"):
            sign = {"sharp": "#", "flat": "b", None: ""}.get(accidental, accidental)
            return theory.parse_key(f"{letter.upper()}{sign} {mode}") or (None, None)
    if match := _KEY_ITALIAN.search(text.casefold()):
        note, accidental, mode = match.groups()
        sign = {"diesis": "#", "bemolle": "b", None: ""}.get(accidental, accidental)
        return theory.parse_key(f"{_ITALIAN[note]}{sign} {_ITALIAN_MODES[mode]}") or (None, None)
    for pattern in (_KEY_SHORT, _KEY_ALONE):
        if (match := pattern.search(text)) and (key := theory.parse_key(match[1])):
            return key
    return None, None


def meter_in(bare: str, text: str) -> Meter | None:
    """A metre, as a fraction in the text or by the name of a dance."""
    for match in _METER.finditer(text):
        if meter := meters.parse_meter(match[1]):
            return meter
    for phrase, written in _ODD.items():
        if find((phrase,), bare):
            return meters.parse_meter(written)
    if find(_WALTZ, bare):
        return Meter(3, 4)
    return Meter(6, 8) if find(_COMPOUND, bare) else None
