"""The shape of a section: who plays in it, who comes in later, and where everybody stops."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from services.generator.backends.composer import meters
from services.generator.backends.composer.passage import Passage
from services.generator.backends.composer.score import Meter, Note
from services.generator.backends.composer.style import Layer, Style

ACCOMPANY: Final = frozenset({"bass", "chords", "arp", "line"})
_SILENT: Final[dict[str, tuple[str, ...]]] = {"break": ("bass",), "fill": ("melody", "line")}
"""Roles that lay out: a break floats without its bass, a fill clears the way for what comes."""
_MARGIN: Final = 0.2
"""A voice that a section is only so much livelier than waits for its second half."""


def plays(layer: Layer, passage: Passage, usual: float) -> bool:
    """Whether a layer has a part in the section; ``usual`` is the piece's energy.

    A break keeps its held chords and its tune, whatever its energy: they are what it is for.
    """
    if layer.role in _SILENT.get(passage.label, ()):
        return False
    sung = passage.label == "break" and (layer.manner == "hold" or layer.role == "melody")
    energy = max(passage.energy, usual + 0.1) if sung else passage.energy
    return layer.from_energy <= energy <= layer.until_energy


def entrance(from_energy: float, passage: Passage, margin: float = _MARGIN) -> float:
    """When a voice comes in, in quarter notes: at once, or for the second half, so that the section builds."""
    waits = passage.bars >= 8 and 0 < from_energy <= passage.energy < from_energy + margin
    return passage.bars // 2 * passage.bar if waits else 0.0


def entering(notes: list[Note], layer: Layer, passage: Passage) -> list[Note]:
    """The notes that are left when a layer waits for its entrance; a tune, which is what one came for, waits least."""
    start = entrance(layer.from_energy, passage, _MARGIN / 4 if layer.role == "melody" else _MARGIN)
    return [note for note in notes if note.start >= start - 0.3] if start else notes


def choose_stop(style: Style, meter: Meter, rng: random.Random) -> float:
    """How long a piece's stop is: a beat, half a bar, in a club a whole one, or none; walking music never stops."""
    walking = any(layer.manner == "walk" for layer in style.data.layers)
    if walking or rng.random() < 0.35:
        return 0.0
    starts = meters.beat_starts(meter)
    half = max(1, len(starts) // 2)
    club = style.data.drums is not None and style.data.drums.fill == "club"
    beats = rng.choice((half, half, len(starts)) if club else (1, half, half))
    return meter.quarters - starts[-beats] / 4


def stopped(notes: Mapping[str, list[Note]], tacet: set[str], stop: float, passage: Passage) -> dict[str, list[Note]]:
    """Silence the parts of ``tacet`` for the last ``stop`` quarter notes of a section of four bars or more."""
    if not stop or passage.bars < 4:
        return dict(notes)
    # Sections of four bars come round so soon that more than a beat of it would be a mannerism.
    end = passage.length - (stop if passage.bars >= 8 else min(stop, 1.0))
    return {name: _until(part, end) if name in tacet else part for name, part in notes.items()}


def _until(notes: list[Note], end: float) -> list[Note]:
    return [
        replace(note, length=end - note.start) if note.length > end - note.start else note
        for note in notes
        if note.start < end - 0.1
    ]
