"""A song's form: which stretches of a loop are played in which order, so that no ear hears one loop forty times.

Pure: the same loop always gives the same form. A *pass* is one time through a section or a loop; it is made of *spans*,
stretches of the file that follow one another without a seam. Where a loop has sections or jump points, no pass is
literally the same more than twice in a row; where it has neither, every third pass carries a gentle move (`moves`), or
its second half again where no moves are wanted, so that none is the same more than three times in a row. The move is
always back to neutral at the end of its pass, and there is at most one in two passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from shared.music import Loop, Section
from shared.units import STATION_RATE

Variation: TypeAlias = Literal["off", "light", "full"]
Move: TypeAlias = Literal["bass-out", "sweep", "echo"]
MOVES: dict[Variation, tuple[Move, ...]] = {
    "off": (),
    "light": ("bass-out", "sweep"),
    "full": ("bass-out", "echo", "sweep", "echo"),
}
_JOIN = STATION_RATE // 50
"""The second half again follows the end on a bar line: 20 ms hide what differs there."""
_FREE_JOIN = STATION_RATE
"""The same without a grid."""


@dataclass(frozen=True, slots=True)
class Span:
    """Frames ``start … end`` of the loop's file; ``low … high`` is the stretch that would repeat after ``end``."""

    start: int
    end: int
    low: int
    high: int
    join: int = 0
    """Frames of crossfade that lie before ``start`` and before the end of the span that came before."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One time through: its spans, the letter it has in the form, and the move at its end."""

    label: str
    spans: tuple[Span, ...]
    move: Move | None = None

    @property
    def frames(self) -> int:
        return sum(span.end - span.start for span in self.spans)


def song(loop: Loop, number: int, variation: Variation = "light", entry: int = 0) -> Pass:
    """Pass ``number`` (from 0) of the song that ``loop`` makes; the first one begins at frame ``entry`` of the file.

    The moves go round with the loop's name, so that two songs in a row do not make the same one at the same place.
    """
    cycle = _cycle(loop, variation)
    taken = cycle[number % len(cycle)]
    moves = MOVES[variation]
    every = _moves_every(loop, variation)
    if moves and number % every == every - 1:
        turn = number // every + sum(loop.loop_id.encode())
        taken = replace(taken, move=moves[turn % len(moves)])
    return _begun(taken, number, entry)


def _begun(taken: Pass, number: int, entry: int) -> Pass:
    """The pass as it is: the first one of a song begins at its entry."""
    if number:
        return taken
    first = taken.spans[0]
    begin = entry if first.low <= entry < first.end else first.start
    return replace(taken, spans=(replace(first, start=begin), *taken.spans[1:]))


def stretch(loop: Loop, number: int, entry: int = 0) -> Pass:
    """Pass ``number`` of a loop that is a stretch of a stream: everything once in the file's order.

    Where nothing has come to go on with, the last long section goes round: in time, and as it ends.
    """
    parts = _parts(loop.sections)
    if not parts:
        return _begun(_plain(loop), number, entry)
    longest = max(section.bars for section in loop.sections)
    last = next(part for part, section in zip(parts[::-1], loop.sections[::-1], strict=True) if section.bars == longest)
    return _begun(parts[number] if number < len(parts) else last, number, entry)


def stretch_frames(loop: Loop) -> int:
    """How long such a loop lasts before anything of it is heard again."""
    return sum(section.end - section.start for section in loop.sections) or loop.frames


def _moves_every(loop: Loop, variation: Variation) -> int:
    """A move in every so many passes."""
    if variation == "full":
        return 2
    return 3 if not loop.sections and not loop.jumps else 4


def _cycle(loop: Loop, variation: Variation) -> tuple[Pass, ...]:
    """The passes that go round and round, chosen so that the end and the beginning together keep the rule too."""
    cycle = _of_sections(loop.sections) if loop.sections else _of_jumps(loop)
    if len(cycle) > 1 or variation != "off":
        return cycle
    again = _again(cycle[0], loop.sections[0].bars if loop.sections else loop.bars)
    return cycle if again is None else (*cycle, *cycle, again)


def _again(plain: Pass, bars: int | None) -> Pass | None:
    """The pass with its second half once more; None where it is a single bar."""
    (whole,) = plain.spans
    length = whole.high - whole.low
    if bars == 1:
        return None
    half = round(length * (bars - bars // 2) / bars) if bars else length // 2
    join = min(_JOIN if bars else _FREE_JOIN, half // 2, (length - half) // 2)
    second = Span(whole.low + half, whole.high, whole.low, whole.high, join)
    return Pass(f"{plain.label}'", (whole, second))


def _of_jumps(loop: Loop) -> tuple[Pass, ...]:
    plain = _plain(loop)
    turns = [_turn(loop, number) for number in range(len(loop.jumps))]
    usable = [turn for turn in turns if turn is not None and turn.frames >= loop.frames // 4]
    if not usable:
        return (plain,)
    cycle = [plain, plain, usable[0]]
    for turn in usable[1:]:
        cycle += [plain, turn]
    return tuple(cycle)


def _plain(loop: Loop) -> Pass:
    return Pass("A", (Span(0, loop.frames, 0, loop.frames),))


def _turn(loop: Loop, number: int) -> Pass | None:
    """The pass that takes jump ``number``; None for a jump that leads nowhere in this file."""
    jump = loop.jumps[number]
    if not (0 < jump.source <= loop.frames and 0 <= jump.target < loop.frames):
        return None
    source, target = jump.source, jump.target
    join = min(jump.crossfade, target, source, loop.frames - target)
    first, second = Span(0, source, 0, loop.frames), Span(target, loop.frames, 0, loop.frames, join)
    return Pass(f"A{number + 2}", (first, second))


def _of_sections(sections: Sequence[Section]) -> tuple[Pass, ...]:
    """A A' B A and its relatives over the sections at hand; a short fill leads into what is new."""
    parts = _parts(sections)
    longest = max(section.bars for section in sections)
    main = [part for part, section in zip(parts, sections, strict=True) if not _is_fill(section, longest)]
    fills = [part for part, section in zip(parts, sections, strict=True) if _is_fill(section, longest)]
    if len(main) <= 1:
        order = [*main, *main]
    elif len(main) == 2:
        order = [main[0], main[0], main[1], main[0], main[1]]
    else:
        order = [main[0], main[1], main[2], main[0]]
        for number, part in enumerate(main[3:]):
            order += [part, main[1 - number % 2]]
    if not fills:
        return tuple(order[:1] if len(main) == 1 else order)
    if not main:
        return tuple(fills)
    with_fills: list[Pass] = []
    for number, part in enumerate(order):
        with_fills.append(part)
        if number % 4 == 1:
            with_fills.append(fills[number // 4 % len(fills)])
    return tuple(with_fills)


def _parts(sections: Sequence[Section]) -> list[Pass]:
    return [
        Pass(section.label, (Span(section.start, section.end, section.start, section.end),)) for section in sections
    ]


def _is_fill(section: Section, longest: int) -> bool:
    return section.label.startswith("fill") or section.bars * 4 <= longest
