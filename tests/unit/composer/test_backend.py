"""The composer as a backend: what its clips are, and what it knows of them."""

from __future__ import annotations

import numpy as np
import pytest

from services.generator.backend import ClipFacts, Generation, JobControl
from services.generator.backends.composer.backend import DISCLOSURE, ComposerBackend, plan_of
from services.generator.backends.composer.style import builtin
from shared.errors import BackendError, Cancelled
from shared.messages import Job
from shared.music import Recipe
from shared.units import Audio


def job(prompt: str = "lo-fi", **fields: object) -> Job:
    return Job(**{"job_id": "j", "token": "t", "epoch": 0, "prompt": prompt, "seed": 5, **fields})  # type: ignore[arg-type]


def make(wanted: Job, control: JobControl | None = None) -> tuple[Audio, ClipFacts]:
    generation: Generation = ComposerBackend().generate(wanted, control or JobControl())
    samples = np.concatenate(list(generation.blocks))
    return samples, generation.facts()


@pytest.fixture(scope="module")
def clip() -> tuple[Audio, ClipFacts]:
    return make(job(bars=1, bpm=120.0, key="D minor", piece=True, midi=True))


def test_a_clip_is_as_long_as_its_truth_to_the_sample(clip: tuple[Audio, ClipFacts]) -> None:
    samples, facts = clip
    assert samples.dtype == np.float32
    assert samples.shape == (5 * 4 * 24_000, 2)
    truth = facts.truth
    assert truth is not None
    assert (truth.loop_start, truth.loop_end) == (0, len(samples))
    assert (truth.bpm, truth.key, truth.meter, truth.beats_per_bar, truth.bars) == (120.0, "D minor", "4/4", 4, 5)
    assert [(section.label, section.start, section.end) for section in truth.sections] == [
        ("A", 0, 96_000),
        ("A'", 96_000, 192_000),
        ("B", 192_000, 288_000),
        ("break", 288_000, 384_000),
        ("fill", 384_000, 480_000),
    ]
    assert truth.grid is not None
    assert truth.grid.beats == tuple(range(0, 480_000, 24_000))
    assert truth.grid.downbeats == truth.grid.beats[::4]
    assert truth.chords[0].frame == 0


def test_it_says_what_it_is(clip: tuple[Audio, ClipFacts]) -> None:
    _, facts = clip
    assert facts.recipe.disclosure == DISCLOSURE
    assert "no AI model" in facts.recipe.disclosure
    assert facts.recipe.plan == "lo-fi · 120 bpm · D minor · 4/4 · 1 bar · A A' B break fill"
    assert facts.recipe.seed == 5
    assert facts.recipe.style == "lo-fi"
    assert facts.midi is not None
    assert facts.midi.startswith(b"MThd")


def test_the_same_job_gives_the_same_bytes_and_another_seed_does_not() -> None:
    wanted = job("chiptune", bars=1)
    first, _ = make(wanted)
    again, _ = make(wanted)
    other, _ = make(job("chiptune", bars=1, seed=6, bpm=float(140)))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_a_continuation_keeps_tempo_and_key_and_develops_the_theme() -> None:
    composer, control = ComposerBackend(), JobControl()
    first = composer.generate(job("chiptune", bars=1), control)
    heard = np.concatenate(list(first.blocks))
    recipe = first.facts().recipe
    later = composer.generate(job("chiptune", bars=1, seed=77, parent_clip="j", parent_recipe=recipe), control)
    developed = np.concatenate(list(later.blocks))
    before, after = first.facts().truth, later.facts().truth
    assert before is not None
    assert after is not None
    assert (before.bpm, before.key, before.meter) == (after.bpm, after.key, after.meter)
    assert heard.tobytes() != developed.tobytes()
    again = composer.generate(job("chiptune", bars=1, parent_clip="j", parent_recipe=later.facts().recipe), control)
    list(again.blocks)
    assert again.facts().recipe.options["development"] == 2
    assert (again.facts().recipe.plan or "").endswith("continued")


def test_a_nudged_continuation_changes_what_the_new_words_say() -> None:
    styles = dict(builtin())
    recipe = Recipe(prompt="house", backend="composer", seed=3, options={"bpm": 124.0, "key": "C minor"})
    same = plan_of(job("house", parent_clip="j", parent_recipe=recipe), 9, styles)
    slower = plan_of(job("house, slower, no drums", parent_clip="j", parent_recipe=recipe), 9, styles)
    other = plan_of(job("jazz", parent_clip="j", parent_recipe=recipe), 9, styles)
    assert (same.bpm, same.key, same.seed_text) == (124.0, "C minor", "house|3")
    assert slower.bpm < same.bpm
    assert (slower.key, slower.seed_text) == (same.key, same.seed_text)
    assert "role:drums" in slower.unwanted
    assert (other.style, other.tonic, other.seed_text) == ("jazz-cafe", same.tonic, same.seed_text)
    assert plan_of(job("house", bpm=100.0, parent_clip="j", parent_recipe=recipe), 9, styles).bpm == 100.0


def test_without_a_seed_one_is_drawn_and_told() -> None:
    generation = ComposerBackend().generate(job("chiptune", bars=1, seed=None), JobControl())
    list(generation.blocks)
    assert generation.facts().recipe.seed is not None


def test_a_cancelled_job_stops() -> None:
    stop = [False]
    generation = ComposerBackend().generate(job("chiptune", bars=2), JobControl(cancelled=lambda: stop[0]))
    stop[0] = True
    with pytest.raises(Cancelled):
        list(generation.blocks)


def test_facts_wait_for_the_last_block() -> None:
    with pytest.raises(BackendError, match="not finished"):
        ComposerBackend().generate(job(bars=1), JobControl()).facts()


def test_figures_out_of_range_are_a_backend_error_with_the_range() -> None:
    with pytest.raises(BackendError, match="20 to 400 bpm"):
        ComposerBackend().generate(job(bpm=7.0), JobControl())
