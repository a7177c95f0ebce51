"""The composer as a backend: what its clips are, and what it knows of them."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from services.generator.backend import ClipFacts, Generation, JobControl
from services.generator.backends.composer.backend import ComposerBackend
from services.generator.backends.composer.compose import compose
from services.generator.backends.composer.plan import Plan
from services.generator.backends.composer.recipes import DISCLOSURE, plan_in, plan_of, recipe_of
from services.generator.backends.composer.relation import Events, events, overlap
from services.generator.backends.composer.score import Score
from services.generator.backends.composer.style import builtin
from shared.errors import BackendError, Cancelled
from shared.messages import Job
from shared.music import Recipe
from shared.units import Audio

RATE = 24_000
"""Half the station's, for half the work."""


def job(prompt: str = "lo-fi", **fields: object) -> Job:
    return Job(**{"job_id": "j", "token": "t", "epoch": 0, "prompt": prompt, "seed": 5, **fields})  # type: ignore[arg-type]


def short(**fields: object) -> Job:
    """A bar of music, a second long."""
    return job("chiptune", **{"bars": 1, "bpm": 240.0, **fields})


def make(wanted: Job, control: JobControl | None = None) -> tuple[Audio, ClipFacts]:
    generation: Generation = ComposerBackend(RATE).generate(wanted, control or JobControl())
    samples = np.concatenate(list(generation.blocks))
    return samples, generation.facts()


@pytest.fixture(scope="module")
def clip() -> tuple[Audio, ClipFacts]:
    return make(job(bars=1, bpm=240.0, key="D minor", piece=True, midi=True))


def test_a_clip_is_as_long_as_its_truth_to_the_sample(clip: tuple[Audio, ClipFacts]) -> None:
    samples, facts = clip
    assert samples.dtype == np.float32
    assert samples.shape == (5 * 4 * 6_000, 2)
    truth = facts.truth
    assert truth is not None
    assert (truth.loop_start, truth.loop_end) == (0, len(samples))
    assert (truth.bpm, truth.key, truth.meter, truth.beats_per_bar, truth.bars) == (240.0, "D minor", "4/4", 4, 5)
    assert [(section.label, section.start, section.end) for section in truth.sections] == [
        ("A", 0, 24_000),
        ("A'", 24_000, 48_000),
        ("B", 48_000, 72_000),
        ("break", 72_000, 96_000),
        ("fill", 96_000, 120_000),
    ]
    assert truth.grid is not None
    assert truth.grid.beats == tuple(range(0, 120_000, 6_000))
    assert truth.grid.downbeats == truth.grid.beats[::4]
    assert truth.chords[0].frame == 0


def test_it_says_what_it_is(clip: tuple[Audio, ClipFacts]) -> None:
    _, facts = clip
    assert facts.recipe.disclosure == DISCLOSURE
    assert "no AI model" in facts.recipe.disclosure
    assert facts.recipe.plan == "lo-fi · 240 bpm · D minor · 4/4 · 1 bar · A A' B break fill"
    assert facts.recipe.seed == 5
    assert facts.recipe.style == "lo-fi"
    assert facts.midi is not None
    assert facts.midi.startswith(b"MThd")


def test_the_same_job_gives_the_same_bytes_and_another_seed_does_not() -> None:
    first, again, other = (make(short(seed=seed))[0] for seed in (5, 5, 6))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_a_continuation_keeps_tempo_and_key_and_develops_the_theme() -> None:
    composer, control = ComposerBackend(RATE), JobControl()
    first = composer.generate(short(), control)
    heard = np.concatenate(list(first.blocks))
    recipe = first.facts().recipe
    later = composer.generate(job("chiptune", bars=1, seed=77, parent_clip="j", parent_recipe=recipe), control)
    developed = np.concatenate(list(later.blocks))
    before, after = first.facts().truth, later.facts().truth
    assert before is not None
    assert after is not None
    assert before.bpm == 240.0
    assert (before.bpm, before.key, before.meter) == (after.bpm, after.key, after.meter)
    assert heard.tobytes() != developed.tobytes()
    again = composer.generate(job("chiptune", bars=1, parent_clip="j", parent_recipe=later.facts().recipe), control)
    list(again.blocks)
    assert again.facts().recipe.options["development"] == 2
    assert (again.facts().recipe.plan or "").endswith("continued")


def continued(prompt: str, parent: Plan, **fields: object) -> Plan:
    """The plan of a job that goes on from a clip of this plan, through its recipe on the wire."""
    recipe = msgspec.json.decode(msgspec.json.encode(recipe_of(job(parent_words(parent)), 5, parent)), type=Recipe)
    return plan_of(job(prompt, seed=9, parent_clip="j", parent_recipe=recipe, **fields), 9, dict(builtin()))


