"""Melodies: a motif of two bars, stated, repeated, answered and brought home, fitted anew to the chords each time.

The form is AABA, or one of its kin, over phrases of two bars. A phrase keeps its rhythm and its contour; its notes are
chosen afresh: chord tones where the metre is strong or the note is long, steps of the scale between, a semitone beside
a tone of the chord only in passing, and after a leap a step back.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Final

from services.generator.backends.composer import meters, theory
from services.generator.backends.composer.dice import Dice
from services.generator.backends.composer.passage import Change, Hit, Passage, hits
from services.generator.backends.composer.score import Meter, Note
from services.generator.backends.composer.style import Layer

_FORMS: Final = ("aaba", "abab", "abac", "aabb", "abca")


@dataclass(frozen=True)
class Motif:
    """Two bars of rhythm, and how the melody moves from each note to the next, in steps of the scale."""

    hits: tuple[Hit, ...]
    contour: tuple[int, ...]
    register: float
    """Where in the range it begins, 0 low to 1 high."""


@dataclass(frozen=True)
class Theme:
    """The motifs of a section and the order in which they come."""

    motifs: dict[str, Motif]
    form: str


def invent(lines: tuple[str, ...], meter: Meter, dice: Dice, relative: Theme | None = None) -> Theme:
    """A theme; one that is given a ``relative`` grows out of its first motif instead of beginning anew."""
    rng = dice.throw()
    form = rng.choice(_FORMS)
    motifs = {name: _motif(lines, meter, rng) for name in "abc"}
    if relative is not None:
        origin = relative.motifs["a"]
        first = motifs["a"]
        # The same turns, upside down or displaced, on another rhythm: heard as an answer to the first section.
        sign = rng.choice((-1, 1))
        turns = origin.contour
        contour = tuple(sign * turns[index % len(turns)] for index in range(len(first.hits)))
        motifs["a"] = Motif(first.hits, contour, min(1.0, origin.register + 0.25))
    return Theme(motifs, form)


def _motif(lines: tuple[str, ...], meter: Meter, rng: random.Random) -> Motif:
    bar = meters.steps(meter)
    found: list[Hit] = []
    for _ in range(8):
        two_bars = ""
        while len(two_bars) < 2 * bar:
            two_bars += rng.choice(lines)
        found = hits(two_bars[: 2 * bar], rng)
        if len(found) >= 3:
            break
    found = found or [Hit(0, bar, "7")]
    found = [_nudged(hit, meter, rng) for hit in found]
    found = [hit for index, hit in enumerate(found) if index == 0 or hit.step > found[index - 1].step]
    found = _breathing(found, meter)
    arch = rng.choice(((1, 1, -1, -1), (-1, -1, 1, 1), (2, -1, -1, 0), (1, -1, 1, -2), (-2, 1, 1, 0), (0, 1, 0, -1)))
    contour = [arch[index * 4 // max(1, len(found)) % 4] + rng.choice((-1, 0, 0, 0, 1)) for index in range(len(found))]
    return Motif(tuple(found), tuple(contour), rng.uniform(0.25, 0.7))


def _breathing(found: list[Hit], meter: Meter) -> list[Hit]:
    """A busy motif leaves its last beat to the singer's breath, and rests a little on the note before it."""
    end = 2 * meters.steps(meter) - meters.beat_steps(meter)[-1]
    kept = [hit for hit in found if hit.step < end]
    if len(found) <= 6 or len(kept) < 4:
        return found
    last = kept[-1]
    return [*kept[:-1], replace(last, length=max(last.length, min(4, end - last.step)))]


def _nudged(hit: Hit, meter: Meter, rng: random.Random) -> Hit:
    """Now and then a note comes an eighth early or late: the same words, said in one's own way."""
    if hit.length >= 4 and hit.step % meters.steps(meter) and rng.random() < 0.2:
        shift = rng.choice((-2, 2))
        return Hit(max(0, hit.step + shift), max(2, hit.length - max(0, shift)), hit.mark)
    return hit


