"""The key, from how much of each pitch class sounds.

Correlation with the profiles of D. Temperley and E. W. Marvin, "Pitch-class distribution and the identification of
key", Music Perception 25(3), 2008, in all twenty-four keys.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from services.analyzer.records import Key
from services.analyzer.sound import Floats

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
    scores = []
    for shape in (MAJOR, MINOR):
        template = np.array(shape) - np.mean(shape)
        template /= np.linalg.norm(template)
        scores.append([float(profile @ np.roll(template, tonic)) / spread for tonic in range(12)])
    ranked = sorted(((score, mode, tonic) for mode in (0, 1) for tonic, score in enumerate(scores[mode])), reverse=True)
    best, mode, tonic = ranked[0]
    if best < 0.2:
        return None
    lead = best - ranked[1][0]
    confidence = float(np.clip(best, 0, 1) * np.clip(0.35 + 5 * lead, 0, 1))
    return Key(NAMES[tonic] + ("m" if mode else ""), round(confidence, 3))


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


def related(first: str, second: str) -> bool:
    """Whether two keys share all but at most one of their notes: equal, relative, or a fifth apart."""
    one, other = parse_key(first), parse_key(second)
    if one is None or other is None:
        return False
    # A minor key shares its notes with the major key a minor third above; fifths order the twelve note sets.
    fifths = [(7 * (tonic + (3 if minor else 0))) % 12 for tonic, minor in (one, other)]
    return min((fifths[0] - fifths[1]) % 12, (fifths[1] - fifths[0]) % 12) <= 1
