"""Voicing chords: which notes of a chord a hand or a section plays, moved as little as possible."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from services.generator.backends.composer.theory import Chord


def tones(chord: Chord, voicing: str) -> tuple[int, ...]:
    """The pitch classes a voicing takes of a chord, at most four."""
    classes = chord.pitches
    if voicing == "power":
        return (classes[0], (chord.root + chord.fifth) % 12)
    if voicing == "triad" or len(classes) == 3:
        return classes[:3]
    if voicing == "shell":
        return ((chord.root + chord.third) % 12, (chord.root + chord.seventh) % 12, *classes[4:5])
    if voicing == "rootless":
        # The bass has the root; thirds, sevenths and colours are what is heard as the chord.
        return classes[1:] if len(classes) <= 5 else (classes[1], *classes[3:6])
    if len(classes) > 4:
        return (classes[0], classes[1], classes[3], classes[-1])
    return classes


def voice(chord: Chord, low: int, high: int, previous: Sequence[int], voicing: str = "close") -> tuple[int, ...]:
    """Place a chord between ``low`` and ``high``, moving least from ``previous``.

    Every inversion in every octave, closed and with its second voice dropped, is weighed: distance moved, distance from
    the middle of the range, rubbing semitones, and close intervals too low to be clear.
    """
    classes = tones(chord, voicing)
    centre = (low + high) / 2
    best: tuple[float, tuple[int, ...]] | None = None
    for bottom in range(low, high + 1):
        if bottom % 12 not in classes or (voicing == "power" and bottom % 12 != classes[0]):
            continue
        for stacked in _stacks(bottom, classes, voicing):
            if stacked[-1] > high or stacked[0] < low:
                continue
            cost = 0.4 * abs(sum(stacked) / len(stacked) - centre)
            if previous:
                cost += sum(min(abs(new - old) for old in previous) for new in stacked)
                cost += 0.7 * abs(stacked[-1] - max(previous))
            gaps = [upper - lower for lower, upper in pairwise(stacked)]
            cost += sum(5.0 for gap in gaps if gap == 1)
            cost += sum(6.0 for note, gap in zip(stacked, gaps, strict=False) if note < 50 and gap < 5)
            if best is None or cost < best[0]:
                best = (cost, stacked)
    if best is None:
        return tuple(sorted(low + (pitch - low) % 12 for pitch in classes))
    return best[1]


def _stacks(bottom: int, classes: Sequence[int], voicing: str) -> list[tuple[int, ...]]:
    rest = sorted((pitch - bottom) % 12 for pitch in set(classes) if pitch != bottom % 12)
    close = (bottom, *(bottom + step for step in rest))
    if voicing == "power":
        return [(*close, bottom + 12)]
    if voicing != "open" or len(close) < 3:
        return [close]
    if len(close) == 3:
        return [(close[0], close[2], close[1] + 12)]
    return [(close[0], close[2], close[3], close[1] + 12), (close[0], close[2], close[1] + 12, close[3] + 12)]


def nearest(pitch_class: int, target: float, low: int, high: int) -> int:
    """The note of a pitch class within the range that lies nearest to ``target``."""
    candidates = range(low + (pitch_class - low) % 12, high + 1, 12)
    return min(candidates, key=lambda note: (abs(note - target), note))
