"""What accompanies: chords in the style's rhythm, arpeggios, slow lines, drones and textures."""

from __future__ import annotations

import random
from collections.abc import Sequence

from services.generator.backends.composer import meters
from services.generator.backends.composer.harmony import nearest, tones, voice
from services.generator.backends.composer.passage import Change, Passage, hits, spread
from services.generator.backends.composer.score import Note
from services.generator.backends.composer.style import Layer


def chords(
    layer: Layer, lines: Sequence[str], passage: Passage, *, bpm: float, place: float, rng: random.Random
) -> list[Note]:
    """Chords on the hits of the rhythm lines, or held for as long as each lasts.

    ``place`` (0–1) is where in the range the first one lies: another piece, another inversion.
    """
    low, high = layer.range
    voicings: dict[Change, tuple[int, ...]] = {}
    previous: tuple[int, ...] = (round(low + 2 + place * (high - low - 6)),) if high - low > 14 else ()
    for change in passage.changes:
        previous = voicings[change] = voice(change.chord, low, high, previous, layer.voicing)
    strum = layer.strum_ms / 1000 * bpm / 60
    notes: list[Note] = []
    for start, length, velocity, change in _strokes(layer, lines, passage, rng):
        pitches = voicings[change]
        upward = rng.random() < 0.75
        for turn, pitch in enumerate(pitches if upward else reversed(pitches)):
            # The top voice sings a little; inner ones stay behind it.
            lean = 1.06 if pitch == pitches[-1] else 0.94
            late = strum * turn
            # A hand lets go at once; voices that enter seconds apart also leave so, and the sound never thins out.
            held = length if layer.strum_ms > 100 else max(0.08, length - late)
            notes.append(Note(start + late, held, pitch, min(1.0, velocity * lean)))
    return notes


def _strokes(
    layer: Layer, lines: Sequence[str], passage: Passage, rng: random.Random
) -> list[tuple[float, float, float, Change]]:
    if layer.manner == "hold":
        return [(c.start, c.length * max(layer.legato, 0.98), layer.velocity, c) for c in passage.changes]
    bar_steps = meters.steps(passage.meter)
    strokes = []
    for hit in hits(spread(lines, passage.bars, bar_steps), rng):
        change = passage.change_heard(hit.start, hit.quarters)
        length = hit.quarters * layer.legato
        if hit.start < change.end < hit.start + length:
            length = change.end - hit.start
        strokes.append((hit.start, length, min(1.0, layer.velocity * (0.35 + 0.85 * hit.velocity)), change))
    return strokes


def arpeggio(layer: Layer, lines: Sequence[str], passage: Passage, rng: random.Random) -> list[Note]:
    """Steps of the chord, ``0`` the lowest within the range; lines may be of any length and run across bar lines."""
    low, high = layer.range
    quarters = 4 / layer.step
    total = round(passage.length / quarters)
    bar_notes = max(1, round(passage.bar / quarters))
    line = spread(lines, -(-total // bar_notes), bar_notes)[:total]
    notes = []
    accents = meters.beat_starts(passage.meter)
    for hit in hits(line, rng, 0.6):
        start = hit.step * quarters
        change = passage.change_at(start)
        ladder = _ladder(change, layer)
        rung = int(hit.mark) if hit.mark.isdigit() else rng.randrange(len(ladder))
        octaves, rung = divmod(rung, len(ladder))
        pitch = ladder[rung] + 12 * octaves
        while pitch > high:
            pitch -= 12
        if pitch < low:
            continue
        step = round(start * 4) % meters.steps(passage.meter)
        accent = 1.08 if step in accents else 0.9
        length = hit.length * quarters * layer.legato
        notes.append(Note(start, length, pitch, min(1.0, layer.velocity * accent * rng.uniform(0.92, 1.06))))
    return notes


def _ladder(change: Change, layer: Layer) -> list[int]:
    low, high = layer.range
    classes = set(tones(change.chord, "close" if layer.voicing == "rootless" else layer.voicing))
    bottom = nearest(change.chord.root, low + 4, low, max(low + 12, high - 8))
    return [note for note in range(bottom, high + 1) if note % 12 in classes] or [bottom]


def line(layer: Layer, lines: Sequence[str], passage: Passage, rng: random.Random) -> list[Note]:
    """One slow voice of guide tones: thirds and sevenths that move by step from chord to chord."""
    low, high = layer.range
    previous: float = rng.uniform(low + 4, high - 4)
    pitches: dict[Change, int] = {}
    for change in passage.changes:
        classes = [(change.chord.root + step) % 12 for step in (change.chord.third, change.chord.seventh)]
        classes += [(change.chord.root + change.chord.fifth) % 12]
        near = [nearest(pitch_class, previous, low, high) for pitch_class in classes]
        pitches[change] = min(near, key=lambda note: abs(note - previous) + 0.3 * abs(note - (low + high) / 2))
        previous = pitches[change]
    if layer.lines:
        strokes = _strokes(layer, lines, passage, rng)
    else:
        strokes = [(c.start, c.length * layer.legato, layer.velocity, c) for c in passage.changes]
    return [Note(start, length, pitches[change], velocity) for start, length, velocity, change in strokes]


def drone(layer: Layer, passage: Passage, rng: random.Random) -> list[Note]:
    """Tonic and fifth, entering one after the other and overlapping, so that nothing ever begins or ends at once."""
    low, high = layer.range
    root = nearest(passage.tonic, low + rng.uniform(0, min(12, high - low - 7)), low, high)
    fifth = root + 7 if root + 7 <= high else root - 5
    span = 4 * passage.bar if passage.bars >= 4 else passage.length
    notes = []
    for index in range(max(1, round(passage.length / span))):
        start = index * span
        # The root renews itself a little before the old one ends, so that a loop of it breathes instead of beating.
        notes.append(Note(start, span * 1.02, root, layer.velocity))
        if any((passage.tonic + 7) % 12 == (pitch % 12) for pitch in passage.scale):
            offset = rng.choice((0.25, 0.375, 0.5)) * span
            notes.append(Note(start + offset, span * 0.7, fifth, layer.velocity * 0.8))
    return [note for note in notes if note.pitch >= low]


def texture(layer: Layer, passage: Passage) -> list[Note]:
    """One sound from end to end: rain, vinyl."""
    return [Note(0.0, passage.length, 60, layer.velocity)]
