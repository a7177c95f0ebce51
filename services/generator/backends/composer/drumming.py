"""The drummer: a groove of the style's lines, made personal, with ghost notes, accents and fills."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.generator.backends.composer import meters, shape
from services.generator.backends.composer.dice import Dice
from services.generator.backends.composer.passage import Passage, hits
from services.generator.backends.composer.percussion import DRUMS
from services.generator.backends.composer.score import Meter, Note
from services.generator.backends.composer.style import Drums

BACKBONE: Final = frozenset({"kick", "snare", "clap", "surdo", "clave", "ride"})
"""Drums that carry the groove: what they play is left as the style wrote it."""

# The tail of a bar (a felt beat or two, in sixteenths) that a fill puts in place of the groove.
_FILLS: Final[dict[str, tuple[Mapping[str, str], ...]]] = {
    "snare": (
        {"snare": "5.68", "kick": "7..."},
        {"snare": ".567", "kick": "8.6."},
        {"snare": "5..54.78", "kick": "8..7...."},
        {"snare": "4.4.5678", "kick": "7...7..."},
    ),
    "toms": (
        {"tom-high": "88......", "tom-mid": "..8.8...", "tom-low": ".....7.8", "kick": "8...8..."},
        {"snare": "86......", "tom-high": "..77....", "tom-mid": "....78..", "tom-low": "......89"},
        {"snare": "8.88....", "tom-high": "....8.8.", "tom-low": ".......8", "kick": "..8....."},
        {"tom-mid": "7..7....", "tom-low": "....8.88", "kick": "8..8...."},
    ),
    "club": (
        {"clap": "..6.7.78", "open-hat": "..7...7."},
        {"snare": "34455678", "open-hat": "..7....."},
        {"clap": "6..6..68", "kick": "8......."},
        {"kick": "8.......", "hat": "5555555."},
    ),
    "brush": ({"snare": "4.54"}, {"snare": "..45", "kick": "4..."}, {"snare": "3.4.5.3.", "ride": "6...5..."}),
    "break": (
        {"snare": "8..8.8.8", "kick": "..8...8."},
        {"snare": "..8.89.8", "kick": "8..8...."},
        {"snare": "84.84.88", "kick": "..8..8.."},
    ),
    "latin": (
        {"conga-high": "6.66..7.", "conga-low": "...6.7.8"},
        {"timbale-high": "7.67.8.8", "timbale-low": "...6..7."},
        {"conga-high": "66..66..", "conga-low": "..66..77"},
    ),
    "hats": ({"hat": "5566"}, {"hat": "66667777", "open-hat": ".......6"}, {"hat": "5.665.77", "snare": "....4..5"}),
    "timpani": (
        {"tom-low": "4456678."},
        {"tom-low": "6..6.7.8", "tom-mid": "..5..5.."},
        {"tom-low": "7...7.88"},
    ),
}


@dataclass(frozen=True)
class Groove:
    """One drummer's choice for a piece: per drum, the line of its usual bars and that of every fourth."""

    usual: Mapping[str, str]
    turn: Mapping[str, str]


def choose(
    drums: Drums, native: Meter, meter: Meter, dice: Dice, avoid: Groove | None = None, *, halved: bool = False
) -> Groove:
    """Pick a line per drum; a second groove of a piece avoids what the first one plays."""
    rng = dice.throw()
    usual: dict[str, str] = {}
    turn: dict[str, str] = {}
    row = rng.randrange(64)
    for drum, written in drums.lines.items():
        lines = meters.lines_in(written, native, meter)
        if not lines:
            continue
        fresh = [line for line in lines if avoid is None or avoid.usual.get(drum) != line] or list(lines)
        row_line = lines[row % len(lines)]
        line = row_line if drums.together and drum in {"kick", "snare"} else rng.choice(fresh)
        other = rng.choice(lines)
        if drum not in BACKBONE:
            line = _personal(line, rng, drums.busy, meter)
            other = _personal(line if rng.random() < 0.6 else other, rng, drums.busy * 0.6, meter)
        if halved:
            line, other = meters.doubled(line), meters.doubled(other)
        usual[drum] = line
        turn[drum] = other if drum != "kick" or not drums.together else line
    return Groove(usual, turn)


