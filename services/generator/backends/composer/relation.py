"""How alike two sections or two pieces are, note for note."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

from services.generator.backends.composer.score import Note, Score

Events = frozenset[tuple[str, int, int]]
"""What a listener could tell apart: part, pitch and sixteenth."""


_EARLY: Final = 0.7
"""Swung and human notes belong to the sixteenth they were written on: the second of a swung pair of eighths comes as
much as 0.67 of a sixteenth late, that of sixteenths 0.2, and hands are a few hundredths off."""


def events(parts: Mapping[str, Iterable[Note]], offset: float = 0.0) -> Events:
    return frozenset(
        (name, note.pitch, math.floor((note.start + offset) * 4 + _EARLY))
        for name, notes in parts.items()
        for note in notes
    )


def overlap(first: Events, second: Events) -> float:
    """The share of all events of either that both have (Jaccard's index); two empty ones are the same."""
    union = first | second
    return len(first & second) / len(union) if union else 1.0


def relation(first: Mapping[str, Iterable[Note]], second: Mapping[str, Iterable[Note]]) -> float:
    return overlap(events(first), events(second))


def piece_events(score: Score, only: frozenset[str] | None = None) -> Events:
    """The events of a whole score, sections end to end; ``only`` keeps the parts of these names."""
    found: set[tuple[str, int, int]] = set()
    offset = 0.0
    for section in score.sections:
        parts = {part.name: part.notes for part in section.parts if only is None or part.name in only}
        found |= events(parts, offset)
        offset += section.bars * score.meter.quarters
    return frozenset(found)
