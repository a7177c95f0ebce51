"""The inference child with backends that misbehave in every way: each costs one job, and one sentence says which."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from services.generator.service import Generator, Lines
from services.generator.tasks import Limits
from shared.bus import Bus
from shared.messages import Cancel, Clip, Job
from shared.paths import Paths
from shared.runtime.service import ServiceLoop
from shared.settings import Settings
from shared.topology import CLIPS, JOBS
from tests.pipeline.generating import Ends, all_gone

COMMAND = (sys.executable, "-m", "tests.stand_ins.inference")
STALL_S = 3.0


class Station(Ends):
    """The other ends, and the generator itself in the same thread."""

    def __init__(self, paths: Paths, bus: Bus) -> None:
        super().__init__(bus)
        self.loop = ServiceLoop(paths)
        lines = Lines(
            open_jobs=lambda: self.loop.bus.connect(JOBS, identity="w"), open_clips=lambda: self.loop.bus.connect(CLIPS)
        )
        self.generator = Generator(
            self.loop,
            paths,
            Settings(),
            lines,
            name="w",
            clips=paths.clips,
            command=COMMAND,
            limits=Limits(obey=0.3, stall=STALL_S),
        )

    def turn(self, wait_s: float = 0.01) -> None:
        self.loop.turn(0.02)
        super().turn(wait_s)

    def child(self) -> psutil.Process:
        (found,) = (each for each in psutil.Process().children() if "tests.stand_ins.inference" in each.cmdline())
        return found

    def works(self) -> None:
        """The next job is made as if nothing had been."""
        self.give(job("fine", "next"))
        self.until(lambda: any(each.job_id == "next" for each in self.done))


def job(prompt: str, job_id: str = "j1", backend: str = "wayward") -> Job:
    return Job(job_id=job_id, token="t", epoch=0, prompt=prompt, backend=backend)


@pytest.fixture
def station(paths: Paths, bus: Bus) -> Iterator[Station]:
    made = Station(paths, bus)
    yield made
    made.generator.close()
    made.loop.close()


@pytest.mark.parametrize(
    ("prompt", "words", "retry"),
    [
        ("crash", "was ended by SIGSEGV", True),
        ("leave", "ended with code 3", True),
        ("raise", "wayward failed: ZeroDivisionError: a model of my own.", True),
        ("memory", "ran out of memory", True),
        ("nothing", "made no sound", True),
        ("not a number", "not numbers", True),
        ("wrong shape", "announced 1 channels", True),
        ("hang", f"showed no progress for {STALL_S:g} s", True),
    ],
)
def test_each_fault_costs_one_job(station: Station, prompt: str, words: str, retry: bool) -> None:
    station.give(job(prompt))
    station.until(lambda: station.failed)
    assert words in station.failed[0].reason
    assert "\n" not in station.failed[0].reason
    assert station.failed[0].retry is retry
    station.works()


def test_a_child_that_is_deaf_to_cancel_is_killed_within_a_second(station: Station) -> None:
    station.give(job("deaf"))
    station.until(lambda: any(each.stage == "working" for each in station.progress))
    child, began = station.child(), time.monotonic()
    station.jobs.send(Cancel(job_id="j1"), to=station.worker)
    station.until(lambda: station.failed)
    answered = time.monotonic() - began
    station.until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    # At once and within a second, on a machine that is busy: it would go on for ever.
    assert answered < 2.0
    assert time.monotonic() - began < 5.0
    station.works()


def test_what_a_library_prints_does_not_disturb(station: Station) -> None:
    station.give(job("print"))
    station.until(lambda: station.done)


def test_a_backend_that_cannot_be_built_takes_none_of_the_others_with_it(station: Station) -> None:
    station.until(lambda: station.ready)
    assert station.able("wayward").available
    assert station.able("missing").reason == (
        "missing needs the package unheard_of: install infiniloop[missing] to have it."
    )
    assert "cannot be built" in station.able("broken").reason
    station.give(job("x", backend="broken"))
    station.until(lambda: station.failed)
    assert not station.failed[0].retry
    station.works()


def test_every_job_gets_a_seed_that_its_recipe_names(station: Station) -> None:
    station.give(job("fine"))
    station.until(lambda: station.clip)
    clip = station.clip[0].message
    assert isinstance(clip, Clip)
    assert clip.recipe.seed is not None


def test_a_folder_that_cannot_be_written_to_is_one_sentence(station: Station, paths: Paths) -> None:
    station.until(lambda: station.ready)
    paths.clips.rename(paths.cache / "elsewhere")
    station.give(job("fine"))
    station.until(lambda: station.failed)
    assert str(paths.clips) in station.failed[0].reason
    (paths.cache / "elsewhere").rename(paths.clips)
    station.works()


def test_a_clip_that_does_not_fit_on_the_disk_is_one_sentence_and_leaves_nothing(
    station: Station, paths: Paths
) -> None:
    station.until(lambda: station.ready)
    _, most = resource.prlimit(station.child().pid, resource.RLIMIT_FSIZE)
    resource.prlimit(station.child().pid, resource.RLIMIT_FSIZE, (1_000, most))
    station.give(job("fine"))
    station.until(lambda: station.failed)
    assert "cannot be written" in station.failed[0].reason
    assert "disk" in station.failed[0].reason
    assert station.failed[0].retry
    assert not list(paths.clips.iterdir())
    resource.prlimit(station.child().pid, resource.RLIMIT_FSIZE, (most, most))
    station.works()


def test_new_settings_take_effect_between_two_jobs(station: Station, paths: Paths) -> None:
    from shared import settings

    station.until(lambda: station.ready)
    before = station.child()
    settings.change(paths, "model", "medium")
    station.until(lambda: not before.is_running())
    station.works()
    assert not station.failed


def test_the_child_is_nice_and_dies_first(station: Station) -> None:
    station.until(lambda: station.ready)
    child = station.child()
    assert child.nice() == min(19, psutil.Process().nice() + 10)
    with open(f"/proc/{child.pid}/oom_score_adj", encoding="ascii") as file:  # noqa: PTH123
        assert int(file.read()) == 500


def test_closing_ends_the_child(station: Station) -> None:
    station.until(lambda: station.ready)
    child = station.child()
    station.generator.close()
    assert all_gone([child])
