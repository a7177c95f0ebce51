"""When a loop may be left: the bar lines and phrases of a stretch of it, worked out from its length and never added up.

All positions are frames of the loop's file. A bar line is ``round(first + k · length / bars)``: a grid that is added up
bar by bar drifts by its rounding, this one never does.
"""

from __future__ import annotations

from services.player.form import Span
from shared.music import Loop
from shared.units import STATION_RATE

PHRASE_BARS = 4
LONGEST_FADE = 4 * STATION_RATE
"""A fade takes two bars, or one, or where there are none these 4 s, which no fade exceeds."""
SKIP_FADE = STATION_RATE
CUT_FADE = STATION_RATE // 50


def entry_frame(loop: Loop) -> int:
    """Where a loop begins when it is new: its first section, else its first downbeat, else its first frame."""
    if loop.sections:
        return loop.sections[0].start
    if loop.grid is not None and loop.grid.downbeats and loop.grid.downbeats[0] < loop.frames:
        return loop.grid.downbeats[0]
    return 0


def bar_lines(loop: Loop, span: Span, every: int = 1) -> tuple[int, ...]:
    """The bar lines within ``span`` at which a bar divisible by ``every`` begins, its end too; empty without a grid.

    Bars count from the loop's or section's own first, so that its end is the beginning of a phrase whatever its length.
    """
    section = next((part for part in loop.sections if part.start == span.low and part.end == span.high), None)
    if section is not None:
        first, length, bars = section.start, section.end - section.start, section.bars
    elif loop.bars:
        first, length, bars = entry_frame(loop), loop.frames, loop.bars
    else:
        return ()
    places = ((bar, round(first + bar * length / bars)) for bar in range(-bars, 2 * bars + 1))
    return tuple(line for bar, line in places if span.start < line <= span.end and bar % bars % every == 0)


def next_bar(loop: Loop, span: Span, now: int) -> int:
    """The first bar line of ``span`` at or after frame ``now``; its end where it has none."""
    return next((line for line in bar_lines(loop, span) if line >= now), span.end)


def bar_frames(loop: Loop) -> float | None:
    """Length of a bar in frames; None without a grid."""
    if loop.sections:
        return (loop.sections[0].end - loop.sections[0].start) / loop.sections[0].bars
    return loop.frames / loop.bars if loop.bars else None


def leave_at(loop: Loop, span: Span, earliest: int) -> int | None:
    """Where within ``span`` a song ends that has lasted long enough at frame ``earliest``; None: not in this span.

    At the next phrase's bar line (every fourth bar, and the end of a section). Without a grid at the span's end, or at
    ``earliest`` itself where the end is more than 4 s away.
    """
    if earliest > span.end:
        return None
    if not bar_lines(loop, span):
        if loop.bars or loop.sections:
            return None  # a stretch without a bar line, such as a pickup: the next one has some
        return span.end if span.end - max(earliest, span.start) <= LONGEST_FADE else max(earliest, span.start)
    return next((line for line in bar_lines(loop, span, PHRASE_BARS) if line >= earliest), None)


def fade_frames(leaving: Loop, entering: Loop, longest: int = LONGEST_FADE) -> int:
    """Length of the overlap: two bars of the leaving loop if they fit, else one, else the longest that is allowed."""
    bar = bar_frames(leaving)
    wished = longest
    if bar is not None:
        wished = next((round(bars * bar) for bars in (2, 1) if round(bars * bar) <= longest), longest)
    return max(1, min(wished, entering.frames // 2))


def move_frames(loop: Loop, span: Span) -> tuple[int, int] | None:
    """How long a move at the end of ``span`` lasts and how long a beat is, in frames; None where it does not fit.

    Two bars, or one where two are more than half of the stretch; half a second counts as a beat where there is no grid.
    """
    bar = bar_frames(loop)
    beat = STATION_RATE / 2 if bar is None else bar / (loop.beats_per_bar or 4)
    half = (span.end - span.start) // 2
    for beats in (8, 4) if bar is None else (2 * (loop.beats_per_bar or 4), loop.beats_per_bar or 4):
        if round(beats * beat) <= half:
            return round(beats * beat), round(beat)
    return None
