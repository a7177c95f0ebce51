"""What only composed music can give: its parts one by one, and its score. Both are made again from its recipe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.errors import InfiniLoopError, UsageError
from shared.units import STATION_RATE, Audio

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.generator.backends.composer.score import Score
    from shared.music import Loop, Recipe, Section
    from shared.paths import Paths

_GRID = 2.0**-23
_PEAK = 10 ** (-1.0 / 20)
_CHANGED = (
    "This was composed by another version of the station, or with other sounds than are installed now: "
    "its {what} cannot be made again."
)
_WHAT: Final = {"stems": "parts", "midi": "score"}


@dataclass(frozen=True)
class Composition:
    """A loop's score, whole and as far as it is saved."""

    loop: Loop
    section: Section | None
    score: Score

    @property
    def part(self) -> Score:
        """The score of what is saved."""
        if self.section is None:
            return self.score
        number = self.loop.sections.index(self.section)
        return replace(self.score, sections=(self.score.sections[number],))

    def midi(self, bpm: float | None = None) -> bytes:
        """The score of what is saved as a standard MIDI file, at its own tempo or another."""
        from services.generator.backends.composer.midi import midi_bytes
        from shared.units import Bpm

        return midi_bytes(self.part if bpm is None else replace(self.part, bpm=Bpm(bpm)))

    def stems(self, one: Audio, progress: Callable[[float], None] | None = None) -> dict[str, Audio]:
        """Each part of what is saved, by name: as long as ``one`` and together as loud, before the mastering.

        Parameters
        ----------
        one : float32 [shape=(frames, 2)]
            What is saved; the parts begin where it begins.

        Raises
        ------
        InfiniLoopError
            The recipe gives other music on this machine now.
        """
        from services.controller.saving.music import one_pass

        begin = self.loop.source_start

        def cut(audio: Audio) -> Audio:
            return one_pass(audio[begin : begin + self.loop.frames], self.loop, self.section)

        return taken_apart(self.score, one, cut, progress=progress)


def recompose(loop: Loop, section: Section | None, paths: Paths, what: str) -> Composition:
    """The score of a composed loop.

    Parameters
    ----------
    what : is wanted of it, for the sentence that says why there is none

    Raises
    ------
    UsageError
        Nobody has written this loop down.
    InfiniLoopError
        It was composed by another version.
    """
    recipe = loop.recipe
    if recipe is None or recipe.backend != "composer":
        maker = recipe.backend if recipe is not None else "This loop's maker"
        raise UsageError(f"{maker} has no {what}, only the composer's loops have: leave --{what} out.")
    score = score_of(recipe, paths, what)
    bars = [part.bars for part in loop.sections] or ([loop.bars] if loop.bars else [])
    if [part.bars for part in score.sections] != bars:
        raise InfiniLoopError(_CHANGED.format(what=_WHAT[what]))
    return Composition(loop, section, score)


def score_of(recipe: Recipe, paths: Paths, what: str) -> Score:
    """The score that a recipe of the composer's stands for.

    Raises
    ------
    InfiniLoopError
        Another version wrote it.
    """
    from services.generator.backends.composer.compose import compose
    from services.generator.backends.composer.recipes import plan_in
    from services.generator.backends.composer.style import with_folder

    styles = with_folder(paths.config / "styles").styles
    plan = plan_in(recipe, styles)
    if plan is None:
        raise InfiniLoopError(_CHANGED.format(what=_WHAT[what]))
    return compose(plan, styles[plan.style])


def taken_apart(
    score: Score,
    one: Audio,
    cut: Callable[[Audio], Audio] | None = None,
    *,
    rate: int = STATION_RATE,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Audio]:
    """Each part of a rendered score, by name: as long as ``one`` and together as loud, before the mastering.

    Parameters
    ----------
    one : float32 [shape=(frames, 2)]
        What the score sounded like.
    cut : takes from the whole piece what ``one`` is of it; all of it, if left out

    Raises
    ------
    InfiniLoopError
        The score gives other music on this machine now.
    """
    from services.generator.backends.composer.sound.render import render_piece

    piece = render_piece(score, rate, stems=True, progress=progress)
    made = cut(piece.samples) if cut is not None else piece.samples
    if made.shape != one.shape or not _same_music(made, one):
        raise InfiniLoopError(_CHANGED.format(what=_WHAT["stems"]))
    stems = {name: cut(stem) if cut is not None else stem for name, stem in piece.stems.items()}
    return _as_loud(stems, one)


def _same_music(made: Audio, one: Audio) -> bool:
    """Whether both are the same but for a gain and the rounding to the grid."""
    power = float(np.vdot(made, made))
    gain = float(np.vdot(made, one)) / power if power else 0.0
    return bool(np.abs(made * np.float32(gain) - one).max(initial=0.0) <= 8 * _GRID)


def _as_loud(stems: dict[str, Audio], one: Audio) -> dict[str, Audio]:
    """All with one gain: their sum as loud as the loop, and none of them over −1 dBFS."""
    from shared.audio_files import snap_to_grid

    total = np.zeros(one.shape)
    for stem in stems.values():
        total += stem
    power, wanted = float(np.vdot(total, total)), float(np.vdot(one, one))
    peak = max((float(np.abs(stem).max(initial=0.0)) for stem in stems.values()), default=0.0)
    gain = min(np.sqrt(wanted / power) if power else 1.0, _PEAK / peak if peak else 1.0)
    return {name: snap_to_grid(stem * np.float32(gain)) for name, stem in stems.items()}