def play(layer: Layer, theme: Theme, passage: Passage, rng: random.Random, ornament: float = 0.0) -> list[Note]:
    """Sing a theme over a passage; ``ornament`` (0–1) varies it without leaving it."""
    low, high = layer.range
    bar_steps = meters.steps(passage.meter)
    phrases = max(1, -(-passage.bars // 2))
    order = theme.form if phrases > 2 else "a" + theme.form[2]
    notes: list[Note] = []
    pitch = 0
    for index in range(phrases):
        name = order[index % len(order)]
        motif = theme.motifs[name]
        offset = index * 2 * bar_steps
        final = index == phrases - 1
        last_move, passing = 0, False
        pitch = round(low + (0.2 + 0.6 * motif.register) * (high - low)) if index % 2 == 0 or not pitch else pitch
        for turn, hit in enumerate(motif.hits):
            start = (offset + hit.step) / 4
            if start >= passage.length - 1e-6:
                break
            if ornament and 0 < turn < len(motif.hits) - 1 and rng.random() < 0.25 * ornament:
                continue
            length = min(hit.quarters, passage.length - start + 0.25)
            step = motif.contour[turn] + (rng.choice((-2, -1, 1, 2)) if rng.random() < 0.5 * ornament else 0)
            change = passage.change_heard(start, length)
            target = pitch + step * layer.leap * 1.3
            if abs(last_move) > 4:
                target = pitch - (1.5 if last_move > 0 else -1.5)
            elif passing:
                target = pitch + (1.5 if last_move > 0 else -1.5)
            ending = turn == len(motif.hits) - 1
            here = passage.change_at(start)
            chosen = _fitted(
                layer, passage, (change, here), hit, target=target, previous=pitch, closing=ending and final
            )
            between = turn > 0 and not ending and not passing and hit.length <= 2
            if between and meters.weight(hit.step % bar_steps, passage.meter) < 0.6:
                step_on = _passing_tone(layer, passage, pitch, chosen)
                # Now and then one may rub; more, and a run of eighths is out of tune with its chord.
                rubs = index % 2 == 1 and len(motif.hits) >= 6 and turn % 6 == 1
                if rubs or not clashes(step_on % 12, set(change.chord.pitches)):
                    chosen = step_on
            passing = clashes(chosen % 12, set(change.chord.pitches))
            last_move = chosen - pitch
            pitch = chosen
            accent = meters.weight(hit.step % bar_steps, passage.meter)
            arch = 1.0 + 0.08 * (1 - abs(2 * turn / max(1, len(motif.hits) - 1) - 1))
            velocity = layer.velocity * (0.55 + 0.5 * hit.velocity) * (0.9 + 0.14 * accent) * arch
            notes.append(Note(start, _sung(start, length * layer.legato, pitch, passage), pitch, min(1.0, velocity)))
    return notes


def _fitted(
    layer: Layer,
    passage: Passage,
    changes: tuple[Change, Change],
    hit: Hit,
    *,
    target: float,
    previous: int,
    closing: bool,
) -> int:
    """The note nearest to where the contour leads that fits the chord and the metre.

    ``changes`` are the chord it is heard against and the one it begins in, which differ when it comes early.
    """
    change, here = changes
    low, high = layer.range
    chord = set(change.chord.pitches)
    bar_steps = meters.steps(passage.meter)
    strong = meters.weight(hit.step % bar_steps, passage.meter) >= 0.8 or hit.length >= 6
    if layer.notes == "chord" or strong:
        allowed = set(change.chord.pitches[:4]) if hit.length >= 8 else chord
    else:
        free = theory.pentatonic(passage.tonic, passage.mode) if layer.notes == "pentatonic" else passage.scale
        allowed = chord | {note for note in free if not clashes(note, chord)}
    if closing:
        home = {passage.tonic, (passage.tonic + 7) % 12, *change.chord.pitches[:3]} & set(change.chord.pitches[:3])
        allowed = home or allowed
    early = {note for note in allowed if not clashes(note, set(here.chord.pitches))}
    allowed = early or allowed
    centre = (low + high) / 2
    options = [note for note in range(low, high + 1) if note % 12 in allowed]
    return min(
        options,
        key=lambda note: (
            abs(note - target)
            + (1.3 if note == previous else 0.0)
            + 0.1 * abs(note - centre)
            + max(0, abs(note - previous) - 7),
            note,
        ),
    )


def _passing_tone(layer: Layer, passage: Passage, previous: int, chosen: int) -> int:
    """The step of the scale on the way to a note further off, which may rub: it is short, weak and goes on by step."""
    if layer.notes == "chord" or abs(chosen - previous) < 3:
        return chosen
    way = 1 if chosen > previous else -1
    return next((previous + way * step for step in (1, 2) if (previous + way * step) % 12 in passage.scale), chosen)


def clashes(pitch_class: int, chord: set[int]) -> bool:
    """Whether a note that is not in the chord lies a semitone from one that is."""
    return pitch_class not in chord and bool({(pitch_class - 1) % 12, (pitch_class + 1) % 12} & chord)


def _sung(start: float, length: float, pitch: int, passage: Passage) -> float:
    """A note that would rub against the next chord ends where it comes."""
    change = passage.change_at(start)
    if start + length <= change.end or change.end >= passage.length:
        return length
    following = set(passage.change_after(change).chord.pitches)
    if change.end - start > 0.3 and clashes(pitch % 12, following):
        return change.end - start
    return length
