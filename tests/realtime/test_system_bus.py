"""Over a real message bus: the music fades before the machine sleeps, and sound is given its priority."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.player.priority import NICE, ask_rtkit
from shared.messages import encode
from tests.pipeline.test_player import Station
from tests.realtime.system_bus import LoginManager, PriorityGiver, SystemBus
from tests.unit.player.material import wanted

pytestmark = [pytest.mark.pulse, pytest.mark.timeout(120)]


@pytest.fixture
def system_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SystemBus]:
    bus = SystemBus(tmp_path / "bus")
    for name, value in bus.environment.items():
        monkeypatch.setenv(name, value)
    yield bus
    bus.close()


@pytest.fixture
def login(system_bus: SystemBus) -> Iterator[LoginManager]:
    manager = LoginManager(system_bus)
    yield manager
    manager.close()


@pytest.fixture
def station(tmp_path: Path, login: LoginManager) -> Iterator[Station]:
    made = Station(tmp_path / "home")
    made.paths.wanted_file.write_bytes(
        encode(wanted(1, queue=(made.make("first", 1),), variation="off", min_duration_s=300.0))
    )
    made.start()
    made.sounds("first")
    made.until(lambda: login.asked, "the delay lock")
    made.until(lambda: len(made.blocks) > 130, "the music after its fade-in")
    yield made
    made.close()


def _level(station: Station) -> float:
    return float(np.abs(station.blocks[-1][1]).max())


def test_before_the_machine_sleeps_the_music_fades_and_then_it_may(station: Station, login: LoginManager) -> None:
    assert login.asked == [("sleep", "INFINI LOOP", "The music fades before the machine sleeps", "delay")]
    login.sleep(going=True)
    told = time.monotonic()
    station.until(lambda: _level(station) < 0.09, "the fade")
    assert not login.released()
    station.until(login.released, "the machine's leave to sleep")
    assert 1.5 < time.monotonic() - told < 4.0  # a fade of 2 s, and logind waits for 5
    station.until(lambda: not any(samples.any() for _, samples in station.blocks[-5:]), "silence")
    assert not station.statuses[-1].playing
    heard = station.statuses[-1].song_frames
    login.sleep(going=False)
    station.until(lambda: station.statuses[-1].playing and _level(station) > 0.05, "the music again")
    assert station.statuses[-1].song_frames - heard < 3 * 48_000  # it went on where it was
    station.until(lambda: len(login.asked) == 2, "the lock for the next sleep")
    assert not login.released()


def test_a_wish_that_comes_while_the_machine_goes_to_sleep_is_kept_for_later(
    station: Station, login: LoginManager
) -> None:
    login.sleep(going=True)
    station.until(lambda: not station.statuses[-1].playing, "the fade")
    queue = (station.make("first", 1),)
    station.send(wanted(2, queue=queue, volume=40, min_duration_s=300.0))
    station.until(lambda: station.statuses[-1].volume == 40, "the wish")
    assert not station.statuses[-1].playing
    station.until(login.released, "the machine's leave to sleep")
    login.sleep(going=False)
    station.until(lambda: station.statuses[-1].playing, "the music again")


def test_the_music_goes_on_without_the_bus(station: Station, system_bus: SystemBus) -> None:
    system_bus.close()
    seen = len(station.blocks)
    station.until(lambda: len(station.blocks) > seen + 100, "two seconds more")
    assert _level(station) > 0.05


def test_realtimekit_is_asked_for_every_thread(system_bus: SystemBus) -> None:
    giver = PriorityGiver(system_bus)
    try:
        assert ask_rtkit()
    finally:
        giver.close()
    assert (threading.get_native_id(), NICE) in giver.asked


def test_without_realtimekit_it_is_said_and_nothing_else_happens(system_bus: SystemBus) -> None:
    assert not ask_rtkit()