def parent_words(parent: Plan) -> str:
    return parent.seed_text.split("|")[0]


def test_a_recipe_holds_the_plan_whole() -> None:
    for prompt in ("lo-fi", "solo piano, dark, no drums", "jazz café 7/8 with flute and sax", "東京 🎵"):
        plan = plan_of(job(prompt), 5, dict(builtin()))
        recipe = msgspec.json.decode(msgspec.json.encode(recipe_of(job(prompt), 5, plan)), type=Recipe)
        assert plan_in(recipe, builtin()) == plan
        assert plan_in(recipe, {}) is None
    assert plan_in(Recipe(prompt="lo-fi", backend="musicgen"), builtin()) is None


@pytest.mark.parametrize(("style", "song"), [("deep-house", True), ("calm-piano", False), ("sleep-drone", True)])
def test_generation_after_generation_is_kin_to_the_one_before(style: str, song: bool) -> None:
    styles = dict(builtin())
    name = styles[style].name
    plan = plan_of(job(name, piece=song), 5, styles)
    before = compose(plan, styles[style])
    for _ in range(3):
        plan = continued(name, plan, piece=song)
        after = compose(plan, styles[style])
        assert (after.bpm, after.tonic, after.mode, after.meter) == (
            before.bpm,
            before.tonic,
            before.mode,
            before.meter,
        )
        kinship = overlap(section_events(after, 0), section_events(before, 0))
        assert 0.5 <= kinship <= 0.9
        if song:
            assert overlap(section_events(after, 1), section_events(before, 2)) < 0.9
        before = after


def section_events(score: Score, index: int) -> Events:
    return events({part.name: part.notes for part in score.sections[index].parts})


def test_a_nudged_continuation_changes_what_the_new_words_say() -> None:
    styles = dict(builtin())
    first = plan_of(job("house", seed=3, bpm=124.0, key="C minor"), 3, styles)
    same = continued("house", first)
    slower = continued("house, slower, no drums", first)
    other = continued("jazz", first)
    assert (same.bpm, same.key, same.seed_text, same.development) == (124.0, "C minor", "house|3", 1)
    assert slower.bpm < same.bpm
    assert (slower.key, slower.seed_text) == (same.key, same.seed_text)
    assert "role:drums" in slower.unwanted
    assert (other.style, other.tonic, other.seed_text) == ("jazz-cafe", same.tonic, same.seed_text)
    assert continued("house", first, bpm=100.0).bpm == 100.0
    assert continued("housewarming", first).seed_text == same.seed_text
    assert continued("house", same).development == 2


def test_what_cannot_be_gone_on_from_begins_anew() -> None:
    styles = dict(builtin())
    for parent in (Recipe(prompt="house", backend="musicgen"), Recipe(prompt="house", backend="composer")):
        assert plan_of(job("house", parent_recipe=parent), 5, styles) == plan_of(job("house"), 5, styles)


def test_without_a_seed_one_is_drawn_and_told() -> None:
    seeds = set()
    for _ in range(2):
        _, facts = make(short(seed=None))
        plan = plan_in(facts.recipe, builtin())
        assert plan is not None
        assert plan.seed_text == f"chiptune|{facts.recipe.seed}"
        seeds.add(facts.recipe.seed)
    assert len(seeds) == 2


def test_a_cancelled_job_stops_before_it_is_rendered() -> None:
    stop, said = [False], []
    control = JobControl(lambda _, stage: said.append(stage), lambda: stop[0])
    generation = ComposerBackend(RATE).generate(short(), control)
    stop[0] = True
    with pytest.raises(Cancelled):
        list(generation.blocks)
    assert said == ["composed"]


def test_a_cancelled_job_stops_between_two_blocks() -> None:
    stop = [False]
    generation = ComposerBackend(RATE).generate(short(bars=3), JobControl(cancelled=lambda: stop[0]))
    next(generation.blocks)
    stop[0] = True
    with pytest.raises(Cancelled):
        next(generation.blocks)


def test_facts_wait_for_the_last_block() -> None:
    with pytest.raises(BackendError, match="not finished"):
        ComposerBackend().generate(job(bars=1), JobControl()).facts()


def test_figures_out_of_range_are_a_backend_error_with_the_range() -> None:
    with pytest.raises(BackendError, match="20 to 400 bpm"):
        ComposerBackend().generate(job(bpm=7.0), JobControl())
