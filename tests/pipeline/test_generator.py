"""The generator as a process: jobs in, clips out, and no child that outlives it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from shared.audio_files import read_within
from shared.bus import Bus
from shared.messages import Cancel, Clip, Job
from shared.paths import Paths
from tests.pipeline.generating import Ends, all_gone, family, running, with_musicgpt


def job(number: int, prompt: str = "calm piano", backend: str = "musicgpt") -> Job:
    return Job(job_id=f"j{number}", token=f"t{number}", epoch=1, prompt=prompt, backend=backend, seconds=4.0)


@pytest.fixture
def ends(paths: Paths, bus: Bus) -> Iterator[Ends]:
    """A generator that runs under its parent, with MusicGPT installed."""
    with running(paths, "service", "generator", environment=with_musicgpt(paths)):
        yield Ends(bus)


def test_a_job_becomes_a_clip_under_the_cache(ends: Ends, paths: Paths) -> None:
    ends.give(job(1))
    ends.until(lambda: ends.done and ends.clip)
    clip = ends.clip[0].message
    assert isinstance(clip, Clip)
    assert clip.path is not None
    samples, rate = read_within((paths.cache,), Path(clip.path))
    assert (
        (len(samples), rate, samples.shape[1]) == (clip.frames, clip.sample_rate, clip.channels) == (128_000, 32_000, 1)
    )
    assert abs(samples).max() > 0.1
    assert ends.done[0].seconds == 4.0
    assert ends.done[0].cpu_s > 0
    assert any(0 < each.fraction < 1 for each in ends.progress)
    assert not [path for path in paths.clips.iterdir() if str(path) != clip.path]


def test_a_cancelled_job_ends_within_a_second_with_the_binary(ends: Ends) -> None:
    ends.give(job(1, "stubborn, never returning"))
    ends.until(lambda: any(each.stage == "generating" for each in ends.progress))
    below = psutil.Process(ends.pid).children()[0].children(recursive=True)
    assert len(below) == 2  # the guard and the binary
    ends.jobs.send(Cancel(job_id="j1"), to=ends.worker)
    began = time.monotonic()
    ends.until(lambda: ends.failed and ends.ready)
    assert not ends.failed[0].retry
    assert all_gone(below)
    assert time.monotonic() - began < 6.0  # a second and a machine that is busy; the binary would go on for ever
    ends.give(job(2))
    ends.until(lambda: ends.done)


def test_a_killed_child_costs_one_job(ends: Ends) -> None:
    ends.give(job(1, "never returning"))
    ends.until(lambda: any(each.stage == "generating" for each in ends.progress))
    below = family(ends.pid)
    psutil.Process(ends.pid).children()[0].kill()
    ends.until(lambda: ends.failed)
    assert ends.failed[0].retry
    assert "killed" in ends.failed[0].reason
    assert all_gone(below)
    ends.give(job(2))
    ends.until(lambda: ends.done)


def test_a_killed_service_leaves_nothing_behind_and_comes_back(ends: Ends) -> None:
    ends.give(job(1, "never returning"))
    ends.until(lambda: any(each.stage == "generating" for each in ends.progress))
    below = family(ends.pid)
    assert len(below) == 3  # the child, the guard, the binary
    os.kill(ends.pid, signal.SIGKILL)
    assert all_gone(below)
    ends.ready.clear()
    ends.give(job(2))
    ends.until(lambda: ends.done)


def test_a_generator_outlives_its_controller_and_its_analyzer(paths: Paths) -> None:
    with running(paths, "service", "generator", environment=with_musicgpt(paths)):
        first = Bus(paths)
        ends = Ends(first)
        ends.give(job(1))
        ends.until(lambda: ends.progress)
        name = ends.worker
        first.close(linger_ms=0)
        second = Bus(paths)
        try:
            again = Ends(second)
            # The clip that was made meanwhile was kept, and is named as held or has been handed over.
            again.until(lambda: again.ready)
            assert again.worker == name
            again.until(lambda: again.clip)
            assert again.clip[0].message.job_id == "j1"
            again.until(lambda: again.done)
        finally:
            second.close(linger_ms=0)


@pytest.mark.parametrize(
    ("prompt", "words", "retry"),
    [
        ("exit one", "ended with code 1: Non-zero status code returned while running MatMul node", True),
        ("exit one, chatty", "MatMul", True),
        ("no file", "does not exist", True),
        ("garbage file", "cannot be read as audio", True),
    ],
)
def test_a_failing_binary_is_one_sentence(ends: Ends, prompt: str, words: str, retry: bool) -> None:
    ends.give(job(1, prompt))
    ends.until(lambda: ends.failed)
    assert words in ends.failed[0].reason
    assert "\n" not in ends.failed[0].reason
    assert ends.failed[0].retry is retry
    ends.until(lambda: ends.ready)


def test_a_stopped_generator_gives_its_job_back_and_ends_in_time(paths: Paths, bus: Bus) -> None:
    with running(paths, "service", "generator", environment=with_musicgpt(paths)) as process:
        ends = Ends(bus)
        ends.give(job(1, "never returning"))
        ends.until(lambda: any(each.stage == "generating" for each in ends.progress))
        below = family(process.pid)
        began = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        ends.until(lambda: ends.failed)
        assert ends.failed[0].retry
        assert process.wait(10) == 0
        assert time.monotonic() - began < 4.0
        assert all_gone(below)
