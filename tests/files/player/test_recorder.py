"""A recording is the programme to the frame; whatever happens to it, the player is told and nobody waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from services.player import recorder as module
from services.player.engine import Engine
from services.player.outputs.file import FileOutput
from services.player.recorder import Recorder
from shared.units import STATION_RATE, TAP_BLOCK, Audio
from tests.full_disk import full_disk
from tests.unit.player.material import at_once, loaded, loop, noise, wanted

UNBOUNDED = 1 << 30
"""Room for a test that plays far faster than the disk may take it: whatever the machine does, nothing is left out."""
FINISHED_S = 60.0


def _until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.005)


def _played(recorder: Recorder, seconds: float) -> tuple[Audio, list[int]]:
    """A programme of songs of ten seconds, paused once and at half volume, and the frames at which its songs begin."""
    held = [loaded(loop(name, 96_011), number) for number, name in enumerate("ab")]
    queue = tuple(one.loop for one in held)
    engine = Engine(held[0], wanted(1, queue=queue, volume=50), at_once)
    engine.add(held[1])
    tap, out = np.empty((TAP_BLOCK, 2), np.float32), np.empty((TAP_BLOCK, 2), np.float32)
    programme, begins = [], [0]
    for number in range(round(seconds * 50)):
        if number in (100, 150):
            engine.want(wanted(number, queue=queue, volume=50, playing=number == 150))
        count = engine.render(tap, out)
        recorder.take(engine.programme[:count], *engine.song)
        programme.append(engine.programme[:count].copy())
        report = engine.report()
        if report.songs > len(begins):
            begins.append(report.frames - report.song_frames)
    return np.concatenate(programme), begins


def test_it_is_the_programme_whatever_volume_and_pause_are(tmp_path: Path) -> None:
    recorder = Recorder(room=UNBOUNDED)
    recorder.choose(str(tmp_path / "mix.flac"), split=False)
    programme, _ = _played(recorder, 8.0)
    _until(lambda: recorder.said)
    assert recorder.said == f"Recording to {tmp_path / 'mix.flac'}."
    recorder.stop(FINISHED_S)
    recorded = soundfile.read(tmp_path / "mix.flac", dtype="float32")[0]
    assert STATION_RATE * 6 < len(programme) < STATION_RATE * 8
    assert np.array_equal(recorded, programme)
    assert recorder.said == ""


def test_each_song_has_a_file_that_begins_at_its_first_frame(tmp_path: Path) -> None:
    recorder = Recorder(room=UNBOUNDED)
    recorder.choose(str(tmp_path / "mix.wav"), split=True)
    programme, begins = _played(recorder, 25.0)
    recorder.stop(FINISHED_S)
    files = sorted(tmp_path.glob("mix-*.wav"))
    parts = [soundfile.read(path, dtype="float32")[0] for path in files]
    assert [path.name for path in files] == ["mix-001.wav", "mix-002.wav", "mix-003.wav"]
    assert np.cumsum([0, *map(len, parts[:-1])]).tolist() == begins
    assert any(begin % TAP_BLOCK for begin in begins)
    assert np.abs(np.concatenate(parts) - programme).max() <= 2**-23  # a fade lies off the grid of 24 bits


def test_another_wish_ends_one_recording_and_begins_another_and_the_same_changes_nothing(tmp_path: Path) -> None:
    recorder = Recorder()
    for name in ("a.flac", "a.flac", "b.flac", ""):
        recorder.choose(str(tmp_path / name) if name else "", split=False)
        recorder.take(noise(TAP_BLOCK), 1, TAP_BLOCK)
    assert {path.name: soundfile.info(path).frames for path in tmp_path.iterdir()} == {
        "a.flac": 2 * TAP_BLOCK,
        "b.flac": TAP_BLOCK,
    }


@pytest.mark.parametrize("name", ["mix.mp3", "a file/mix.flac"])
def test_a_place_that_cannot_be_recorded_to_is_said_in_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "a file").write_text("x")
    recorder = Recorder()
    recorder.choose(str(tmp_path / name), split=False)
    _until(lambda: recorder.said)
    recorder.take(noise(TAP_BLOCK), 1, TAP_BLOCK)
    assert "cannot be recorded to" in recorder.said
    assert ". " not in recorder.said
    assert recorder.said.endswith(".")
    recorder.stop()


def test_a_full_disk_is_said_and_what_was_recorded_stays(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.choose(str(tmp_path / "mix.wav"), split=False)
    _until(lambda: recorder.said)
    with full_disk():
        for number in range(50):
            recorder.take(noise(TAP_BLOCK, number), 1, TAP_BLOCK * (number + 1))
        _until(lambda: "broke off" in recorder.said)
    assert "free some disk space" in recorder.said
    recorder.take(noise(TAP_BLOCK), 1, TAP_BLOCK)
    recorder.stop()
    assert (tmp_path / "mix.wav").exists()


def test_a_disk_that_is_too_slow_ends_the_recording_and_never_makes_the_music_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()

    class Slow(FileOutput):
        def write(self, block: Audio) -> bool:
            free.wait(10.0)
            return super().write(block)

    monkeypatch.setattr(module, "FileOutput", Slow)
    recorder = Recorder(room=50)
    recorder.choose(str(tmp_path / "mix.wav"), split=False)
    for number in range(60):
        recorder.take(noise(8, number), 1, 8)
    free.set()
    _until(lambda: "takes too long" in recorder.said)
    recorder.stop()
    assert soundfile.info(tmp_path / "mix.wav").frames >= 8 * (50 - 1)
