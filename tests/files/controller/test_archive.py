"""The library's keeper in a running station: loops come in, find their place, and go when there is no room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.controller.archive import Archive
from services.controller.effects import Draw
from services.controller.library import LIKED, library_file
from services.controller.library.opening import read_verdicts, verdicts_file
from shared.audio_files import write_wav
from shared.music import Loop
from shared.paths import Paths
from tests.unit.controller.conftest import a_loop


class Keeper:
    """An archive whose threads are the caller's, and what it told."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.shelved: list[str] = []
        self.moved: list[Loop] = []
        self.lost: list[str] = []
        self.notes: list[str] = []
        self._disk = ThreadPoolExecutor(1)
        self.archive = Archive(
            paths,
            run=self._at_once,
            disk=self._disk,
            shelved=self.shelved.append,
            moved=self.moved.append,
            lost=self.lost.extend,
            note=self.notes.append,
        )

    def take(self, name: str, *, frames: int = 4_800) -> Loop:
        path = self.paths.loops / f"{name}.wav"
        write_wav(path, np.random.default_rng(1).uniform(-0.5, 0.5, (4_800, 2)).astype(np.float32), 48_000)
        loop = a_loop(name, path=str(path), frames=frames)
        self.archive.take(loop)
        return loop

    def look(self, *, budget: int = 10**9, free_wanted: int = 0, needed: tuple[str, ...] = ()) -> None:
        self.archive.look_after(budget=budget, free_wanted=free_wanted, needed=needed)

    def ask(self, work: Callable[[Any], Any]) -> Any:
        answers: list[Any] = []
        self.archive.in_library(work, answers.append)
        return answers[0]

    def close(self) -> None:
        self.archive.close()
        self._disk.shutdown()

    def _at_once(
        self,
        _: ThreadPoolExecutor,
        work: Callable[[], Any],
        then: Callable[[Any], None] | None = None,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        try:
            done = work()
        except Exception as error:
            if failed is None:
                raise
            failed(error)
        else:
            if then is not None:
                then(done)


@pytest.fixture
def keeper(paths: Paths) -> Iterator[Keeper]:
    made = Keeper(paths)
    yield made
    made.close()


def test_a_loop_is_safe_at_once_and_its_audio_soon(keeper: Keeper) -> None:
    keeper.take("l1")
    assert (keeper.shelved, keeper.moved) == (["l1"], [])
    keeper.look()
    (kept,) = keeper.moved
    assert Path(kept.path) == keeper.paths.library / "l1.flac"
    assert keeper.archive.extent.loops == 1
    keeper.look()
    assert len(keeper.moved) == 1


def test_over_the_budget_the_oldest_goes_and_its_name_before_its_file(keeper: Keeper) -> None:
    for name in ("l1", "l2", "l3"):
        keeper.take(name)
    keeper.look()
    keeper.ask(lambda library: library.judge(library.find("l1").number, LIKED))
    size = (keeper.paths.library / "l2.flac").stat().st_size
    database = keeper.ask(lambda library: library.database_bytes())
    keeper.look(budget=database + size)
    assert keeper.lost == ["l2"]
    assert sorted(path.stem for path in keeper.paths.library.glob("*.flac")) == ["l1", "l3"]
    assert keeper.ask(lambda library: library.record("l2")) is not None


def test_while_the_disk_is_short_liked_audio_stays_in_the_cache_and_is_told(keeper: Keeper) -> None:
    loop = keeper.take("l1")
    keeper.ask(lambda library: library.judge(1, LIKED))
    keeper.look(free_wanted=1 << 60)
    assert keeper.moved == []
    assert keeper.archive.unsafe == {loop.path}


def test_audio_that_is_broken_is_given_up_once(keeper: Keeper) -> None:
    keeper.take("l1", frames=9_999)
    keeper.look()
    assert (keeper.lost, keeper.moved) == (["l1"], [])
    keeper.look()
    assert keeper.lost == ["l1"]


def test_what_suits_a_prompt_is_drawn_but_not_what_was_heard_just_now(keeper: Keeper) -> None:
    for name in ("l1", "l2"):
        keeper.take(name)
    keeper.look()
    keeper.archive.heard("l2")
    found: list[Loop] = []
    keeper.archive.draw(Draw("Calm", "", 1), found.extend)
    assert [loop.loop_id for loop in found] == ["l1"]


def test_a_database_that_breaks_while_it_is_used_is_begun_anew(keeper: Keeper) -> None:
    keeper.take("l1")
    keeper.look()

    def damage(library: Any) -> None:
        library.damaged = True

    keeper.ask(damage)
    library_file(keeper.paths).write_bytes(b"\xff" * 9_000)
    keeper.look()
    assert "set aside as" in keeper.notes[0]
    assert keeper.ask(lambda library: library.find("l1").loop_id) == "l1"


def test_verdicts_that_a_crash_kept_from_the_file_beside_are_there_after_a_start(paths: Paths) -> None:
    first = Keeper(paths)
    first.take("l1")
    first.ask(lambda library: library.judge(1, LIKED))
    first.close()
    assert not verdicts_file(paths.library).exists()
    Keeper(paths).close()
    assert read_verdicts(paths.library) == {"l1": LIKED}
