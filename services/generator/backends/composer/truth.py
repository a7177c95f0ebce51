"""The truth about a composed clip: loop, sections, grid and chords as frames, computed and never measured."""

from __future__ import annotations

from collections.abc import Sequence

from services.generator.backends.composer.plan import Plan
from services.generator.backends.composer.score import Score
from shared.music import BeatGrid, Chord, Section, Truth


def truth_of(plan: Plan, score: Score, bounds: Sequence[tuple[int, int]]) -> Truth:
    """What is known of a rendered score.

    Parameters
    ----------
    bounds
        First frame and end (exclusive) of every section, in order and without gaps.
    """
    beats: list[int] = []
    downbeats: list[int] = []
    chords: list[Chord] = []
    sections: list[Section] = []
    for section, (start, end) in zip(score.sections, bounds, strict=True):
        frames, quarters = end - start, section.bars * score.meter.quarters
        count = section.bars * score.meter.beats
        beats += [start + round(index * frames / count) for index in range(count)]
        downbeats += [start + round(index * score.meter.beats * frames / count) for index in range(section.bars)]
        chords += [Chord(frame=start + round(at.start * frames / quarters), symbol=at.symbol) for at in section.chords]
        sections.append(Section(label=section.label, start=start, end=end, bars=section.bars))
    return Truth(
        loop_start=bounds[0][0],
        loop_end=bounds[-1][1],
        bpm=float(score.bpm),
        beats_per_bar=score.meter.beats,
        meter=str(score.meter),
        bars=plan.bars,
        key=plan.key,
        grid=BeatGrid(beats=tuple(beats), downbeats=tuple(downbeats)),
        chords=tuple(chords),
        sections=tuple(sections),
    )
