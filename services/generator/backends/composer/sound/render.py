"""A score becomes sound: every section an exact loop, all of them laid end to end.

Conventions
-----------
Section k begins at frame ``round(quarters before it · 60/bpm · rate)``: computed from the whole, never accumulated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np

from services.generator.backends.composer.score import Note, Part, Score, SectionScore
from services.generator.backends.composer.sound.band import CELL_S, Band, Clock
from services.generator.backends.composer.sound.cache import NOTES
from services.generator.backends.composer.sound.drums import KICKS
from services.generator.backends.composer.sound.instruments import instrument
from services.generator.backends.composer.sound.mastering import master
from services.generator.backends.composer.sound.mixing import LEVELS_DB, Desk, Strip
from services.generator.backends.composer.sound.soundfont import Player, open_player
from shared.errors import Cancelled
from shared.units import Audio

_TAIL_S = 6.0
_APART_S = 0.5
"""Silence that parts an unfolded piece from itself on its circle; cut off in the end."""


@dataclass(frozen=True)
class RenderedPiece:
    samples: Audio
    """Float32 ``(frames, 2)``: the sections end to end, each a loop by itself; unfolded, with the last one's tail."""
    bounds: tuple[tuple[int, int], ...]
    """First frame and end of each section, in the score's order."""
    stems: dict[str, Audio] = field(default_factory=dict)
    """Each part as it enters the mix, before mastering, by name; as long as ``samples``."""


def section_bounds(score: Score, sample_rate: int) -> tuple[tuple[int, int], ...]:
    """First frame and end of each section."""
    edges, quarters = [0], 0.0
    for section in score.sections:
        quarters += section.bars * score.meter.quarters
        edges.append(round(quarters * 60.0 / score.bpm * sample_rate))
    return tuple(pairwise(edges))


def render_piece(
    score: Score,
    sample_rate: int,
    *,
    fold: bool = True,
    stems: bool = False,
    samples: bool = True,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> RenderedPiece:
    """Render a piece. The same score gives the same bytes on one machine.

    ``fold=False`` plays the sections through, once, and lets the last notes ring out. ``samples=False`` leaves
    FluidSynth aside.

    Raises
    ------
    Cancelled
        ``cancelled`` said so; it is asked several times a second.
    UsageError
        The score names an unknown instrument, or holds no section.
    """
    control = _Control(progress, cancelled)
    bounds = section_bounds(score, sample_rate)
    clock = Clock(sample_rate, float(score.bpm))
    band = Band(clock, score.tonic, _player() if samples else None, control.check)
    sections = score.sections if fold else (_played_through(score),)
    end = bounds[-1][1] if bounds else 0
    laps = bounds if fold else ((0, end + round((_TAIL_S + _APART_S) * sample_rate)),)
    lengths = [stop - start for start, stop in laps]
    gains: dict[str, float] = {}
    mix = np.empty((laps[-1][1] if laps else 0, 2), np.float32)
    kept: dict[str, list[Audio]] = {part.name: [] for section in sections for part in section.parts} if stems else {}
    for index, (section, (start, stop)) in enumerate(zip(sections, laps, strict=True)):
        desk = Desk(stop - start, score.space, clock)
        pump = desk.pump(_kicks(section))

        def strips(parts: Iterable[Part], frames: int = desk.frames) -> Iterator[Strip]:
            for part in parts:
                control.check()
                if part.name not in gains:
                    # Measured where it is played first: its tones are at hand then, and need not be made twice.
                    gains[part.name] = _gain(part.name, sections, lengths, band)
                yield _strip(part, frames, band, gains[part.name], wrap=fold)

        mix[start:stop] = desk.mix(strips(section.parts), pump)
        for name, parts in kept.items():
            parts.append(desk.mix(strips(part for part in section.parts if part.name == name), pump))
        control.say(0.75 * (index + 1) / len(sections))
    control.check()
    beat = any(_kicks(section) for section in sections)
    whole = master(mix, laps, score.space, sample_rate, score.tuning_seed, beat=beat, check=control.check)
    control.say(1.0)
    apart = {name: np.concatenate(parts) for name, parts in kept.items()}
    if not fold:
        whole = _ended(whole, sample_rate)
        apart = {name: _ended(stem, sample_rate) for name, stem in apart.items()}
    return RenderedPiece(whole, bounds, apart)


def _ended(audio: Audio, rate: int) -> Audio:
    """Without the silence at its end, faded where it is cut."""
    ended = audio[: len(audio) - round(_APART_S * rate)].copy()
    fade = round(0.1 * rate)
    ended[len(ended) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)[:, None]
    return ended


@dataclass(frozen=True)
class _Control:
    progress: Callable[[float], None] | None
    cancelled: Callable[[], bool] | None

    def say(self, fraction: float) -> None:
        self.check()
        if self.progress is not None:
            self.progress(fraction)

    def check(self) -> None:
        if self.cancelled is not None and self.cancelled():
            raise Cancelled("The job was called back.")


def let_go() -> None:
    """Forget what belongs to the pitches and the instruments of one piece: kept, it would make the process grow."""
    NOTES.clear()
    if (player := _player()) is not None:
        player.rest()


@lru_cache(maxsize=1)
def _player() -> Player | None:
    return open_player()


def _strip(part: Part, frames: int, band: Band, gain: float, *, wrap: bool) -> Strip:
    one = instrument(part.instrument)
    audio = np.zeros((frames, 2), np.float32)
    band.play(part, one, audio, wrap=wrap)
    return Strip(part, one, audio, gain)


def _kicks(section: SectionScore) -> list[tuple[float, float]]:
    return [
        (note.start, note.velocity)
        for part in section.parts
        if part.percussion or instrument(part.instrument).family == "drums"
        for note in part.notes
        if note.pitch in KICKS
    ]


def _gain(name: str, sections: tuple[SectionScore, ...], lengths: list[int], band: Band) -> float:
    """A part's gain over the whole piece: its level where it sounds becomes the usual one of its family."""
    cells = []
    mine = [(part, length) for section, length in zip(sections, lengths, strict=True) for part in section.parts]
    mine = [(part, length) for part, length in mine if part.name == name]
    for part, length in mine:
        power = np.zeros(max(1, round(length / band.clock.rate / CELL_S)))
        band.power(part, instrument(part.instrument), power)
        cells.append(power)
    whole = np.concatenate(cells)
    sounding = whole[whole > whole.max(initial=0.0) * 0.02]
    level = 10.0 * np.log10(sounding.mean()) if len(sounding) else 0.0
    first = mine[0][0]
    one = instrument(first.instrument)
    return float(10.0 ** ((LEVELS_DB[one.family] + one.level_db + first.level_db - level) / 20.0))


def _played_through(score: Score) -> SectionScore:
    """All sections as one, played once; parts of the same name are joined."""
    joined: dict[str, Part] = {}
    before = 0.0
    for section in score.sections:
        for part in section.parts:
            moved = tuple(Note(n.start + before, n.length, n.pitch, n.velocity) for n in part.notes)
            held = joined.get(part.name)
            joined[part.name] = replace(part if held is None else held, notes=(*(held.notes if held else ()), *moved))
        before += section.bars * score.meter.quarters
    return SectionScore("all", sum(s.bars for s in score.sections), 1.0, tuple(joined.values()))
