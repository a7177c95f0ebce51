"""The embedded composer as a backend: prompt and seed in, an exact loop and the truth about it out."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from services.generator.backend import ClipFacts, Generation, JobControl
from services.generator.backends.composer.compose import compose
from services.generator.backends.composer.midi import midi_bytes
from services.generator.backends.composer.plan import MAX_SECONDS, MIN_SECONDS
from services.generator.backends.composer.recipes import plan_of, recipe_of
from services.generator.backends.composer.score import Score
from services.generator.backends.composer.style import Shelf, Style, with_folder
from services.generator.backends.composer.truth import truth_of
from shared.errors import BackendError, JobRefused
from shared.messages import Capabilities, Job
from shared.units import STATION_CHANNELS, STATION_RATE, Audio

if TYPE_CHECKING:
    from services.generator.backends.composer.sound.render import RenderedPiece

_BLOCK: Final = 48_000


class ComposerBackend:
    """Composes and renders on this machine: no model, no download, no network.

    Parameters
    ----------
    sample_rate
        Of the clips, in hertz.
    styles_folder
        The listener's own styles, beside those that come with the station.
    """

    def __init__(self, sample_rate: int = STATION_RATE, styles_folder: Path | None = None) -> None:
        self._sample_rate = sample_rate
        self._folder = styles_folder
        self._shelf: Shelf | None = None

    @property
    def name(self) -> str:
        return "composer"

    def capabilities(self) -> Capabilities:
        return Capabilities(
            backend=self.name,
            available=True,
            reason=" ".join(self._known().complaints),
            kinds=("clip", "continuation"),
            sample_rate=self._sample_rate,
            channels=STATION_CHANNELS,
            min_seconds=MIN_SECONDS,
            max_seconds=MAX_SECONDS,
            tempo_control=True,
            key_control=True,
            seed_control=True,
            exact_loops=True,
            score=True,
            weak_words=weak_words(self._known().styles),
            memory_mb=400.0,
        )

    def generate(self, job: Job, control: JobControl) -> Generation:
        """Compose at once, render as the blocks are taken.

        Raises
        ------
        JobRefused
            What was asked for cannot be composed; the sentence says what can.
        """
        seed = job.seed if job.seed is not None else secrets.randbelow(2**31)
        styles = self._known().styles
        plan = plan_of(job, seed, styles)
        if plan.seconds > MAX_SECONDS:
            raise JobRefused(
                f"{plan.bars} bars at {plan.bpm:g} bpm last {plan.seconds:.0f} s; up to {MAX_SECONDS:g} s are composed."
            )
        score = compose(plan, styles[plan.style])
        control.check()
        control.report(0.05, "composed")
        finished: list[ClipFacts] = []

        def blocks() -> Iterator[Audio]:
            piece = _rendered(score, self._sample_rate, control)
            for start in range(0, len(piece.samples), _BLOCK):
                control.check()
                yield piece.samples[start : start + _BLOCK]
            finished.append(
                ClipFacts(
                    recipe=recipe_of(job, seed, plan),
                    truth=truth_of(plan, score, piece.bounds),
                    midi=midi_bytes(score) if job.midi else None,
                )
            )

        return Generation(self._sample_rate, STATION_CHANNELS, blocks(), _facts(finished))

    def unload(self) -> None:
        self._shelf = None

    def _known(self) -> Shelf:
        if self._shelf is None:
            self._shelf = with_folder(self._folder)
        return self._shelf


def weak_words(styles: Mapping[str, Style]) -> tuple[str, ...]:
    """What asks for the styles that live by sampled instruments, where this machine has none."""
    from services.generator.backends.composer.sound.soundfont import find_library, find_soundfont

    if find_soundfont() is not None and find_library() is not None:
        return ()
    weak = (style.data.words for style in styles.values() if style.data.without_soundfont == "weakly")
    return tuple(sorted({word for words in weak for word in words}))


def _rendered(score: Score, sample_rate: int, control: JobControl) -> RenderedPiece:
    # Rendering brings numpy's heavier relatives along; composing alone (plans, MIDI) does not need them.
    from services.generator.backends.composer.sound.render import let_go, render_piece

    def progress(fraction: float) -> None:
        control.report(0.05 + 0.95 * fraction, "rendering")

    try:
        return render_piece(score, sample_rate, progress=progress, cancelled=control.cancelled)
    finally:
        # The next piece is in another key and tempo, and would find little of it.
        let_go()


def _facts(finished: list[ClipFacts]) -> Callable[[], ClipFacts]:
    def facts() -> ClipFacts:
        if not finished:
            raise BackendError("The clip is not finished; take all of its blocks before asking for its facts.")
        return finished[0]

    return facts
