"""A composed clip carries its exact loop: it is checked, not searched.

The check is cheap and strict: the positions fit the file and each other, and no wrap, from any section's end to its own
start, changes the sound much more than the beats inside the music do.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from services.analyzer.records import Rejection
from services.analyzer.seam import change_at, join_change
from services.analyzer.sound import Sound
from shared.music import Truth

WORSE_DB: Final = 4.0
"""How much more than the strongest beat a wrap may change: a click exceeds it, a downbeat does not. Bar lines alone
are too few to compare with: of four bars' three, one in six wraps changed more than 4 dB more. Of a bossa's beats it is
one in twelve, for its strongest notes lie between them: where beats say no, their quarters are asked."""
LENGTH_TOLERANCE: Final = 0.005


def verify(sound: Sound, truth: Truth) -> Rejection | None:
    """Nothing where the clip is what its maker says, else what is wrong with it."""
    return _positions(sound.frames, sound.rate, truth) or _wraps(sound, truth)


def _positions(frames: int, rate: int, truth: Truth) -> Rejection | None:
    start, end = truth.loop_start, truth.loop_end
    if not start < end <= frames:
        return _wrong(f"its loop lies at {start} to {end} of {frames} frames", {"start": start, "end": end})
    at = start
    for section in truth.sections:
        if section.start != at or not section.start < section.end <= end:
            return _wrong(f"section {section.label} lies at {section.start} to {section.end}", {"start": section.start})
        at = section.end
    if truth.sections and at != end:
        return _wrong("its sections do not fill its loop", {"end": at})
    if truth.bpm and truth.bars and truth.beats_per_bar:
        told = truth.bars * _quarters(truth) * 60 / truth.bpm * rate
        if abs(told / (end - start) - 1) > LENGTH_TOLERANCE:
            return _wrong(
                f"{truth.bars} bars last {told / rate:.2f} s, its loop {(end - start) / rate:.2f} s",
                {"told_s": told / rate, "found_s": (end - start) / rate},
            )
    grid = truth.grid
    if grid is not None and any(not start <= beat < end for beat in grid.beats + grid.downbeats):
        return _wrong("a beat lies outside its loop", {})
    return None


def _quarters(truth: Truth) -> float:
    """Quarter notes in a bar, which is what the tempo counts: 3.5 of them in 7/8."""
    unit = (truth.meter or "").partition("/")[2]
    return (truth.beats_per_bar or 4) * 4 / int(unit) if unit.isdecimal() and int(unit) else truth.beats_per_bar or 4


def _wraps(sound: Sound, truth: Truth) -> Rejection | None:
    edges = [(section.start, section.end) for section in truth.sections] or [(truth.loop_start, truth.loop_end)]
    grid = {*truth.grid.beats, *truth.grid.downbeats} if truth.grid else set()
    beats = [beat for beat in grid if truth.loop_start < beat < truth.loop_end]
    inside = beats or np.linspace(truth.loop_start, truth.loop_end, 18)[1:-1].astype(int).tolist()
    worst = max(join_change(sound, start, end) for start, end in edges)
    excess = worst - max(change_at(sound, line) for line in inside)
    if excess > WORSE_DB:
        excess = worst - max(change_at(sound, line) for line in _quartered(inside))
    if excess > WORSE_DB:
        return Rejection(
            f"This clip does not loop where it says: its seam changes {excess:.1f} dB more than its beats do.",
            "seam",
            {"excess_db": excess},
        )
    return None


def _quartered(places: list[int]) -> list[int]:
    """These places and the quarters between them."""
    ordered = sorted(places)
    between = [round(a + (b - a) * part / 4) for a, b in pairwise(ordered) for part in (1, 2, 3)]
    return [*ordered, *between]


def _wrong(what: str, figures: dict[str, float]) -> Rejection:
    return Rejection(f"This clip's own description does not fit it: {what}.", "wrong-truth", figures)
