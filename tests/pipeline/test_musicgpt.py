"""MusicGPT, tried with a stand-in that has the same command line, terminal output and files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from services.generator.backend import JobControl
from services.generator.backends.musicgpt import backend as musicgpt
from services.generator.backends.musicgpt import installation
from services.generator.backends.musicgpt.backend import MusicGptBackend
from services.generator.backends.musicgpt.patience import SHORTEST_S, Patience
from services.generator.backends.musicgpt.screen import DOWNLOADING, GENERATING
from services.generator.models.consent import Consent
from shared.errors import BackendError, BackendUnavailable, Cancelled, JobRefused
from shared.messages import Job
from shared.paths import Paths
from shared.settings.generator import GeneratorSettings

STAND_IN = Path(__file__).parents[1] / "stand_ins" / "musicgpt"
Build = Callable[..., MusicGptBackend]


@pytest.fixture
def build(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Build:
    """A backend whose program is the stand-in and whose data lie in a folder of their own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(paths.data / "own"))

    def make(*, present: bool = True, **changes: object) -> MusicGptBackend:
        settings = GeneratorSettings(
            **{"musicgpt": str(STAND_IN), **changes}  # type: ignore[arg-type]
        )
        found = installation.find(paths, settings)
        library = found.data / "dynlibs" / "1.20.1" / "onnxruntime-linux-x64-1.20.1" / "lib" / "libonnxruntime.so"
        for path in (library, *found.files("small")) if present else ():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return MusicGptBackend(paths, settings)

    return make


def job(prompt: str = "calm piano", **changes: object) -> Job:
    return Job(**{"job_id": "j1", "token": "t1", "epoch": 0, "prompt": prompt, "seconds": 2.0, **changes})  # type: ignore[arg-type]


def length(backend: MusicGptBackend, wanted: Job, control: JobControl | None = None) -> int:
    return sum(map(len, backend.generate(wanted, control or JobControl()).blocks))


@pytest.mark.parametrize("prompt", ["--help", "-", "--", "exit", "--secs 30", "雨の夜", "two\nlines\0of it"])
def test_any_prompt_is_a_prompt_and_never_an_option(build: Build, prompt: str) -> None:
    assert length(build(), job(prompt, seconds=1.5)) == 48_000


@pytest.mark.parametrize("seconds", [1.0, 2.25, 30.0])
def test_a_clip_is_as_long_as_was_asked(build: Build, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    assert length(build(), job(seconds=seconds)) == round(seconds * 32_000)


def test_bars_at_a_tempo_are_seconds(build: Build) -> None:
    assert length(build(), job(seconds=None, bars=2, bpm=160.0, meter="3/4")) == round(2 * 3 * 60 / 160 * 32_000)


@pytest.mark.parametrize("wanted", [{"seconds": 31.0}, {"seconds": 0.5}, {"seconds": None, "bars": 64, "bpm": 80.0}])
def test_what_it_cannot_do_is_refused_with_the_range(build: Build, wanted: dict[str, object]) -> None:
    with pytest.raises(JobRefused, match="1 to 30 s"):
        build().generate(job(**wanted), JobControl())


def test_a_missing_binary_is_said_with_its_remedy(build: Build) -> None:
    able = build(musicgpt="/no/such/musicgpt").capabilities()
    assert not able.available
    assert "/no/such/musicgpt" in able.reason
    assert "infiniloop set musicgpt" in able.reason


def test_nothing_is_downloaded_without_consent(build: Build, paths: Paths) -> None:
    backend = build(present=False)
    assert "model small" in backend.capabilities().reason
    with pytest.raises(BackendUnavailable, match="infiniloop models"):
        backend.generate(job(), JobControl())
    Consent(paths.models).remember("musicgpt:small", "yes")
    assert backend.capabilities().available
    offline = build(present=False, offline=True)
    assert "offline" in offline.capabilities().reason


def test_a_download_that_begins_all_the_same_is_ended(build: Build, paths: Paths) -> None:
    backend = build()
    for library in (paths.data / "own" / "musicgpt" / "dynlibs").rglob("*.so"):
        # The library of another version than this program's is there.
        library.rename(library.parent.parent.parent / library.name)
    with pytest.raises(BackendUnavailable, match="wanted to download"):
        length(backend, job())


def test_the_time_of_a_download_is_kept_apart(build: Build, paths: Paths) -> None:
    Consent(paths.models).remember("musicgpt:small", "yes")
    backend, stages = build(present=False), set()
    began = time.monotonic()
    generation = backend.generate(job(), JobControl(report=lambda _fraction, stage: stages.add(stage)))
    assert sum(map(len, generation.blocks)) == 64_000
    took = time.monotonic() - began
    assert {DOWNLOADING, GENERATING} <= stages
    assert 0.8 < generation.facts().download_s < took - 0.2
    assert backend.capabilities().available


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("exit one", "ended with code 1: Non-zero status code returned while running MatMul node"),
        ("exit one and chatty", "ended with code 1"),
        ("no file", "without a usable clip"),
        ("garbage file", "without a usable clip"),
    ],
)
def test_a_failing_program_is_one_sentence(build: Build, paths: Paths, prompt: str, words: str) -> None:
    with pytest.raises(BackendError, match=words) as failed:
        length(build(), job(prompt))
    assert "\n" not in str(failed.value)
    assert not list(paths.clips.iterdir())


def test_a_chatty_program_is_read_to_the_end(build: Build) -> None:
    assert length(build(), job("chatty")) == 64_000


@pytest.mark.parametrize("prompt", ["never returning", "stubborn", "never returning, child left behind"])
def test_a_cancelled_run_ends_with_everything_it_began(build: Build, prompt: str) -> None:
    cancelled = threading.Event()
    began: list[float] = []

    def report(_fraction: float, stage: str) -> None:
        if stage == GENERATING and not began:
            began.append(time.monotonic())
            cancelled.set()

    with pytest.raises(Cancelled):
        length(build(), job(prompt), JobControl(report=report, cancelled=cancelled.is_set))
    assert time.monotonic() - began[0] < 5.0  # half a second and a machine that is busy; it would go on for ever


def test_a_run_that_never_returns_is_ended_and_given_more_time_the_next(
    build: Build, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = Patience(paths.state / "musicgpt.json")
    monkeypatch.setattr(musicgpt.Patience, "limit", lambda *_: 0.4)
    backend = build()
    with pytest.raises(BackendError, match="did not finish within"):
        length(backend, job("never returning"))
    monkeypatch.undo()
    patience = Patience(paths.state / "musicgpt.json")
    assert SHORTEST_S <= patience.limit("small", 30) < 100
