"""One suite for every output that needs no sound server; the device runs it in ``tests/realtime``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from services.player.outputs.file import FileOutput
from services.player.outputs.null import NullOutput
from services.player.outputs.output import Output
from services.player.outputs.snapcast import SnapcastOutput
from shared.errors import OutputError
from shared.units import STATION_RATE, TAP_BLOCK
from tests.full_disk import full_disk
from tests.unit.player.material import noise

Make = Callable[[Path], Output]


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def _null(_: Path) -> Output:
    clock = Clock()
    return NullOutput(clock=clock, sleep=clock.sleep)


OUTPUTS: dict[str, Make] = {
    "null": _null,
    "flac": lambda folder: FileOutput(folder / "a.flac"),
    "wav": lambda folder: FileOutput(folder / "a.wav"),
    "split": lambda folder: FileOutput(folder / "b.flac", split=True),
    "snapcast": lambda folder: SnapcastOutput(folder / "fifo"),
}


@pytest.fixture(params=OUTPUTS)
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Output:
    return OUTPUTS[request.param](tmp_path)


def test_it_takes_blocks_of_any_length_and_leaves_them_as_they_are(output: Output) -> None:
    for frames in (TAP_BLOCK, 1, 480, 2_048):
        block = noise(frames)
        before = block.copy()
        assert output.write(block)
        assert np.array_equal(block, before)
    output.close()


def test_it_says_what_it_is(output: Output) -> None:
    assert output.driver
    assert output.description
    assert output.latency_s >= 0.0
    output.close()


def test_closing_twice_is_closing_once_and_nothing_can_be_written_after(output: Output) -> None:
    output.write(noise(TAP_BLOCK))
    output.close()
    output.close()
    with pytest.raises(OutputError, match=r"closed\.$"):
        output.write(noise(TAP_BLOCK))


def test_the_null_output_takes_as_long_as_the_sound_lasts() -> None:
    clock = Clock()
    output = NullOutput(latency_s=0.1, clock=clock, sleep=clock.sleep)
    began = clock.now
    for _ in range(500):
        assert output.write(noise(TAP_BLOCK))
    assert clock.now - began == pytest.approx(10.0 - 0.1, abs=1e-6)


def test_the_null_output_catches_up_with_a_short_delay() -> None:
    clock = Clock()
    output = NullOutput(latency_s=0.1, clock=clock, sleep=clock.sleep)
    began = clock.now
    for number in range(500):
        if number in (100, 300):
            clock.now += 1.5
        assert output.write(noise(TAP_BLOCK))
    assert clock.now - began == pytest.approx(10.0 - 0.1, abs=1e-6)


def test_the_null_output_reports_a_standstill_once_and_does_not_make_up_for_it() -> None:
    clock = Clock()
    output = NullOutput(latency_s=0.1, clock=clock, sleep=clock.sleep)
    for _ in range(50):
        output.write(noise(TAP_BLOCK))
    clock.now += 60.0
    assert not output.write(noise(TAP_BLOCK))
    resumed = clock.now
    for _ in range(100):
        assert output.write(noise(TAP_BLOCK))
    assert clock.now - resumed == pytest.approx(2.02 - 0.1, abs=0.021)


@pytest.mark.parametrize("suffix", [".flac", ".wav"])
def test_a_recording_is_what_was_played_bit_for_bit_and_whole_or_not_there(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mix{suffix}"
    audio = noise(10 * TAP_BLOCK, level=0.9)
    output = FileOutput(path)
    for start in range(0, len(audio), TAP_BLOCK):
        output.write(audio[start : start + TAP_BLOCK])
    assert not path.exists()
    output.close()
    read, rate = soundfile.read(path, dtype="float32")
    assert rate == STATION_RATE
    assert np.array_equal(read, audio)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_recording_is_split_by_song(tmp_path: Path) -> None:
    output = FileOutput(tmp_path / "mix.wav", split=True)
    output.next_song()
    for frames in (1_000, 2_000):
        output.write(noise(frames))
        output.next_song()
    output.close()
    assert [soundfile.info(path).frames for path in sorted(tmp_path.glob("mix-*.wav"))] == [1_000, 2_000, 0]


def test_nothing_that_is_there_is_written_over_and_what_a_killed_recording_left_is_kept(tmp_path: Path) -> None:
    (tmp_path / "mix.flac").write_text("mine")
    left = FileOutput(tmp_path / "mix.flac")
    left.write(noise(2 * STATION_RATE, 1))
    left._sound = None  # as if it had been killed
    assert (tmp_path / ".mix-2.flac.part").exists()
    output = FileOutput(tmp_path / "mix.flac")
    output.write(noise(1_000, 2))
    output.close()
    assert (tmp_path / "mix.flac").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mix-2.flac", "mix-3.flac", "mix.flac"]
    assert output.path.name == "mix-3.flac"
    assert np.array_equal(soundfile.read(output.path, dtype="float32")[0], noise(1_000, 2))


@pytest.mark.parametrize("suffix", [".flac", ".wav"])
def test_a_full_disk_ends_a_recording_in_one_sentence_and_what_was_taken_stays(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mix{suffix}"
    output = FileOutput(path)
    with full_disk(), pytest.raises(OutputError, match=r"broke off \(.+\): free some disk space.*\.$"):
        output.write(noise(10 * STATION_RATE))
    output.close()
    assert path.exists()


@pytest.mark.parametrize("name", ["mix.mp3", "mix", "no/such/folder/mix.wav"])
def test_a_recording_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"recorded to.*\.$"):
        FileOutput(tmp_path / name)


def test_snapcast_reads_whole_frames_of_sixteen_bits(tmp_path: Path) -> None:
    output = SnapcastOutput(tmp_path / "fifo")
    audio = noise(4 * TAP_BLOCK, level=0.9)
    audio[0] = (1.0, -1.0)
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    for start in range(0, len(audio), TAP_BLOCK):
        assert output.write(audio[start : start + TAP_BLOCK])
    heard = np.frombuffer(os.read(reader, 1 << 20), "<i2").reshape(-1, 2)
    os.close(reader)
    output.close()
    assert heard[0].tolist() == [32_767, -32_768]
    assert np.abs(heard[1:] - audio[1:] * 32_768.0).max() <= 0.5


def test_snapcast_drops_rather_than_waits_and_never_cuts_a_frame(tmp_path: Path) -> None:
    output = SnapcastOutput(tmp_path / "fifo")
    taken = [output.write(noise(TAP_BLOCK)) for _ in range(60)]
    assert taken[0]
    assert not taken[-1]
    assert output.dropped == taken.count(False)
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    heard = len(os.read(reader, 1 << 20))
    for _ in range(3):
        output.write(noise(TAP_BLOCK))
        heard += len(os.read(reader, 1 << 20))
    os.close(reader)
    output.close()
    assert heard % (TAP_BLOCK * 4) == 0


def test_snapcast_leaves_a_file_that_is_no_fifo_alone(tmp_path: Path) -> None:
    (tmp_path / "fifo").write_text("mine")
    with pytest.raises(OutputError, match="no fifo"):
        SnapcastOutput(tmp_path / "fifo")
    assert (tmp_path / "fifo").read_text() == "mine"
