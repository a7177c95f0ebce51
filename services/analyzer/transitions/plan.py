"""Which change two loops allow, where it lies and how long it lasts. Pure: only their descriptions are read.

- *continue*: the second loop grew out of the first; joined where the one was made to follow the other, else over a bar
  on the bar line; nothing stretched.
- *blend*: both loops sound together for some bars, at a tempo that moves from the one to the other; downbeats locked,
  the bass handed over in the middle. Only where the tempi, after halving or doubling one, are within 6 % and the keys
  are the same, relative or neighbours on the circle of fifths.
- *fade*: equal power on the bar line, at the end of a phrase, nothing stretched.
- *cut*: on the downbeat, over the old loop's reverberation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from services.analyzer.key import related
from shared.music import Loop, Transition
from shared.units import STATION_RATE

Kind: TypeAlias = Literal["continue", "blend", "fade", "cut"]
Style: TypeAlias = Literal["smart", "blend", "fade", "cut"]

STRETCH_LIMIT: Final = 0.06
PHRASE_BARS: Final = 4
LONGEST_BLEND_S: Final = 16.0
LONGEST_FADE_S: Final = 4.0
CUT_TAIL_S: Final = 2.0
JOIN_S: Final = 0.03
"""Where a clip's first sound follows its parent's last, both are one sound: only their levels may differ."""
JOIN_WITHIN_S: Final = 0.25
"""A loop that begins later than this after its clip has gone on by itself meanwhile: it enters over a beat."""
KEY_TRUST: Final = 0.05
"""A key that was measured with less confidence is not known."""


@dataclass(frozen=True)
class Stretch:
    """The part of a loop that repeats by itself and in which a change lies: a section, or the whole of it."""

    start: int
    end: int
    first: int
    """Its first downbeat."""
    bars: int

    @property
    def bar(self) -> float:
        """Frames of a bar."""
        return (self.end - self.start) / self.bars


@dataclass(frozen=True)
class Plan:
    """A change. Positions are frames of the loops' files; lengths in frames of the result."""

    kind: Kind
    reason: str
    exit_frame: int
    """Where the first loop is left: the change begins with what would have followed there."""
    low: int
    high: int
    """The stretch of the first loop that goes round below the change."""
    begin: int
    """The frame of the second loop that enters there: a downbeat."""
    entry_frame: int
    """Where the second loop goes on after the change."""
    beats: tuple[float, ...]
    """Length of each beat of the change, in frames; a single one where nothing is locked."""
    first_beat: float
    """Frames of the first loop that make one of these beats."""
    second_beat: float

    @property
    def frames(self) -> int:
        return round(sum(self.beats))

    def record(self, first: Loop, second: Loop, path: str) -> Transition:
        """What the player is told of it, rendered to ``path``."""
        return Transition(
            from_loop=first.loop_id,
            to_loop=second.loop_id,
            kind=self.kind,
            path=path,
            frames=self.frames,
            exit_frame=self.exit_frame,
            entry_frame=self.entry_frame % second.frames,
            reason=self.reason,
        )

    @property
    def stretched(self) -> bool:
        return self.kind == "blend" and abs(self.second_beat / self.first_beat - 1.0) > 1e-9


def plan_transition(first: Loop, second: Loop, style: Style = "smart", exit_after: int = 0) -> Plan:
    """The change from ``first`` to ``second`` that their descriptions allow.

    Parameters
    ----------
    exit_after
        The earliest frame of ``first`` at which it may be left; past the last phrase it is the first one again.
    """
    pair = _Pair(first, second, _stretch(first, exit_after), _stretch(second, 0), exit_after)
    if style in ("cut", "fade"):
        return _unlocked(pair, "cut" if style == "cut" else "fade", "as the settings ask")
    locked, why = _locked(pair, style)
    return locked or _unlocked(pair, "fade", why)


