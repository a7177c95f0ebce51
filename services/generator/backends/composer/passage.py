"""A passage: the bars of one section with their metre, key and changes of chord; every player reads from it."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from services.generator.backends.composer import meters, theory
from services.generator.backends.composer.score import Meter
from services.generator.backends.composer.theory import Chord


@dataclass(frozen=True, slots=True)
class Change:
    """A chord from ``start`` to ``end``, in quarter notes."""

    start: float
    end: float
    chord: Chord

    @property
    def length(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class Passage:
    """One section before anything is played in it."""

    label: str
    bars: int
    meter: Meter
    tonic: int
    mode: str
    energy: float
    changes: tuple[Change, ...]

    @cached_property
    def bar(self) -> float:
        """Length of a bar in quarter notes."""
        return self.meter.quarters

    @cached_property
    def length(self) -> float:
        return self.bars * self.bar

    @cached_property
    def scale(self) -> frozenset[int]:
        return theory.scale(self.tonic, self.mode)

    @cached_property
    def _starts(self) -> list[float]:
        return [change.start for change in self.changes]

    def change_at(self, time: float) -> Change:
        return self.changes[max(0, bisect_right(self._starts, time + 1e-6) - 1)]

    def change_after(self, change: Change) -> Change:
        """The next one; after the last comes the first, since a section is a loop."""
        return self.changes[(self.changes.index(change) + 1) % len(self.changes)]

    def change_heard(self, start: float, length: float) -> Change:
        """The chord that a note is heard against: one tied over the change belongs to what follows."""
        change = self.change_at(start)
        ahead = change.end - start
        return self.change_after(change) if ahead < min(length / 2, 0.55) else change


def changes_of(progression: str, bars: int, pace: int, *, meter: Meter, tonic: int, mode: str) -> tuple[Change, ...]:
    """Lay a progression over a number of bars; whatever its length, its last bar leads back at the end."""
    written = [bar.split() for bar in progression.split("|")]
    pace = pace if bars >= pace * len(written) else 1
    order = [written[(index // pace) % len(written)] for index in range(bars)]
    if bars % (len(written) * pace) and bars > 1:
        order[-1] = written[-1]
    starts = meters.beat_starts(meter)
    found: list[Change] = []
    for index, numerals in enumerate(order):
        for turn, numeral in enumerate(numerals):
            # Two chords share a bar at its middle beat, the longer half first: 2 + 1 in a waltz, 3 + 2 in five.
            beat = -(-turn * len(starts) // len(numerals))
            start = index * meter.quarters + starts[min(beat, len(starts) - 1)] / 4
            chord = theory.chord(numeral, tonic, mode)
            if found and found[-1].chord == chord:
                continue
            if found and start <= found[-1].start:
                found.pop()
            found.append(Change(start, start, chord))
    ends = [change.start for change in found[1:]] + [bars * meter.quarters]
    return tuple(Change(change.start, end, change.chord) for change, end in zip(found, ends, strict=True))


@dataclass(frozen=True, slots=True)
class Hit:
    """A stroke of a rhythm line: its step from the section's start, its length in steps and its character."""

    step: int
    length: int
    mark: str

    @property
    def start(self) -> float:
        return self.step / 4

    @property
    def quarters(self) -> float:
        return self.length / 4

    @property
    def velocity(self) -> float:
        return int(self.mark) / 9 if self.mark.isdigit() else 0.35


def hits(line: str, rng: random.Random, sometimes: float = 0.45) -> list[Hit]:
    """Read a line of steps: ``.`` rests, ``-`` holds, ``?`` plays sometimes, anything else strikes."""
    found: list[Hit] = []
    silent = True
    for step, mark in enumerate(line):
        if mark == "-":
            if not silent:
                last = found[-1]
                found[-1] = Hit(last.step, last.length + 1, last.mark)
            continue
        silent = mark == "." or (mark == "?" and rng.random() >= sometimes)
        if not silent:
            found.append(Hit(step, 1, mark))
    return found


def spread(lines: Sequence[str], bars: int, bar_steps: int) -> str:
    """Lay lines of one or two bars one after the other until ``bars`` are full."""
    out, turn = "", 0
    while len(out) < bars * bar_steps:
        out += lines[turn % len(lines)]
        turn += 1
    return out[: bars * bar_steps]
