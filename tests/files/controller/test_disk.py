"""What the controller keeps on disk: its state and a cache within its budget."""

from __future__ import annotations

import pytest

from services.controller import state as store
from services.controller import tidy
from services.controller.leases import LeaseTable
from shared.messages import Job
from shared.paths import Paths
from tests.unit.controller.conftest import a_loop


def test_the_state_comes_back_as_it_was(paths: Paths) -> None:
    state, note = store.load(paths, epoch=1)
    leases = LeaseTable()
    leases.begin(Job(job_id="j1", token="t", epoch=3, prompt="rain", bpm=80.0), 5.0)
    state.epoch, state.prompt, state.leases, state.unshelved = 3, "rain – 雨", leases.open, (a_loop("l1"),)
    store.save(paths, state)
    assert (store.load(paths, epoch=1), note) == ((state, ""), "")


@pytest.mark.parametrize("damage", [b"", b"\xff" * 40, b"\x93\x01\x02"])
def test_a_damaged_state_is_set_aside_and_named_and_epochs_go_on(paths: Paths, damage: bytes) -> None:
    store.state_file(paths).write_bytes(damage)
    state, note = store.load(paths, epoch=9)
    aside = next(paths.state.glob("station.msgpack.broken-*"))
    assert str(aside) in note
    assert aside.read_bytes() == damage
    assert state.epoch == 9


def test_what_a_killed_writer_left_is_swept_away(paths: Paths) -> None:
    left = paths.state / ".station.msgpack.4711.part"
    left.write_bytes(b"half")
    store.load(paths, epoch=1)
    assert not left.exists()


def test_a_clip_goes_with_its_receipt_and_its_codes_stay(paths: Paths) -> None:
    for name in ("1-1-ab.wav", "1-1-ab.codes.npz", "1-11-ab.wav"):
        (paths.clips / name).write_bytes(b"x")
    tidy.forget_clip(paths, "1-1-ab", frozenset({str(paths.clips / "1-1-ab.codes.npz")}))
    assert sorted(path.name for path in paths.clips.iterdir()) == ["1-1-ab.codes.npz", "1-11-ab.wav"]