def _stretch(loop: Loop, after: int) -> Stretch | None:
    """The section in which frame ``after`` lies (the first one for 0), or the whole loop; None without a grid."""
    if loop.sections:
        section = next((one for one in loop.sections if one.start < after <= one.end), loop.sections[0])
        return Stretch(section.start, section.end, section.start, section.bars)
    if not loop.bars:
        return None
    first = loop.grid.downbeats[0] if loop.grid is not None and loop.grid.downbeats else 0
    return Stretch(0, loop.frames, first, loop.bars)


@dataclass(frozen=True)
class _Pair:
    first: Loop
    second: Loop
    leaving: Stretch | None
    entering: Stretch | None
    exit_after: int


def _locked(pair: _Pair, style: Style) -> tuple[Plan | None, str]:
    """A change in which the beats of both loops fall together; None, and why, where there is none."""
    first, second, leaving, entering = pair.first, pair.second, pair.leaving, pair.entering
    if (joined := _joined(pair)) is not None:
        return joined, ""
    if leaving is None or entering is None:
        return None, f"no beat was found in {_name(first if leaving is None else second)}"
    if first.loop_id == second.continues and abs(leaving.bar / entering.bar - 1.0) < 0.005:
        return _continue(leaving, entering, pair.exit_after), ""
    factor = _factor(pair, leaving, entering)
    if factor is None:
        return None, _tempi(first, second)
    if style == "smart" and (trouble := _keys(first, second)):
        return None, trouble
    return _blend(pair, leaving, entering, factor), "a loop is too short to blend"


def _factor(pair: _Pair, leaving: Stretch, entering: Stretch) -> tuple[int, int] | None:
    """How many bars of each loop lie over one another, as (first, second); None where the tempi are too far apart."""
    if (pair.first.beats_per_bar or 4) != (pair.second.beats_per_bar or 4):
        return None

    def apart(factor: tuple[int, int]) -> float:
        ratio = entering.bar * factor[1] / (leaving.bar * factor[0])
        return max(ratio, 1 / ratio) - 1.0

    best = min(((1, 1), (2, 1), (1, 2)), key=apart)
    return best if apart(best) <= STRETCH_LIMIT else None


def _keys(first: Loop, second: Loop) -> str:
    """Why the keys do not go together; empty if they do."""
    for loop in (first, second):
        if not loop.key or loop.key_confidence < KEY_TRUST:
            return f"the key of {_name(loop)} is not known"
    assert first.key is not None
    assert second.key is not None
    if not related(first.key, second.key):
        return f"{first.key} and {second.key} are no neighbours"
    return ""


