"""Metres: how a bar divides into beats, and how a figure written for one metre is played in another.

Rhythm is written on a grid of sixteenths, one character a step (see ``docs/styles.md``): a bar of 4/4 has 16 steps,
of 3/4 and 6/8 twelve, of 7/8 fourteen.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from services.generator.backends.composer.score import Meter

COMMON: Final = Meter(4, 4)
METERS: Final = ("2/4", "3/4", "4/4", "5/4", "6/4", "7/4", "5/8", "6/8", "7/8", "9/8", "12/8")

# Which of a bar's beats a bar of another number of beats is made of; the last beat, with its pick-ups, stays last.
_BEATS: Final[dict[tuple[int, int], tuple[int, ...]]] = {
    (4, 3): (0, 1, 3),
    (4, 2): (0, 1),
    (4, 5): (0, 1, 2, 0, 3),
    (4, 6): (0, 1, 3, 0, 1, 3),
    (4, 7): (0, 1, 2, 3, 0, 1, 3),
    (3, 4): (0, 1, 0, 2),
    (3, 2): (0, 2),
    (3, 5): (0, 1, 2, 0, 2),
    (2, 3): (0, 1, 1),
    (2, 4): (0, 1, 0, 1),
}


def parse_meter(text: str) -> Meter | None:
    """Read ``3/4``; ``None`` if it is not one of ``METERS``."""
    match = re.fullmatch(r"\s*(\d{1,2})\s*/\s*(\d{1,2})\s*", text)
    if match is None or f"{int(match[1])}/{int(match[2])}" not in METERS:
        return None
    return Meter(int(match[1]), int(match[2]))


@cache
def steps(meter: Meter) -> int:
    """Sixteenths in a bar."""
    return meter.beats * 16 // meter.unit


@cache
def beat_steps(meter: Meter) -> tuple[int, ...]:
    """The felt beats of a bar, in sixteenths: 6/8 has two of six, 7/8 goes 2 + 2 + 3 eighths."""
    if meter.unit == 4:
        return (4,) * meter.beats
    if meter.beats % 3 == 0:
        return (6,) * (meter.beats // 3)
    return (4,) * ((meter.beats - 3) // 2) + (6,)


@cache
def beat_starts(meter: Meter) -> tuple[int, ...]:
    """The step at which each felt beat begins."""
    starts, at = [], 0
    for length in beat_steps(meter):
        starts.append(at)
        at += length
    return tuple(starts)


@cache
def weight(step: int, meter: Meter) -> float:
    """How strong a step of the bar is: 1 the downbeat, 0.8 its middle, 0.6 a beat, 0.35 an eighth, 0.15 a sixteenth."""
    starts = beat_starts(meter)
    if step == 0:
        return 1.0
    if step in starts:
        middle = len(starts) >= 4 and step == starts[(len(starts) + 1) // 2]
        return 0.8 if middle else 0.6
    return 0.35 if step % 2 == 0 else 0.15


def fit(line: str, source: Meter, target: Meter) -> str:
    """Play a rhythm line that was written for ``source`` in ``target``.

    The line's bars are cut into felt beats, which are chosen, repeated and stretched; two bars stay two bars.
    """
    if source == target:
        return line
    lengths = beat_steps(target)
    count = len(beat_steps(source))
    wanted = len(lengths)
    default = (*range(wanted - 1), count - 1) if wanted <= count else tuple(i % count for i in range(wanted))
    chosen = tuple(range(count)) if wanted == count else _BEATS.get((count, wanted), default)
    bar = steps(source)
    out = []
    for start in range(0, len(line), bar):
        beats, at = [], start
        for length in beat_steps(source):
            beats.append(line[at : at + length])
            at += length
        out += [_stretch(beats[index], length) for index, length in zip(chosen, lengths, strict=True)]
    return "".join(out)


def _stretch(beat: str, length: int) -> str:
    """A beat of four sixteenths becomes one of six by playing its second half again, and the reverse."""
    while len(beat) < length:
        beat += beat[-2:]
    return beat[:length]


def doubled(line: str) -> str:
    """The line at half its speed: what was a sixteenth is an eighth, and a bar becomes two."""
    held = line[1:] + "."
    return "".join(
        mark + ("-" if mark == "-" or (mark != "." and after == "-") else ".")
        for mark, after in zip(line, held, strict=True)
    )


def lines_in(lines: tuple[str, ...], native: Meter, target: Meter) -> tuple[str, ...]:
    """Those of a style's lines that are written in ``target``, or all of them fitted to it."""
    bar = steps(target)
    if native != target:
        own = tuple(line for line in lines if len(line) in {bar, 2 * bar} and len(line) % steps(native))
        if own:
            return own
    written = tuple(line for line in lines if len(line) % steps(native) == 0)
    return tuple(fit(line, native, target) for line in written)
