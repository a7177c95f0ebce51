"""Scales, keys and chords: the little music theory that composing by rules needs.

Conventions
-----------
A pitch is a MIDI note number, a pitch class is 0–11 with 0 = C. Chords are written as Roman numerals against the major
scale on the tonic, the way jazz and pop players write them: ``i9``, ``bVImaj7``, ``iiø7``, ``V7b9``. A capital numeral
is a major chord, a small one is minor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

MODES: Final[dict[str, tuple[int, ...]]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "harmonic-minor": (0, 2, 3, 5, 7, 8, 11),
    "blues": (0, 2, 3, 4, 5, 6, 7, 9, 10),
}
MINOR_MODES: Final = frozenset({"minor", "dorian", "phrygian", "harmonic-minor"})

PENTATONIC: Final[dict[str, tuple[int, ...]]] = {
    "major": (0, 2, 4, 7, 9),
    "lydian": (0, 2, 4, 7, 9),
    "mixolydian": (0, 2, 4, 7, 9),
    "blues": (0, 3, 5, 6, 7, 10),
    "phrygian": (0, 1, 5, 7, 8),
}
_MINOR_PENTATONIC: Final = (0, 3, 5, 7, 10)

MAJOR_TONICS: Final = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MINOR_TONICS: Final = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
_SHARPS: Final = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_FLATS: Final = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_LETTERS: Final = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}

# Suffix → intervals over the root, for a capital and for a small numeral.
_MAJOR_QUALITIES: Final[dict[str, tuple[int, ...]]] = {
    "": (0, 4, 7),
    "5": (0, 7),
    "6": (0, 4, 7, 9),
    "69": (0, 4, 7, 9, 14),
    "7": (0, 4, 7, 10),
    "9": (0, 4, 7, 10, 14),
    "13": (0, 4, 7, 10, 14, 21),
    "maj7": (0, 4, 7, 11),
    "maj9": (0, 4, 7, 11, 14),
    "maj7#11": (0, 4, 7, 11, 18),
    "add9": (0, 4, 7, 14),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "7sus4": (0, 5, 7, 10),
    "9sus4": (0, 5, 7, 10, 14),
    "7b9": (0, 4, 7, 10, 13),
    "7#9": (0, 4, 7, 10, 15),
    "+": (0, 4, 8),
}
_MINOR_QUALITIES: Final[dict[str, tuple[int, ...]]] = {
    "": (0, 3, 7),
    "5": (0, 7),
    "6": (0, 3, 7, 9),
    "7": (0, 3, 7, 10),
    "9": (0, 3, 7, 10, 14),
    "11": (0, 3, 7, 10, 14, 17),
    "add9": (0, 3, 7, 14),
    "maj7": (0, 3, 7, 11),
    "ø7": (0, 3, 6, 10),
    "o": (0, 3, 6),
    "o7": (0, 3, 6, 9),
}
_NUMERALS: Final = {"i": 0, "ii": 2, "iii": 4, "iv": 5, "v": 7, "vi": 9, "vii": 11}
_ROMAN: Final = re.compile(r"^([b#]?)([iv]+|[IV]+)(.*)$")


@dataclass(frozen=True)
class Chord:
    """A chord as pitch classes: ``intervals`` are semitones over ``root``, ninths and above left wide."""

    root: int
    intervals: tuple[int, ...]
    symbol: str

    @cached_property
    def pitches(self) -> tuple[int, ...]:
        """Pitch classes, root first."""
        return tuple((self.root + interval) % 12 for interval in self.intervals)

    @property
    def fifth(self) -> int:
        """Semitones from the root to what the bass may take as its fifth."""
        return next((i for i in self.intervals if i in {6, 7, 8}), 7)

    @property
    def third(self) -> int:
        """Semitones from the root to its third, or to what a suspended chord has instead."""
        return next((i for i in self.intervals if i in {2, 3, 4, 5}), 7)

    @property
    def seventh(self) -> int:
        return next((i for i in self.intervals if i in {9, 10, 11}), 12)


def is_minor(mode: str) -> bool:
    """Whether a listener would call the mode minor."""
    return mode in MINOR_MODES


def scale(tonic: int, mode: str) -> frozenset[int]:
    """The mode's pitch classes on ``tonic``."""
    return frozenset((tonic + step) % 12 for step in MODES[mode])


