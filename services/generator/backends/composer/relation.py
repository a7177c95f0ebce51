"""How alike two sections or two pieces are, note for note."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from services.generator.backends.composer.score import Note, Score

_SAME: Final = 0.2
"""Quarter notes by which two strokes may differ and be the same one, played by a human hand."""

Events = Mapping[tuple[str, int], tuple[float, ...]]
"""What a listener could tell apart: for each part and pitch the times at which it is struck."""


def events(parts: Mapping[str, Iterable[Note]]) -> Events:
    found: dict[tuple[str, int], list[float]] = {}
    for name, notes in parts.items():
        for note in notes:
            found.setdefault((name, note.pitch), []).append(note.start)
    return {key: tuple(sorted(starts)) for key, starts in found.items()}


class Tally(NamedTuple):
    """What a comparison counts; those of different parts add up to that of the whole."""

    total: int
    """Strokes of either."""
    shared: int
    """Strokes of one that the other has too."""


def tally(first: Events, second: Events) -> Tally:
    """Counts the strokes of two parts, or of two scores, against one another."""
    total = sum(map(len, first.values())) + sum(map(len, second.values()))
    return Tally(total, sum(_matches(starts, second.get(key, ())) for key, starts in first.items()))


def likeness(tallies: Iterable[Tally]) -> float:
    """The share of all strokes of either that both have (Jaccard's index); two empty ones are the same."""
    total = shared = 0
    for here in tallies:
        total, shared = total + here.total, shared + here.shared
    return shared / (total - shared) if total else 1.0


def overlap(first: Events, second: Events) -> float:
    """How like two sets of strokes are, 0–1."""
    return likeness((tally(first, second),))


def _matches(first: tuple[float, ...], second: tuple[float, ...]) -> int:
    count = here = there = 0
    while here < len(first) and there < len(second):
        gap = first[here] - second[there]
        if abs(gap) <= _SAME:
            count, here, there = count + 1, here + 1, there + 1
        elif gap < 0:
            here += 1
        else:
            there += 1
    return count


def piece_events(score: Score, only: frozenset[str] | None = None) -> Events:
    """The strokes of a whole score, sections end to end; ``only`` keeps the parts of these names."""
    found: dict[tuple[str, int], list[float]] = {}
    offset = 0.0
    for section in score.sections:
        for part in section.parts:
            if only is None or part.name in only:
                for note in part.notes:
                    found.setdefault((part.name, note.pitch), []).append(offset + note.start)
        offset += section.bars * score.meter.quarters
    return {key: tuple(sorted(starts)) for key, starts in found.items()}
