"""The writer sounds on, whatever fails: a message, the programme, the device."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from services.player.engine import Engine
from services.player.outputs.null import NullOutput
from services.player.outputs.output import Output, OutputSpent
from services.player.writer import Writer
from shared.errors import OutputError
from shared.units import TAP_BLOCK, Audio
from tests.unit.player.material import at_once, loaded, loop, wanted

DEADLINE_S = 30.0
"""Only a hang lasts so long, on a machine that is busy with everything else too."""
LOOP = loaded(loop("a", bars=1), 1)


class Fragile(NullOutput):
    """A paced device that is lost after some blocks, or reports a break at one of them."""

    driver = "pulse"

    def __init__(
        self,
        lost_after: int = 1 << 30,
        break_at: int = -1,
        latency_s: float = 0.1,
        loss: type[OutputError] = OutputError,
    ) -> None:
        super().__init__(latency_s, "a device for tests")
        self._lost_after, self._break_at, self._loss = lost_after, break_at, loss
        self.taken = 0

    def write(self, block: Audio) -> bool:
        self.taken += 1
        if self.taken > self._lost_after:
            raise self._loss("The sound device was pulled out.")
        super().write(block)  # late or not: the machine of a test may be loaded
        return self.taken != self._break_at


class Ear:
    """The tap's end: counts blocks, and lets a test wait for them."""

    def __init__(self) -> None:
        self.blocks: list[Audio] = []
        self._heard = threading.Condition()

    def take(self, block: Audio) -> None:
        with self._heard:
            self.blocks.append(block.copy())
            self._heard.notify_all()

    def until(self, condition: Callable[[], object], what: str) -> None:
        with self._heard:
            assert self._heard.wait_for(condition, DEADLINE_S), what


def _engine() -> Engine:
    return Engine(LOOP, wanted(queue=(LOOP.loop,), variation="off"), at_once, fade_in=0)


@contextmanager
def _playing(open_device: Callable[..., Output], driver: str = "auto") -> Iterator[tuple[Writer, Ear]]:
    ear = Ear()
    writer = Writer(_engine(), driver=driver, device="", tap=ear.take, rescue=_engine, open_device=open_device)
    writer.start()
    try:
        yield writer, ear
    finally:
        writer.stop()
        assert not writer.alive


def test_a_message_that_fails_changes_nothing() -> None:
    with _playing(lambda *_, **__: Fragile()) as (writer, ear):
        writer.call(lambda _: 1 / 0)
        ear.until(lambda: writer.health.faults == 1, "the fault to be counted")
        ear.until(lambda: len(ear.blocks) > 20, "blocks after it")
    sound = np.concatenate(ear.blocks)
    audio = np.empty((LOOP.samples.frames, 2), np.float32)
    LOOP.samples.read_into(audio, 0)
    assert np.array_equal(sound, np.take(audio, np.arange(len(sound)), 0, mode="wrap"))


def test_a_programme_that_fails_begins_anew() -> None:
    def spoil(engine: Engine) -> None:
        engine.programme = np.zeros((0, 2), np.float32)

    with _playing(lambda *_, **__: Fragile()) as (writer, ear):
        writer.call(spoil)
        ear.until(lambda: writer.health.faults == 1, "the fault to be counted")
        seen = len(ear.blocks)
        ear.until(lambda: len(ear.blocks) > seen + 10, "blocks after it")
    assert ear.blocks[-1].any()


def test_a_lost_device_is_opened_again_and_the_sound_goes_on_meanwhile() -> None:
    opened: list[Fragile] = []

    def open_device(*_: object, fresh: bool, **__: object) -> Output:
        if len(opened) == 1 and not fresh:
            raise AssertionError("after a loss devices are looked for anew")
        opened.append(Fragile(lost_after=10 if not opened else 1 << 30))
        return opened[-1]

    with _playing(open_device) as (writer, ear):
        ear.until(lambda: len(opened) == 2 and opened[1].taken > 10, "the second device")
        assert writer.health.output_ok
        assert writer.health.driver == "pulse"
    sound = np.concatenate(ear.blocks)
    audio = np.empty((LOOP.samples.frames, 2), np.float32)
    LOOP.samples.read_into(audio, 0)
    assert np.array_equal(sound, np.take(audio, np.arange(len(sound)), 0, mode="wrap"))


def test_a_loss_that_spends_the_process_ends_the_thread_so_that_the_service_begins_again() -> None:
    with _playing(lambda *_, **__: Fragile(lost_after=5, loss=OutputSpent)) as (writer, _):
        ended = time.monotonic() + DEADLINE_S
        while writer.alive:
            assert time.monotonic() < ended


def test_a_device_that_cannot_be_had_is_said_and_the_sound_goes_on() -> None:
    def open_device(*_: object, **__: object) -> Output:
        raise OutputError("There is no device.")

    with _playing(open_device) as (writer, ear):
        ear.until(lambda: not writer.health.output_ok, "the sentence")
        assert "There is no device." in writer.health.output
        seen = len(ear.blocks)
        ear.until(lambda: len(ear.blocks) > seen + 10, "blocks without a device")


def test_a_device_is_looked_for_again_when_something_shows_that_one_may_have_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there, searches = [0], []
    monkeypatch.setattr("services.player.writer.signs", lambda: tuple(there))
    monkeypatch.setattr("services.player.writer.EAGER_S", 0.0)
    monkeypatch.setattr("services.player.writer.RETRY_S", 0.01)

    def open_device(*_: object, **__: object) -> Output:
        searches.append(there[0])
        if not there[0]:
            raise OutputError("There is no device.")
        return Fragile(lost_after=1 << 30)

    with _playing(open_device) as (writer, ear):
        ear.until(lambda: not writer.health.output_ok, "the sentence")
        seen = len(ear.blocks)
        ear.until(lambda: len(ear.blocks) > seen + 30, "blocks without a device")
        assert searches == [0]
        there[0] = 1
        ear.until(lambda: writer.health.output_ok, "the device")
    assert searches == [0, 1]


def test_latency_grows_after_a_break_and_not_without_one() -> None:
    asked: list[float] = []

    def open_device(_driver: str, _device: str, latency_s: float, **__: object) -> Output:
        asked.append(latency_s)
        return Fragile(break_at=15 if len(asked) == 1 else -1, latency_s=latency_s)

    with _playing(open_device) as (writer, ear):
        ear.until(lambda: len(asked) == 2, "a second opening")
        seen = len(ear.blocks)
        ear.until(lambda: len(ear.blocks) > seen + 20, "blocks after it")
        assert writer.health.underruns >= 1
        assert len(asked) == 2
    assert asked[0] <= 0.15
    assert 2 * asked[0] <= asked[1] <= 1.0


def test_another_driver_is_taken_and_the_same_one_changes_nothing() -> None:
    asked: list[str] = []

    def open_device(driver: str, *_: object, **__: object) -> Output:
        asked.append(driver)
        return NullOutput() if driver == "null" else Fragile()

    with _playing(open_device) as (writer, ear):
        writer.select("auto", "")
        ear.until(lambda: writer.health.driver == "pulse", "the device")
        writer.select("null", "")
        writer.select("null", "")
        ear.until(lambda: len(asked) == 2 and "as the driver null asks" in writer.health.output, "the null output")
        seen = len(ear.blocks)
        ear.until(lambda: len(ear.blocks) > seen + 10, "blocks after it")
    assert asked == ["auto", "null"]
    assert all(len(block) == TAP_BLOCK for block in ear.blocks)
