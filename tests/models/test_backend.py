"""The backend on a tiny model: jobs in, sound and facts out."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.generator.backend import ClipFacts, JobControl
from services.generator.backends.musicgen import backend as module
from services.generator.backends.musicgen.backend import MusicGenBackend
from services.generator.backends.musicgen.conversion import Converted, Precision
from services.generator.backends.musicgen.decoder import Decoder
from services.generator.backends.musicgen.engine import Engine
from services.generator.backends.musicgen.runtime import Watch
from services.generator.models.store import ModelStore
from services.generator.wording import wording
from shared.codes import KeptCodes
from shared.errors import BackendError, BackendUnavailable, Cancelled, JobRefused
from shared.messages import Job
from shared.paths import Paths
from shared.settings.generator import GeneratorSettings
from tests.golden.musicgen_checkpoint import Plan, write_checkpoint

_number = itertools.count()


def a_job(**changes: object) -> Job:
    fields: dict[str, object] = {"job_id": f"job-{next(_number)}", "token": "t", "epoch": 1, "prompt": "calm piano"}
    return Job(**(fields | changes))  # type: ignore[arg-type]


Build = Callable[..., MusicGenBackend]


@pytest.fixture
def build(
    paths: Paths,
    tmp_path: Path,
    source: Callable[[str], Path],
    converted: Callable[[str, Precision], Converted],
) -> Iterator[Build]:
    """A backend whose models are tiny: ``small`` is mono, ``stereo-small`` stereo; ready but where ``new``."""
    built: list[MusicGenBackend] = []

    def make(*names: str, settings: GeneratorSettings | None = None, new: bool = False) -> MusicGenBackend:
        for name in names or ("small",):
            case = "stereo" if name.startswith("stereo") else "mono"
            if not (paths.models / name).exists():
                shutil.copytree(source(case), paths.models / name / "source")
                if not new:
                    shutil.copytree(converted(case, "int8").folder, paths.models / name / "int8")
        store = ModelStore(paths.models, tmp_path / "hub", tmp_path / "musicgpt")
        built.append(MusicGenBackend(paths, settings or GeneratorSettings(), store=store, threads=1))
        return built[-1]

    yield make
    for each in built:
        each.unload()


def run(backend: MusicGenBackend, job: Job, control: JobControl | None = None) -> tuple[np.ndarray, ClipFacts]:
    generation = backend.generate(job, control or JobControl())
    audio = np.concatenate(list(generation.blocks))
    assert audio.dtype == np.float32
    assert audio.shape[1] == generation.channels
    return audio, generation.facts()


@pytest.mark.parametrize(("model", "channels"), [("small", 1), ("stereo-small", 2)])
@pytest.mark.parametrize("seconds", [1.0, 2.3456])
def test_a_clip_has_the_asked_length_and_is_sound(build: Build, model: str, channels: int, seconds: float) -> None:
    audio, facts = run(build(model), a_job(model=model, seconds=seconds, seed=1))
    assert audio.shape == (round(seconds * 32_000), channels)
    assert np.isfinite(audio).all()
    assert np.abs(audio).max() > 1e-3
    assert facts.recipe.weights_licence == "CC-BY-NC 4.0"
    assert "AI-generated" in facts.recipe.disclosure
    assert facts.recipe.seed == 1


def test_the_same_seed_gives_the_same_clip_and_another_another(build: Build) -> None:
    backend = build()
    first, facts = run(backend, a_job(seconds=1, seed=7))
    backend.unload()
    again, _ = run(backend, a_job(seconds=1, seed=7))
    other, _ = run(backend, a_job(seconds=1, seed=8))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    unseeded, facts = run(backend, a_job(seconds=1))
    assert facts.recipe.seed is not None
    repeated, _ = run(backend, a_job(seconds=1, seed=facts.recipe.seed))
    assert np.array_equal(unseeded, repeated)


def test_the_prompt_is_heard(build: Build) -> None:
    backend = build()
    calm, _ = run(backend, a_job(seconds=1, seed=7))
    drums, _ = run(backend, a_job(seconds=1, seed=7, prompt="drums guitar"))
    assert not np.array_equal(calm, drums)
    assert wording(a_job(bpm=90.0, key="A minor", meter="3/4")) == "calm piano, 3/4 time. bpm: 90. key: a minor"


def test_sound_comes_while_the_rest_is_written(build: Build) -> None:
    fractions: list[float] = []
    control = JobControl(report=lambda fraction, stage: fractions.append(fraction) if stage == "composing" else None)
    generation = build().generate(a_job(seconds=4, seed=1), control)
    lengths, seen = [], []
    for block in generation.blocks:
        lengths.append(len(block))
        seen.append(fractions[-1])
    assert lengths[0] == 25 * 640
    assert seen[0] < 0.3
    assert max(lengths) <= 50 * 640
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_codes_are_kept_beside_the_clip(build: Build, paths: Paths) -> None:
    audio, facts = run(build(), a_job(job_id="kept", seconds=2, seed=3))
    assert facts.codes_path == paths.clips / "kept.npz"
    kept = KeptCodes.load(paths.clips / "kept.npz")
    assert kept.codes.shape == (4, 100)
    assert kept.seconds == pytest.approx(len(audio) / 32_000)


def test_a_continuation_grows_out_of_the_clip(build: Build, paths: Paths) -> None:
    backend = build()
    run(backend, a_job(job_id="parent", seconds=3, seed=3))
    child, facts = run(backend, a_job(job_id="child", seconds=2, seed=4, parent_clip="parent", splice_s=1.51))
    assert len(child) == 2 * 32_000
    assert facts.recipe.parent_clip == "parent"
    assert facts.recipe.splice_s == pytest.approx(1.50)
    kept, grown = KeptCodes.load(paths.clips / "parent.npz"), KeptCodes.load(paths.clips / "child.npz")
    assert np.array_equal(grown.codes[:, :75], kept.codes[:, :75])
    assert grown.codes.shape[1] == 75 + 100
    assert grown.start == 75 * 640
    grandchild, facts = run(backend, a_job(seconds=1, seed=5, parent_clip="child", splice_s=1.0))
    assert facts.recipe.splice_s == pytest.approx(1.0)
    assert len(grandchild) == 32_000
    # No break: the child's sound is the one that its codes make together with the parent's.
    assert_sounds_as(backend, grown.codes, 75 * 640, child)


def test_a_continuation_may_begin_at_a_frame_of_the_loop(build: Build, paths: Paths) -> None:
    backend = build()
    run(backend, a_job(job_id="parent", seconds=3, seed=3))
    with pytest.raises(JobRefused, match="has no loop yet"):
        run(backend, a_job(seconds=1, parent_clip="parent", splice_frame=24_000))
    kept = KeptCodes.load(paths.clips / "parent.npz")
    kept.cut(16_000, 80_000, 96_000).save(paths.clips / "parent.npz")
    # Half a second into the loop, which begins half a second into the clip.
    _, facts = run(backend, a_job(seconds=1, seed=4, parent_clip="parent", splice_frame=24_000))
    assert facts.recipe.splice_s == pytest.approx(1.0)


def assert_sounds_as(backend: MusicGenBackend, codes: np.ndarray, start: int, audio: np.ndarray) -> None:
    """The audio is what the codes decode to as a whole; only the last frames hear what was thrown away after them."""
    assert backend._engine is not None
    ear = backend._engine.future.result().listen(1)
    ear.hear(codes[None])
    whole = ear.finish()[0][start:]
    assert len(whole) == len(audio)
    sure = len(audio) - 5 * 640
    assert np.abs(whole[:sure] - audio[:sure]).max() < 1e-5


def test_a_long_piece_is_written_in_windows_without_a_break(build: Build, paths: Paths) -> None:
    backend = build()
    audio, _ = run(backend, a_job(job_id="long", seconds=40, seed=3))
    assert len(audio) == 40 * 32_000
    kept = KeptCodes.load(paths.clips / "long.npz")
    assert_sounds_as(backend, kept.codes, 0, audio)


def test_clips_made_at_once_are_each_their_own(build: Build, paths: Paths) -> None:
    backend = build()
    # ONNX Runtime multiplies rows two by two; where their number is odd, the last one is rounded otherwise.
    jobs = [a_job(seconds=2, seed=seed) for seed in (1, 2, 2, 1)]
    generations, work = backend.generate_many(jobs, JobControl())
    for _ in work:
        pass
    clips = [np.concatenate(list(each.blocks)) for each in generations]
    assert all(clip.shape == (64_000, 1) for clip in clips)
    assert not np.array_equal(clips[0], clips[1])
    assert np.array_equal(clips[1], clips[2])
    assert np.array_equal(clips[0], clips[3])
    assert [each.facts().recipe.seed for each in generations] == [1, 2, 2, 1]
    assert all((paths.clips / f"{job.job_id}.npz").is_file() for job in jobs)
    with pytest.raises(BackendError, match="one prompt"):
        backend.generate_many([a_job(), a_job(prompt="drums")], JobControl())


def test_a_job_that_is_called_back_takes_at_most_the_step_it_is_in(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = build()
    run(backend, a_job(seconds=1, seed=1))
    called_back, steps_after = threading.Event(), []
    real = Decoder.step

    def counted(self: Decoder, *arguments: Any) -> Any:
        if called_back.is_set():
            steps_after.append(1)
        return real(self, *arguments)

    monkeypatch.setattr(Decoder, "step", counted)
    generation = backend.generate(a_job(seconds=30, seed=1), JobControl(cancelled=called_back.is_set))
    next(generation.blocks)
    called_back.set()
    with pytest.raises(Cancelled):
        list(generation.blocks)
    assert len(steps_after) <= 1
    audio, _ = run(backend, a_job(seconds=1, seed=1))
    assert len(audio) == 32_000


def test_a_long_run_is_broken_off_within_a_tenth_of_a_second(
    converted: Callable[[str, Precision], Converted],
) -> None:
    called_back: list[float] = []

    def cancelled() -> bool:
        return bool(called_back)

    engine = Engine(converted("mono", "fp32"), 1)
    timer = threading.Timer(0.05, lambda: called_back.append(time.process_time()))
    timer.start()
    codes = np.zeros((1, 4, 1900), np.int64)
    engine._decoder.begin(engine.cross_states("calm", Watch(lambda: False)), 1, 1901)

    def for_ever() -> None:
        with Watch(cancelled).options() as options:
            while True:
                engine._decoder.position = 0
                engine._decoder.prefill(codes, options)

    with pytest.raises(Cancelled):
        for_ever()
    timer.join()
    assert time.process_time() - called_back[0] < 0.1


def test_cancelling_while_the_model_loads_keeps_what_is_loaded(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = build()
    run(backend, a_job(seconds=1))
    backend.unload()
    loading, go_on = threading.Event(), threading.Event()
    real, built = module.Engine, []

    def slow(*arguments: object) -> object:
        loading.set()
        assert go_on.wait(10)
        built.append(1)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "Engine", slow)
    with pytest.raises(Cancelled):
        backend.generate(a_job(seconds=1), JobControl(cancelled=loading.is_set))
    go_on.set()
    run(backend, a_job(seconds=1))
    assert len(built) == 1


def test_a_cancelled_conversion_leaves_nothing_and_the_next_job_makes_it(build: Build, paths: Paths) -> None:
    backend = build(new=True)
    calls = itertools.count()
    with pytest.raises(Cancelled):
        backend.generate(a_job(seconds=1), JobControl(cancelled=lambda: next(calls) > 2))
    assert [path.name for path in (paths.models / "small").iterdir() if path.is_dir()] == ["source"]
    run(backend, a_job(seconds=1))
    assert (paths.models / "small" / "int8" / "manifest.json").is_file()


def test_a_replaced_checkpoint_is_converted_anew(build: Build, paths: Paths) -> None:
    backend = build()
    first, _ = run(backend, a_job(seconds=1, seed=1))
    write_checkpoint(paths.models / "small" / "source", Plan(seed=9))
    second, _ = run(backend, a_job(seconds=1, seed=1))
    assert not np.array_equal(first, second)


def test_preparing_the_model_is_not_generation_time(build: Build) -> None:
    backend = build(new=True)
    _, first = run(backend, a_job(seconds=1))
    _, second = run(backend, a_job(seconds=1))
    assert first.download_s > 0
    assert second.download_s == 0


def test_the_model_works_without_its_source(build: Build, paths: Paths) -> None:
    backend = build()
    first, _ = run(backend, a_job(seconds=1, seed=1))
    ModelStore(paths.models).delete_source("small")
    again, _ = run(build.__call__("stereo-small"), a_job(seconds=1, seed=1, model="small"))
    assert np.array_equal(first, again)


def test_capabilities_are_honest_and_light(build: Build, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = build()
    can = backend.capabilities()
    assert can.available
    assert can.models == ("small",)
    assert can.kinds == ("clip", "continuation", "stream")
    assert can.real_time_factor is None
    run(backend, a_job(seconds=1))
    can = backend.capabilities()
    assert can.real_time_factor is not None
    assert can.real_time_factor > 0
    assert can.memory_mb is not None
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "onnxruntime" else real(name, *rest)
    )
    assert "pip install 'infiniloop[musicgen]'" in backend.capabilities().reason
    with pytest.raises(BackendUnavailable, match="infiniloop\\[musicgen\\]"):
        backend.generate(a_job(), JobControl())


def test_without_a_model_the_sentence_says_what_to_do(paths: Paths, tmp_path: Path) -> None:
    backend = MusicGenBackend(paths, GeneratorSettings(), store=ModelStore(paths.models, tmp_path, tmp_path))
    assert not backend.capabilities().available
    assert "infiniloop models download small" in backend.capabilities().reason
    with pytest.raises(BackendUnavailable, match="infiniloop models download small"):
        backend.generate(a_job(), JobControl())


def test_weights_that_are_cut_short_cannot_be_used_and_the_sentence_says_so(build: Build, paths: Paths) -> None:
    backend = build()
    weights = paths.models / "small" / "source" / "model.safetensors"
    whole = weights.stat().st_size
    os.truncate(weights, whole - 1)
    can = backend.capabilities()
    assert not can.available
    assert can.reason.startswith(f"model.safetensors is cut short ({whole - 1} bytes where {whole} belong)")
    with pytest.raises(BackendError, match="cut short"):
        backend.generate(a_job(), JobControl())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"seconds": 0.5}, "1 to 300 s"),
        ({"seconds": 301.0}, "1 to 300 s"),
        ({"model": "huge"}, "choose one of small"),
        ({"model": "medium"}, "infiniloop models download medium"),
        ({"parent_clip": "gone"}, "its codes are gone"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_sentence(
    build: Build, changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(BackendError, match=sentence) as caught:
        build().generate(a_job(**changes), JobControl())
    assert "\n" not in str(caught.value)


def test_a_clip_of_another_model_or_beyond_the_end_is_not_continued(build: Build) -> None:
    backend = build("small", "stereo-small")
    run(backend, a_job(job_id="mono", seconds=1))
    with pytest.raises(BackendError, match="cannot continue"):
        backend.generate(a_job(model="stereo-small", parent_clip="mono"), JobControl())
    with pytest.raises(BackendError, match="choose a point between"):
        list(backend.generate(a_job(seconds=1, parent_clip="mono", splice_s=5.0), JobControl()).blocks)


def test_bars_at_a_tempo_are_a_length(build: Build) -> None:
    audio, _ = run(build(), a_job(bars=2, bpm=120.0, meter="3/4"))
    assert len(audio) == 3 * 32_000


def test_a_prompt_like_an_option_is_words(build: Build) -> None:
    audio, _ = run(build(), a_job(prompt="--help", seconds=1))
    assert len(audio) == 32_000


def test_a_prompt_of_two_thousand_characters_is_heard_to_its_limit(build: Build) -> None:
    audio, _ = run(build(), a_job(prompt="piano " * 333, seconds=1))
    assert len(audio) == 32_000