def pentatonic(tonic: int, mode: str) -> frozenset[int]:
    """The five (or six) notes of the mode that never rub against its common chords."""
    steps = PENTATONIC.get(mode, _MINOR_PENTATONIC)
    return frozenset((tonic + step) % 12 for step in steps)


def key_name(tonic: int, mode: str) -> str:
    """``D minor``, ``Bb major``: the key as a listener names it, whatever the mode."""
    return f"{MINOR_TONICS[tonic]} minor" if is_minor(mode) else f"{MAJOR_TONICS[tonic]} major"


def mode_name(tonic: int, mode: str) -> str:
    """``D dorian``: the key with its exact mode."""
    names = MINOR_TONICS if is_minor(mode) else MAJOR_TONICS
    return f"{names[tonic]} {mode.replace('-', ' ')}"


def key_signature(tonic: int, mode: str) -> int:
    """Sharps (positive) or flats (negative) of the key's parent major scale, −7 to 7, as the tonic is spelled."""
    parent = {"minor": 3, "harmonic-minor": 3, "dorian": 10, "phrygian": 8, "lydian": 7, "mixolydian": 5}.get(mode, 0)
    sharps = ((tonic + parent) * 7) % 12
    name = (MINOR_TONICS if is_minor(mode) else MAJOR_TONICS)[tonic]
    flat = "b" in name or (sharps > 6 and "#" not in name)
    return sharps - 12 if flat and sharps else sharps if sharps <= 7 else sharps - 12


def note_name(pitch_class: int, tonic: int, mode: str) -> str:
    """The pitch class spelled as the key spells it."""
    return (_FLATS if key_signature(tonic, mode) < 0 else _SHARPS)[pitch_class % 12]


def parse_key(text: str) -> tuple[int, str] | None:
    """Read ``Am``, ``F# minor``, ``Bb``, ``D dorian``; ``None`` if it is no key.

    A letter without a mode is major, as on a lead sheet.
    """
    match = re.fullmatch(r"\s*([A-Ga-g])\s*((?:[#♯♭]|b(?!lues))?)\s*-?\s*([A-Za-z -]*?)\s*", text)
    if match is None:
        return None
    letter, accidental, mode_text = match.groups()
    tonic = _LETTERS[letter.upper()] + {"#": 1, "♯": 1, "b": -1, "♭": -1, "": 0}[accidental]
    written = mode_text.strip()
    word = written.lower().replace(" ", "-")
    if written in {"m", "min", "Min", "MIN", "-"} or word in {"minor", "aeolian", "natural-minor"}:
        mode = "minor"
    elif written == "M" or word in {"", "maj", "major", "ionian"}:
        mode = "major"
    elif word in MODES:
        mode = word
    else:
        return None
    return tonic % 12, mode


def chord(numeral: str, tonic: int, mode: str) -> Chord:
    """Read a Roman numeral in a key.

    Raises
    ------
    ValueError
        The numeral or its quality is not known.
    """
    match = _ROMAN.match(numeral)
    if match is None or match[2].lower() not in _NUMERALS:
        raise ValueError(f"“{numeral}” is not a chord numeral such as i9 or bVImaj7")
    accidental, roman, suffix = match.groups()
    minor = roman.islower()
    qualities = _MINOR_QUALITIES if minor else _MAJOR_QUALITIES
    if suffix not in qualities:
        raise ValueError(f"“{numeral}” has the unknown quality “{suffix}”")
    root = (tonic + _NUMERALS[roman.lower()] + {"b": -1, "#": 1, "": 0}[accidental]) % 12
    written = {"ø7": "m7b5", "o": "dim", "o7": "dim7", "5": "5"}.get(suffix, ("m" if minor else "") + suffix)
    return Chord(root, qualities[suffix], note_name(root, tonic, mode) + written)
