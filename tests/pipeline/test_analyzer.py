"""The analyzer as the station runs it: a process of its own, spoken with over its real sockets."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from services.analyzer.second_opinion import Description, describe_further
from shared.audio_files import to_flac
from shared.bus import Bus, Link
from shared.messages import AnalyzerStatus, AnyMessage, Clip, ClipAccepted, ClipRejected, LoopReady
from shared.music import Recipe
from shared.paths import Paths
from shared.topology import CLIPS, LOOPS, RECEIPTS
from tests.unit.analyzer.music import RATE, groove

DEADLINE_S = 30.0


@dataclass
class Station:
    """What the analyzer speaks with, played by the test."""

    bus: Bus
    paths: Paths
    clips: Link
    loops: Link
    receipts: Link
    process: subprocess.Popen[bytes]

    def send(self, clip: Clip, attachment: bytes | None = None) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not self.clips.send(clip, attachment=attachment):
            assert time.monotonic() < deadline
            assert self.process.poll() is None
            self.bus.wait(0.02)

    def next(self, link: Link) -> AnyMessage:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            if (received := link.receive()) is not None:
                return received.message
            self.bus.wait(0.05)
        raise AssertionError("nothing came in time")


@pytest.fixture
def station(paths: Paths, bus: Bus) -> Iterator[Station]:
    environment = {**os.environ, "INFINILOOP_HOME": str(paths.cache.parent)}
    process = subprocess.Popen([sys.executable, "-m", "services", "service", "analyzer", "--bare"], env=environment)
    yield Station(bus, paths, bus.connect(CLIPS), bus.bind(LOOPS), bus.bind(RECEIPTS), process)
    process.terminate()
    assert process.wait(10) == 0


def clip(path: Path | None, job: str = "job-1", token: str = "t1", **more: object) -> Clip:
    facts = {"sample_rate": RATE, "frames": 1, "channels": 1, "min_loop": "4.0", **more}
    recipe = Recipe(prompt="a groove", backend="musicgen", parent_clip="job-0")
    return Clip(job_id=job, token=token, epoch=3, recipe=recipe, path=None if path is None else str(path), **facts)


def peak_mb(station: Station) -> int:
    """The most memory that the service ever held."""
    lines = Path(f"/proc/{station.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


def test_a_clip_becomes_a_loop_and_a_receipt_and_is_not_made_twice(station: Station) -> None:
    path = station.paths.clips / "job-1.wav"
    soundfile.write(path, groove(bars=9), RATE)
    station.send(clip(path))
    ready = station.next(station.loops)
    assert isinstance(ready, LoopReady)
    receipt = station.next(station.receipts)
    assert isinstance(receipt, ClipAccepted)
    assert receipt.loop == ready.loop
    assert (receipt.token, receipt.loop.epoch, receipt.loop.continues) == ("t1", 3, "job-0")
    facts = soundfile.info(receipt.loop.path)
    assert (facts.frames, facts.samplerate, facts.channels) == (receipt.loop.frames, 48_000, 2)
    assert Path(receipt.loop.path).is_relative_to(station.paths.loops)
    # The noisy last second of a model's clip is not used.
    assert receipt.loop.source_end <= len(groove(bars=9)) - RATE
    # The same clip again: its file is gone, the same receipt comes with the new token.
    path.unlink()
    station.send(clip(path, token="t2"))
    again = station.next(station.receipts)
    assert again == msgspec.structs.replace(receipt, token="t2")


def test_a_clip_from_another_machine_rides_in_the_second_frame(station: Station) -> None:
    station.send(clip(None), to_flac(groove(bars=9), RATE))
    assert isinstance(station.next(station.receipts), ClipAccepted)


def test_bad_clips_are_refused_with_a_reason_and_the_next_one_is_served(station: Station, tmp_path: Path) -> None:
    outside = tmp_path / "outside.wav"
    soundfile.write(outside, groove(bars=9), RATE)
    garbage = station.paths.clips / "garbage.wav"
    garbage.write_bytes(b"RIFF" + bytes(1000))
    silent = station.paths.clips / "silent.wav"
    soundfile.write(silent, np.zeros((RATE * 8, 1)), RATE)
    for name, path, code, damaged in (
        ("outside", outside, "unreadable", True),
        ("garbage", garbage, "unreadable", True),
        ("silent", silent, "silence", False),
    ):
        station.send(clip(path, job=name))
        receipt = station.next(station.receipts)
        assert isinstance(receipt, ClipRejected), name
        assert (receipt.job_id, receipt.code, receipt.damaged) == (name, code, damaged)
        assert receipt.reason.endswith(".")
    good = station.paths.clips / "good.wav"
    soundfile.write(good, groove(bars=9), RATE)
    station.send(clip(good, job="good"))
    assert isinstance(station.next(station.receipts), ClipAccepted)


def test_memory_on_the_way_to_a_loop_stays_small(station: Station) -> None:
    rng = np.random.default_rng(1)
    wide = np.repeat(groove(rate=48_000, bars=15), 2, axis=1)
    wide += 1e-3 * rng.standard_normal(wide.shape).astype(np.float32)
    for number in range(3):
        path = station.paths.clips / f"long-{number}.wav"
        soundfile.write(path, wide, 48_000)
        station.send(clip(path, job=f"long-{number}"))
        assert isinstance(station.next(station.receipts), ClipAccepted)
    assert peak_mb(station) <= 150


@pytest.fixture(scope="module")
def told() -> Description:
    """What librosa says of a piece of music; it has its kernels compiled, where none are there yet, and kept."""
    with warnings.catch_warnings():
        # What librosa's own dependencies announce is theirs to mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        return describe_further(groove(bpm=118.3, bars=8), RATE)


@pytest.mark.timeout(300)
def test_librosa_and_the_finder_who_know_nothing_of_each_other_agree_on_what_is_certain(told: Description) -> None:
    assert told.same_tempo(118.3)
    assert not told.same_tempo(104.0)
    assert 0 < told.percussive_share < 1
    assert abs(told.tuning_cents) < 10
    assert told.brightness_hz > 100


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("told")  # the service would compile the kernels at a low priority, beside all other tests
def test_with_time_on_its_hands_it_has_a_second_opinion_and_stays_small(station: Station) -> None:
    relay = station.bus.status_relay()
    path = station.paths.clips / "groove.wav"
    soundfile.write(path, groove(bars=9, bpm=118.3), RATE)
    station.send(clip(path, job="groove"))
    receipt = station.next(station.receipts)
    assert isinstance(receipt, ClipAccepted)
    assert isinstance(station.next(station.loops), LoopReady)  # nothing is left unread, so that waiting is waiting
    deadline = time.monotonic() + 4 * DEADLINE_S
    opinion = None
    while opinion is None:
        assert time.monotonic() < deadline
        station.bus.wait(0.2)
        for status in relay.forward():
            if isinstance(status.state, AnalyzerStatus):
                opinion = status.state.opinion or opinion
    assert opinion.loop_id == receipt.loop.loop_id
    assert opinion.same_tempo
    assert peak_mb(station) <= 350
    station.send(clip(path, job="again"))
    assert isinstance(station.next(station.receipts), ClipAccepted)
