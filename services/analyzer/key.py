"""The key, from how much of each pitch class sounds.

Correlation with the profiles of D. Temperley and E. W. Marvin, "Pitch-class distribution and the identification of
key", Music Perception 25(3), 2008, in all twenty-four keys.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from services.analyzer.records import Key
from services.analyzer.sound import Doubles, Floats

NAMES: Final = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MAJOR: Final = (0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400)
MINOR: Final = (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330)
_SPELLINGS: Final = {
    "DB": "C#",
    "D#": "Eb",
    "GB": "F#",
    "G#": "Ab",
    "A#": "Bb",
    "CB": "B",
    "E#": "F",
    "FB": "E",
    "B#": "C",
}


def find_key(chroma: Floats) -> Key | None:
    """The key of chroma vectors from C, ``(frames, 12)``; ``None`` where no pitch stands out."""
    loudness = chroma.sum(axis=1, keepdims=True)
    if not len(chroma) or float(loudness.max()) <= 0:
        return None
    # Each moment counts by the root of its loudness: a loud bar must not outvote the piece.
    profile = (chroma / np.sqrt(loudness + 1e-3 * float(loudness.max()))).sum(axis=0).astype(np.float64)
    profile -= profile.mean()
    spread = float(np.linalg.norm(profile))
    if spread < 1e-9:
        return None
    scores = _templates() @ (profile / spread)
    second, first = (int(at) for at in scores.argsort(kind="stable")[-2:])
    best = float(scores[first])
    if best < 0.2:
        return None
    lead = best - float(scores[second])
    confidence = min(best, 1.0) * min(0.35 + 5 * lead, 1.0)
    minor, tonic = divmod(first, 12)
    return Key(NAMES[tonic] + ("m" if minor else ""), round(confidence, 3))


@lru_cache(maxsize=1)
def _templates() -> Doubles:
    """The twelve major keys from C, then the twelve minor ones, ``(24, 12)``, each of length 1."""
    shapes = np.array([MAJOR, MINOR])
    shapes -= shapes.mean(axis=1, keepdims=True)
    shapes /= np.linalg.norm(shapes, axis=1, keepdims=True)
    turns = (np.arange(12)[None, :] - np.arange(12)[:, None]) % 12
    return shapes[:, turns].reshape(24, 12)


def parse_key(name: str) -> tuple[int, bool] | None:
    """Tonic (C is 0) and whether minor, of names such as ``Am``, ``F# minor``, ``Bb``; ``None`` if it is no key."""
    text = name.strip().replace("♯", "#").replace("♭", "b")
    head = text[:2].upper() if len(text) > 1 and text[1] in "#b" else text[:1].upper()
    rest = text[len(head) :].strip().lower()
    if rest not in ("", "m", "min", "minor", "maj", "major"):
        return None
    spelled = _SPELLINGS.get(head, head[:1] + head[1:].lower())
    if spelled not in NAMES:
        return None
    return NAMES.index(spelled), rest in ("m", "min", "minor")


def key_distance(first: str, second: str) -> int | None:
    """Steps on the circle of fifths between two keys, a relative key counting as the same; None if one is no key."""
    one, other = parse_key(first), parse_key(second)
    if one is None or other is None:
        return None
    # A minor key shares its notes with the major key a minor third above; fifths order the twelve note sets.
    hours = [(7 * (tonic + (3 if minor else 0))) % 12 for tonic, minor in (one, other)]
    steps = abs(hours[0] - hours[1])
    return min(steps, 12 - steps)


def related(first: str, second: str) -> bool:
    """Whether two keys share all but at most one of their notes: equal, relative, or a fifth apart."""
    steps = key_distance(first, second)
    return steps is not None and steps <= 1
