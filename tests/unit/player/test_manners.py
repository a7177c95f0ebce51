"""What counts as unplugged, and what as sleep, and what the player does then."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from services.player.engine import Engine
from services.player.manners import Manners
from services.player.outputs.null import NullOutput
from services.player.sleeping import asleep_clock, slept_s
from services.player.unplug import Place, Sight, sight, unplugged
from services.player.writer import Writer
from shared import settings
from shared.paths import Paths
from shared.runtime.service import ServiceLoop
from shared.settings.watch import SettingsWatch
from tests.unit.player.material import at_once, loaded, loop, wanted

SINKS = [
    {"index": 3, "name": "usb", "active_port": "analog-output"},
    {"index": 7, "name": "built-in", "active_port": "analog-output-headphones"},
]


def _inputs(sink: int, process: int = 42) -> list[dict[str, object]]:
    return [
        {"sink": 3, "properties": {"application.process.id": "1"}},
        {"sink": sink, "properties": {"application.process.id": str(process)}},
        {"sink": 3},
    ]


def test_our_stream_is_found_by_its_process() -> None:
    seen = sight(42, _inputs(7), SINKS)
    assert seen.place == Place("built-in", "analog-output-headphones")
    assert seen.sinks == {"usb", "built-in"}
    assert sight(43, _inputs(7), SINKS).place is None
    assert sight(42, _inputs(9), SINKS).place is None
    assert sight(42, [], []).place is None


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (None, Sight(Place("usb", ""), frozenset({"usb"})), False),
        (Place("usb", ""), Sight(Place("built-in", ""), frozenset({"built-in"})), True),
        (Place("usb", ""), Sight(Place("built-in", ""), frozenset({"usb", "built-in"})), False),
        (Place("b", "analog-output-headphones"), Sight(Place("b", "analog-output-speaker"), frozenset("b")), True),
        (Place("b", "analog-output-speaker"), Sight(Place("b", "analog-output-headphones"), frozenset("b")), False),
        (Place("b", "hdmi-output-0"), Sight(Place("b", "hdmi-output-1"), frozenset("b")), False),
        (Place("b", "x"), Sight(None, frozenset("b")), False),
    ],
)
def test_only_a_lost_sink_and_pulled_headphones_are_unplugging(
    before: Place | None, now: Sight, expected: bool
) -> None:
    assert unplugged(before, now) == expected


def test_sleep_is_counted_and_a_clock_set_back_is_none() -> None:
    assert slept_s(10.0, 400.0) == 390.0
    assert slept_s(10.0, 9.0) == 0.0
    assert slept_s(asleep_clock(), asleep_clock()) < 1.0


class Bed:
    """A player's manners under a clock that shows how long the machine has slept."""

    def __init__(self, paths: Paths) -> None:
        self.slept = 0.0
        held = loaded(loop("a"))
        self._engine = Engine(held, wanted(1, queue=(held.loop,)), at_once, fade_in=0)
        self._writer = Writer(
            self._engine,
            driver="null",
            device="",
            tap=lambda _: None,
            rescue=lambda: self._engine,
            open_device=lambda *_, **__: NullOutput(),
        )
        self._writer.call = self._call  # type: ignore[method-assign]
        self.loop = ServiceLoop(paths)
        watch = SettingsWatch(paths, settings.load(paths)[0])
        self.manners = Manners(self.loop, self._writer, watch, clock=lambda: self.slept)
        self.let_go = 0

    def close(self) -> None:
        self.loop.bus.close(linger_ms=0)  # nobody is there to take what it said
        self.loop.close()

    def release(self) -> None:
        self.let_go += 1

    def plays(self) -> bool:
        return self._engine.report().wanted.playing

    def _call(self, call: Callable[[Engine], None]) -> None:
        call(self._engine)


@pytest.fixture
def bed(paths: Paths) -> Iterator[Bed]:
    made = Bed(paths)
    yield made
    made.close()


def test_after_a_long_sleep_it_is_paused_and_says_why_until_somebody_resumes(bed: Bed) -> None:
    bed.manners.look()
    assert bed.plays()
    bed.slept += 360.0
    bed.manners.look()
    assert not bed.plays()
    assert bed.manners.because == "the machine slept for 6 minutes"
    assert not bed.manners.heed(wanted(2)).playing  # on its way before the controller heard of the pause
    bed.manners._end_pausing(bed.manners._pausing.command_id if bed.manners._pausing else "")
    assert bed.manners.heed(wanted(3)).playing
    assert bed.manners.because == ""


def test_a_short_sleep_changes_nothing(bed: Bed) -> None:
    bed.slept += 290.0
    bed.manners.look()
    assert bed.plays()


def test_told_of_a_sleep_it_is_silent_until_told_of_the_waking(bed: Bed) -> None:
    bed.manners.going(bed.release)
    assert not bed.plays()
    assert not bed.manners.heed(wanted(2)).playing
    bed.manners.back()
    assert bed.plays()


def test_told_of_a_sleep_that_was_long_it_stays_silent(bed: Bed) -> None:
    bed.manners.going(bed.release)
    bed.slept += 3_600.0
    bed.manners.back()
    assert not bed.plays()
    assert bed.manners.because == "the machine slept for 60 minutes"


def test_a_waking_that_nobody_tells_of_is_seen_by_the_clock(bed: Bed) -> None:
    bed.manners.going(bed.release)
    bed.slept += 60.0
    bed.manners.look()
    assert bed.plays()


def test_on_wake_continue_plays_on(paths: Paths) -> None:
    paths.settings_file.write_text('[player]\non_wake = "continue"\non_unplug = "continue"\n')
    bed = Bed(paths)
    bed.slept += 3_600.0
    bed.manners.look()
    bed.manners.unplugged()
    assert bed.plays()
    bed.close()


def test_unplugged_it_pauses_at_once(bed: Bed) -> None:
    bed.manners.unplugged()
    assert not bed.plays()
    assert "unplugged" in bed.manners.because
