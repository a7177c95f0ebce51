"""Bass lines: written ones in tones of the chord, and walking ones."""

from __future__ import annotations

import random
from collections.abc import Sequence

from services.generator.backends.composer import meters
from services.generator.backends.composer.harmony import nearest
from services.generator.backends.composer.passage import Change, Passage, hits, spread
from services.generator.backends.composer.score import Note
from services.generator.backends.composer.style import Layer


def play(layer: Layer, lines: Sequence[str], passage: Passage, rng: random.Random) -> list[Note]:
    """The bass part of a passage.

    The characters of a line: ``1`` root, ``3`` third, ``5`` fifth, ``7`` seventh, ``8`` octave, ``a`` a step below or
    above the next chord's root, ``b`` the scale's step below the root, ``x`` a muffled root.
    """
    if layer.manner == "walk":
        return _walk(layer, passage, rng)
    if layer.manner == "hold":
        return [
            Note(change.start, change.length * layer.legato, _root(change, layer, None), layer.velocity)
            for change in passage.changes
        ]
    bar_steps = meters.steps(passage.meter)
    notes: list[Note] = []
    previous: int | None = None
    for hit in hits(spread(lines, passage.bars, bar_steps), rng, 0.5):
        change = passage.change_heard(hit.start, hit.quarters)
        root = _root(change, layer, previous)
        pitch = _tone(hit.mark, change, root, layer=layer, passage=passage, rng=rng)
        accent = meters.weight(hit.step % bar_steps, passage.meter)
        velocity = layer.velocity * (0.5 if hit.mark in "x?" else 0.82 + 0.22 * accent)
        length = hit.quarters * (0.5 if hit.mark in "x?" else layer.legato)
        if hit.start + length > change.end > hit.start:
            length = change.end - hit.start
        notes.append(Note(hit.start, length, pitch, velocity))
        previous = root
    return notes


def _root(change: Change, layer: Layer, previous: int | None) -> int:
    low, high = layer.range
    target = low + 6 if previous is None else previous * 0.6 + (low + 6) * 0.4
    return nearest(change.chord.root, target, low, max(high - 7, low + 12))


def _tone(mark: str, change: Change, root: int, *, layer: Layer, passage: Passage, rng: random.Random) -> int:
    chord = change.chord
    low, high = layer.range
    match mark:
        case "3":
            pitch = root + chord.third
        case "5":
            pitch = root + chord.fifth
            if pitch > high or (pitch - 12 >= low and rng.random() < 0.35):
                pitch -= 12
        case "7":
            pitch = root + chord.seventh if root + chord.seventh <= high else root + chord.seventh - 12
        case "8":
            pitch = root + 12
        case "a":
            following = nearest(passage.change_after(change).chord.root, root, low, high)
            pitch = _approach(following, passage, rng, low, high)
        case "b":
            pitch = next(root - step for step in (2, 1, 3) if (root - step) % 12 in passage.scale or step == 3)
        case _:
            pitch = root
    return pitch if low <= pitch <= high else pitch - 12 if pitch > high else pitch + 12


def _approach(target: int, passage: Passage, rng: random.Random, low: int, high: int) -> int:
    """A neighbour of the next root: of the scale where there is one, chromatic now and then."""
    steps = [step for step in (-2, -1, 1, 2) if (target + step) % 12 in passage.scale and low <= target + step <= high]
    if not steps or rng.random() < 0.25:
        steps = [-1] if target - 1 >= low else [1]
    return target + rng.choice(steps)


def _walk(layer: Layer, passage: Passage, rng: random.Random) -> list[Note]:
    """A note on every beat: roots where chords begin, chord tones and steps between, an approach before each change."""
    low, high = layer.range
    bar_steps = meters.steps(passage.meter)
    starts = [
        bar * passage.bar + start / 4 for bar in range(passage.bars) for start in meters.beat_starts(passage.meter)
    ]
    ends = [*starts[1:], passage.length]
    notes: list[Note] = []
    previous: int = low + 9
    direction = rng.choice((-1, 1))
    for start, end in zip(starts, ends, strict=True):
        change = passage.change_at(start)
        following = passage.change_after(change)
        if start <= change.start + 1e-6:
            pitch = nearest(change.chord.root, previous, low, high)
            direction = 1 if pitch < low + 7 else -1 if pitch > high - 7 else rng.choice((-1, 1))
        elif end >= change.end - 1e-6:
            pitch = _approach(nearest(following.chord.root, previous, low, high), passage, rng, low, high)
        else:
            target = previous + direction * rng.choice((2, 3, 4))
            classes = set(change.chord.pitches[:4]) if rng.random() < 0.7 else passage.scale
            options = [note for note in range(low, high + 1) if note % 12 in classes and note != previous]
            pitch = min(options, key=lambda note: abs(note - target))
        accent = meters.weight(round((start % passage.bar) * 4) % bar_steps, passage.meter)
        notes.append(Note(start, (end - start) * layer.legato, pitch, layer.velocity * (0.9 + 0.12 * accent)))
        # A skipped note, dead or on the string beside: what keeps a walking line from marching.
        if rng.random() < 0.1 and end - start >= 1:
            notes.append(Note(start + (end - start) / 2, 0.3, pitch, layer.velocity * 0.55))
        previous = pitch
    return notes