def _personal(line: str, rng: random.Random, busy: float, meter: Meter) -> str:
    """Add and take away light strokes on weak steps, the same ones for the whole piece."""
    bar = meters.steps(meter)
    out = []
    for step, mark in enumerate(line):
        strength = meters.weight(step % bar, meter)
        if mark == "." and strength < 0.5 and rng.random() < 0.14 * busy:
            out.append("3")
        elif mark.isdigit() and int(mark) <= 6 and strength < 0.5 and rng.random() < 0.22 * busy:
            out.append(rng.choice("..?"))
        elif mark.isdigit() and rng.random() < 0.3 * busy:
            out.append(str(min(9, max(2, int(mark) + rng.choice((-1, 1))))))
        else:
            out.append(mark)
    return "".join(out)


def play(
    drums: Drums,
    groove: Groove,
    passage: Passage,
    dice: Dice,
    *,
    fills: bool = True,
    light: bool = False,
    stop: float = 0.0,
) -> list[Note]:
    """The drum part of a passage.

    Parameters
    ----------
    fills
        Whether the last bar (and, smaller, every fourth) leads on with a fill.
    stop
        Quarter notes at the end in which the band stops.
    light
        Only the lighter half of the kit plays, until the fill.
    """
    rng = dice.throw()
    bar_steps = meters.steps(passage.meter)
    tail = _tail(drums, passage, rng) if fills and drums.fill != "none" else {}
    tail_steps = max((len(line) for line in tail.values()), default=0)
    # In a club the kick leaves with the band and comes back with it.
    silent_steps = max(tail_steps, round(stop * 4)) if drums.fill == "club" and passage.bars >= 4 else tail_steps
    notes = []
    for drum, usual in groove.usual.items():
        if passage.energy < drums.from_energy.get(drum, 0.0):
            continue
        begin = shape.entrance(drums.from_energy.get(drum, 0.0), passage)
        for index in range(round(begin / passage.bar), passage.bars):
            last = index == passage.bars - 1
            if light and not last and drum in {"kick", "snare", "clap", "tom-low", "surdo"}:
                continue
            line = groove.turn[drum] if index % 4 == 3 and not last else usual
            line = _bar(line, index, bar_steps)
            if last and tail and _yields(drum, tail):
                keeps = bar_steps - (silent_steps if drum == "kick" else tail_steps)
                line = line[:keeps] + tail.get(drum, "." * tail_steps).rjust(bar_steps - keeps, ".")
            notes += _strokes(drum, line, index * bar_steps, rng)
    missing = [drum for drum in tail if drum not in groove.usual]
    for drum in missing:
        notes += _strokes(drum, tail[drum], passage.bars * bar_steps - tail_steps, rng)
    return notes


def _bar(line: str, index: int, bar_steps: int) -> str:
    """The bar of a line of one or two bars."""
    start = index * bar_steps % len(line)
    return line[start : start + bar_steps]


def _tail(drums: Drums, passage: Passage, rng: random.Random) -> dict[str, str]:
    bar_steps = meters.steps(passage.meter)
    fill = rng.choice(_FILLS[drums.fill])
    room = min(bar_steps // 2, max(len(line) for line in fill.values()))
    if passage.energy < 0.5:
        room = min(room, 4)
    return {drum: line[-room:] for drum, line in fill.items()}


def _yields(drum: str, tail: Mapping[str, str]) -> bool:
    """During a fill the drums it uses, and the backbone, leave the groove; time-keepers play on."""
    return drum in tail or drum in {"kick", "snare", "clap", "rim"}


def _strokes(drum: str, line: str, offset: int, rng: random.Random) -> list[Note]:
    pitch = DRUMS[drum]
    return [
        Note((offset + hit.step) / 4, 0.25, pitch, min(1.0, hit.velocity * rng.uniform(0.93, 1.05)))
        for hit in hits(line, rng)
    ]
