"""Variation: A' out of A, near enough to be known and far enough to be worth hearing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from services.generator.backends.composer.passage import Passage
from services.generator.backends.composer.relation import Tally, events, likeness, tally
from services.generator.backends.composer.score import Note

KINSHIP: Final = (0.58, 0.84)
"""How much of A (of all notes that either has) A' keeps; aimed at inside 0.5–0.9."""

_Voice = tuple[str, int | None]
"""A part, and the drum where the part is the kit."""

_Voices = dict[_Voice, list[Note]]


def varied(
    origin: Mapping[str, list[Note]], fresh: Mapping[str, list[Note]], passage: Passage
) -> dict[str, list[Note]]:
    """A': what is new joins for the second half, then bars of A are imagined anew, the last of each phrase first.

    It goes on until A' is as near to A as ``KINSHIP`` says, and never further. Both are given as notes per part.
    """
    old, new = _voices(origin), _voices(fresh)
    voices = dict(old)
    tallies = _tallies(old, voices)
    low, high = KINSHIP
    for key in [key for key in new if not old.get(key)]:
        half = passage.bars // 2 * passage.bar if passage.bars >= 4 else 0.0
        notes = [note for note in new[key] if note.start >= half - 0.3]
        attempt = tallies | _tallies(old, {key: notes})
        if likeness(attempt.values()) >= (low + high) / 2:
            voices[key], tallies = notes, attempt
    for bar in sorted(range(passage.bars), key=lambda bar: (bar % 4 != 3, bar % 4 != 1, -bar)):
        for key in old:
            # Drums change where phrases end; a time-keeper that changed in mid-phrase would be a mistake.
            if key[1] is not None and bar % 4 != 3:
                continue
            notes = _with_bar(voices[key], new.get(key, []), bar, passage.bar)
            attempt = tallies | _tallies(old, {key: notes})
            near = likeness(attempt.values())
            if near >= low:
                voices[key], tallies = notes, attempt
            if low <= near <= (low + high) / 2:
                return _parts(voices)
    if likeness(tallies.values()) > high:
        voices = _nearest(old, voices, new, passage)
    return _parts(voices)


def _nearest(old: _Voices, voices: _Voices, new: _Voices, passage: Passage) -> _Voices:
    """For a section of so few notes that a bar is too much: one voice's second half imagined anew, or a beat later."""
    half = passage.length / 2 - 1e-6
    aim = sum(KINSHIP) / 2
    attempts = [voices]
    for key, notes in old.items():
        first = [note for note in notes if note.start < half]
        attempts.append({**voices, key: first + [note for note in new.get(key, []) if note.start >= half]})
        later = [replace(note, start=note.start + 1) for note in notes if half <= note.start < passage.length - 1]
        attempts.append({**voices, key: first + later})
    return min(attempts, key=lambda attempt: abs(likeness(_tallies(old, attempt).values()) - aim))


def _tallies(old: _Voices, voices: _Voices) -> dict[_Voice, Tally]:
    """How much of A's voices these keep, each by itself: an attempt that changes one has only that one compared."""
    return {key: tally(events({key[0]: old.get(key, ())}), events({key[0]: notes})) for key, notes in voices.items()}


def _voices(parts: Mapping[str, list[Note]]) -> _Voices:
    """Parts as they can be varied: each drum of the kit by itself."""
    found: _Voices = {}
    for name, notes in parts.items():
        for note in notes:
            found.setdefault((name, note.pitch if name == "drums" else None), []).append(note)
    return found


def _parts(voices: _Voices) -> dict[str, list[Note]]:
    found: dict[str, list[Note]] = {}
    for (name, _), notes in voices.items():
        found.setdefault(name, []).extend(notes)
    return found


def _with_bar(notes: list[Note], fresh: list[Note], bar: int, quarters: float) -> list[Note]:
    start, end = bar * quarters - 1e-6, (bar + 1) * quarters - 1e-6
    kept = [note for note in notes if not start <= note.start < end]
    return kept + [note for note in fresh if start <= note.start < end]