def _blend(pair: _Pair, leaving: Stretch, entering: Stretch, factor: tuple[int, int]) -> Plan | None:
    long_bar = leaving.bar * factor[0]
    most = min(leaving.bars // factor[0], entering.bars // factor[1]) // 2
    fitting = [bars for bars in (8, 4, 2) if bars <= most and bars * long_bar <= LONGEST_BLEND_S * STATION_RATE]
    if not fitting:
        return None
    bars = fitting[0]
    # Halved or doubled, a beat of the change is a beat of the slower loop.
    per_bar = pair.first.beats_per_bar or 4
    beat, other = long_bar / per_bar, entering.bar * factor[1] / per_bar
    count = bars * per_bar
    steps = count - 1
    beats = tuple(beat + (other - beat) * number / steps for number in range(count))
    exit_frame = _exit(leaving, bars * factor[0], pair.exit_after)
    entry = round(entering.first + bars * factor[1] * entering.bar)
    low, high = leaving.start, leaving.end
    return Plan(
        "blend", _fits(pair.first, pair.second), exit_frame, low, high, entering.first, entry, beats, beat, other
    )


def _joined(pair: _Pair) -> Plan | None:
    """The first loop up to where the second clip was made to follow it, and from there the second; None where that is
    not known.

    A clip begins with what follows second ``splice_s`` of its parent. A loop of it that begins later enters where the
    first loop has come to the same moment, going round.
    """
    first, second, recipe = pair.first, pair.second, pair.second.recipe
    if first.loop_id != second.continues or recipe is None or recipe.splice_s is None:
        return None
    whole = Stretch(0, first.frames, 0, 1)
    leaving = pair.leaving or whole
    begin = pair.entering.first if pair.entering is not None else 0
    late = _source_s(second, begin)
    place = round((recipe.splice_s + late - _source_s(first, 0)) * STATION_RATE)
    length = leaving.end - leaving.start
    exit_frame = leaving.start + ((place - leaving.start) % length or length)
    overlap = JOIN_S * STATION_RATE
    if late > JOIN_WITHIN_S:
        overlap = leaving.bar / (first.beats_per_bar or 4) if pair.leaving is not None else STATION_RATE / 2
    frames = min(round(overlap), length // 2, second.frames // 2)
    span = (leaving.start, leaving.end, begin, begin + frames, (float(frames),), float(frames), float(frames))
    return Plan("continue", f"it grew out of this loop at {recipe.splice_s:.1f} s", exit_frame, *span)


def _source_s(loop: Loop, frame: int) -> float:
    """The second of the clip at which a frame of its loop lies; the clip's rate follows from both lengths."""
    source = loop.source_end - loop.source_start
    return (loop.source_start * loop.frames / source + frame) / STATION_RATE if source > 0 else frame / STATION_RATE


def _continue(leaving: Stretch, entering: Stretch, exit_after: int) -> Plan:
    exit_frame = _exit(leaving, 1, exit_after)
    length = round(entering.first + entering.bar) - entering.first
    return Plan(
        "continue",
        "it grew out of this loop",
        exit_frame,
        leaving.start,
        leaving.end,
        entering.first,
        entering.first + length,
        (float(length),),
        float(length),
        float(length),
    )


def _unlocked(pair: _Pair, kind: Literal["fade", "cut"], why: str) -> Plan:
    """A fade or a cut: at a phrase's end where the first loop has a grid, at its own end where it has none."""
    longest = LONGEST_FADE_S if kind == "fade" else CUT_TAIL_S
    most = min(longest * STATION_RATE, pair.second.frames / 2)
    length, exit_frame = round(most), pair.first.frames
    if pair.leaving is not None:
        bars = next((bars for bars in (2, 1) if bars * pair.leaving.bar <= most), 0)
        if kind == "fade" and bars:
            length = round(bars * pair.leaving.bar)
        exit_frame = _exit(pair.leaving, 0, pair.exit_after)
    begin = pair.entering.first if pair.entering is not None else 0
    low, high = (pair.leaving.start, pair.leaving.end) if pair.leaving is not None else (0, pair.first.frames)
    return Plan(kind, why, exit_frame, low, high, begin, begin + length, (float(length),), float(length), float(length))


def _exit(stretch: Stretch, before: int, exit_after: int) -> int:
    """The first place at or after ``exit_after`` that lies ``before`` bars before the end of a phrase; else the end.

    Phrases end every fourth bar and with the stretch itself. The place is after the start and up to the end of it.
    """
    ends = sorted({*range(PHRASE_BARS, stretch.bars + 1, PHRASE_BARS), stretch.bars})
    bars = sorted({(end - before) % stretch.bars or stretch.bars for end in ends})
    places = []
    for bar in bars:
        place = round(stretch.first + bar * stretch.bar)
        places.append(place if place <= stretch.end else place - (stretch.end - stretch.start))
    places.sort()
    last = stretch.end if stretch.first == stretch.start else places[0]
    return next((place for place in places if place >= exit_after), last)


def _name(loop: Loop) -> str:
    return loop.title or loop.loop_id


def _tempi(first: Loop, second: Loop) -> str:
    if (first.beats_per_bar or 4) != (second.beats_per_bar or 4):
        return f"{first.beats_per_bar} and {second.beats_per_bar} beats in a bar do not go together"
    if first.bpm and second.bpm:
        return f"{first.bpm:.0f} and {second.bpm:.0f} bpm are too far apart"
    return "the tempi are too far apart"


def _fits(first: Loop, second: Loop) -> str:
    parts = []
    if first.bpm and second.bpm:
        parts.append(f"{first.bpm:.0f} to {second.bpm:.0f} bpm")
    if first.key and second.key:
        parts.append(f"{first.key} to {second.key}")
    return ", ".join(parts)
