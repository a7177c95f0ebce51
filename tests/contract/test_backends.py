"""What every backend keeps to, whatever makes its music: one suite for all of them.

The composer is itself; MusicGen runs a tiny checkpoint of the true structure; MusicGPT is a stand-in program with the
same command line, terminal output and files.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest

from services.generator.backend import Backend, BatchingBackend, ClipFacts, JobControl
from services.generator.registry import BACKENDS
from shared.errors import BackendError, Cancelled, InfiniLoopError, JobRefused, UsageError
from shared.messages import Capabilities, Job, Ready, decode, encode
from shared.music import Recipe
from shared.paths import Paths
from shared.settings.generator import GeneratorSettings
from shared.units import Audio
from tests.golden.musicgen_checkpoint import CASES, write_checkpoint
from tests.pipeline.generating import STAND_IN, with_musicgpt

OBEYS_WITHIN_S = 0.5
"""The service kills a child that goes on longer than this."""
SECONDS = 4.0


@dataclass
class Told:
    """Everything that a job reported."""

    steps: list[tuple[float, str]] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    cancel_from: float | None = None
    cancelled_at: float = 0.0
    cancelled_at_cpu: float = 0.0

    def control(self) -> JobControl:
        return JobControl(report=self._report, cancelled=self.cancelled.is_set)

    def _report(self, fraction: float, stage: str) -> None:
        self.steps.append((fraction, stage))
        if self.cancel_from is not None and fraction >= self.cancel_from and not self.cancelled.is_set():
            self.cancelled_at, self.cancelled_at_cpu = time.monotonic(), time.process_time()
            self.cancelled.set()


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """One home for the whole suite, so that models are loaded once."""
    made = Paths.under(tmp_path_factory.mktemp("contract") / "home")
    made.create()
    return made


@pytest.fixture(scope="module", params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest, paths: Paths) -> Iterator[Backend]:
    """Each backend of the registry, with what it needs in place."""
    settings = GeneratorSettings(musicgpt=str(STAND_IN))
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in with_musicgpt(paths).items():
            patch.setenv(variable, value)
        for variable in ("HF_HOME", "HF_HUB_CACHE"):
            patch.setenv(variable, str(paths.data / "hub"))
        if request.param == "musicgen":
            write_checkpoint(paths.models / "small" / "source", CASES["mono"])
        built = BACKENDS[request.param](paths, settings)
        yield built
        built.unload()


def job(prompt: str = "calm piano", **changes: object) -> Job:
    fields: dict[str, object] = {"job_id": "job-1", "token": "t", "epoch": 3, "prompt": prompt, "seconds": SECONDS}
    return Job(**(fields | changes))  # type: ignore[arg-type]


def take(backend: Backend, wanted: Job, told: Told | None = None) -> tuple[Audio, int, ClipFacts]:
    generation = backend.generate(wanted, (told or Told()).control())
    blocks = list(generation.blocks)
    for block in blocks:
        assert block.dtype == np.float32
        assert block.ndim == 2
        assert block.shape[1] == generation.channels
    samples = np.concatenate(blocks)
    assert np.isfinite(samples).all()
    return samples, generation.sample_rate, generation.facts()


def test_it_has_the_name_under_which_it_is_registered(backend: Backend) -> None:
    assert backend.name in BACKENDS
    assert backend.capabilities().backend == backend.name


def test_what_it_can_do_is_complete_and_travels(backend: Backend) -> None:
    able = backend.capabilities()
    assert able.available, able.reason
    assert able.reason == ""
    assert "clip" in able.kinds
    assert 0 < able.min_seconds < able.max_seconds
    assert able.code_licence
    assert (able.weights_licence is None) == (backend.name == "composer")
    ready = Ready(worker="w", capabilities=(able,))
    assert decode(encode(ready)) == ready


def test_a_clip_is_sound_in_the_announced_format(backend: Backend) -> None:
    samples, rate, _ = take(backend, job())
    able = backend.capabilities()
    assert rate == able.sample_rate
    assert samples.shape[1] == able.channels
    assert np.abs(samples).max() > 1e-4


def test_a_clip_has_the_asked_length_or_is_the_nearest_whole_loop(backend: Backend) -> None:
    samples, rate, facts = take(backend, job())
    if facts.truth is None:
        assert abs(len(samples) / rate - SECONDS) <= 1 / rate
    else:
        assert 0 <= facts.truth.loop_start < facts.truth.loop_end <= len(samples)
        assert 0.75 * SECONDS <= len(samples) / rate <= 1.5 * SECONDS


def test_the_recipe_says_what_it_is_and_who_made_it(backend: Backend) -> None:
    _, _, facts = take(backend, job("slow strings", seed=11))
    recipe, able = facts.recipe, backend.capabilities()
    assert recipe.prompt == "slow strings"
    assert recipe.backend == backend.name
    assert recipe.disclosure
    assert recipe.weights_licence == able.weights_licence
    assert (recipe.model is None) == (not able.models)
    assert recipe.seed == (11 if able.seed_control else None)
    assert decode_recipe(recipe) == recipe


def decode_recipe(recipe: Recipe) -> Recipe:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(recipe), type=Recipe)


def test_progress_rises_and_is_told_in_words(backend: Backend) -> None:
    told = Told()
    take(backend, job(), told)
    assert told.steps
    assert all(0.0 <= fraction <= 1.0 and stage for fraction, stage in told.steps)
    by_stage: dict[str, list[float]] = {}
    for fraction, stage in told.steps:
        by_stage.setdefault(stage, []).append(fraction)
    for fractions in by_stage.values():
        assert fractions == sorted(fractions)
    assert max(fraction for fraction, _ in told.steps) > 0.5


def test_the_same_seed_makes_the_same_clip_and_another_seed_another(backend: Backend) -> None:
    if not backend.capabilities().seed_control:
        assert take(backend, job(seed=5))[2].recipe.seed is None
        return
    first, *_ = take(backend, job(seed=5))
    again, *_ = take(backend, job(seed=5, job_id="job-2"))
    other, *_ = take(backend, job(seed=6, job_id="job-3"))
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


@pytest.mark.parametrize("cancel_from", [0.0, 0.3])
def test_a_job_that_is_called_back_ends_at_once_and_the_next_is_made(backend: Backend, cancel_from: float) -> None:
    take(backend, job(job_id="job-0"))  # loaded and warm, as between two jobs of a station
    told = Told(cancel_from=cancel_from)
    with pytest.raises(Cancelled):
        take(backend, job(seconds=backend.capabilities().min_seconds + 8), told)
    # Wall clock on a machine that is busy with other things says little; the program's own end does take a while.
    assert time.process_time() - told.cancelled_at_cpu < OBEYS_WITHIN_S / 2
    assert time.monotonic() - told.cancelled_at < 20 * OBEYS_WITHIN_S
    assert len(take(backend, job(job_id="job-2"))[0])


def test_a_job_that_was_called_back_before_it_began_makes_nothing(backend: Backend) -> None:
    told = Told()
    told.cancelled.set()
    with pytest.raises(Cancelled):
        take(backend, job(), told)


@pytest.mark.parametrize("prompt", ["--help", "-", "雨の夜、静かなピアノ", "a" * 2_000, "{100%} $HOME `x`", "exit"])
def test_any_words_are_a_prompt(backend: Backend, prompt: str) -> None:
    samples, _, facts = take(backend, job(prompt, seconds=2.0))
    assert len(samples)
    assert facts.recipe.prompt == prompt


@pytest.mark.parametrize("wanted", [{"seconds": 100_000.0}, {"seconds": 0.01}])
def test_what_it_cannot_do_is_refused_in_one_sentence(backend: Backend, wanted: dict[str, float]) -> None:
    with pytest.raises(JobRefused) as refused:
        take(backend, job(**wanted))
    assert_one_sentence(refused.value)


def test_an_unknown_model_is_refused_in_one_sentence(backend: Backend) -> None:
    if not backend.capabilities().models:
        return
    with pytest.raises((BackendError, UsageError)) as refused:
        take(backend, job(model="gigantic"))
    assert_one_sentence(refused.value)


def assert_one_sentence(error: InfiniLoopError) -> None:
    words = str(error)
    assert words.endswith(".")
    assert "\n" not in words
    assert 20 < len(words) < 400


def test_several_at_once_are_each_their_own(backend: Backend) -> None:
    most = backend.capabilities().batch
    assert isinstance(backend, BatchingBackend) == (most > 1)
    if not isinstance(backend, BatchingBackend):
        return
    jobs = [job(job_id=f"batch-{number}", seed=number) for number in range(most)]
    generations, work = backend.generate_many(jobs, Told().control())
    for _ in work:
        pass
    clips = [np.concatenate(list(generation.blocks)) for generation in generations]
    assert {clip.shape for clip in clips} == {clips[0].shape}
    assert len({clip.tobytes() for clip in clips}) == most
    assert [generation.facts().recipe.seed for generation in generations] == list(range(most))
    for wrong in ([job(), job("loud rock", job_id="job-2")], [job(job_id=f"j{n}") for n in range(most + 1)]):
        with pytest.raises(JobRefused) as refused:
            backend.generate_many(wrong, Told().control())
        assert_one_sentence(refused.value)


def test_a_stream_gives_sound_while_the_rest_is_made(backend: Backend) -> None:
    if "stream" not in backend.capabilities().kinds:
        return
    told = Told()
    generation = backend.generate(job(seconds=6.0), told.control())
    blocks, heard = iter(generation.blocks), 0
    while heard < generation.sample_rate:
        heard += len(next(blocks))
    assert told.steps[-1][0] < 0.5
    # Whoever has heard enough lets go; the next job is made as if nothing had been.
    getattr(blocks, "close", lambda: None)()
    assert len(take(backend, job(job_id="job-2"))[0])


def test_it_works_again_after_it_gave_its_memory_back(backend: Backend) -> None:
    take(backend, job())
    backend.unload()
    assert len(take(backend, job(job_id="job-2"))[0])


def test_nothing_but_what_belongs_to_the_clip_is_left_in_the_cache(backend: Backend, paths: Paths) -> None:
    before = set(paths.clips.iterdir())
    _, _, facts = take(backend, job(job_id="job-9"))
    assert {path for path in paths.clips.iterdir() if path not in before} <= {facts.codes_path}


def test_looking_at_it_is_quick_and_changes_nothing(backend: Backend) -> None:
    first = backend.capabilities()
    began = time.process_time()
    again: list[Capabilities] = [backend.capabilities() for _ in range(5)]
    assert (time.process_time() - began) / 5 < 0.1
    assert again == [first] * 5
