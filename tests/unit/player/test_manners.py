"""What counts as unplugged, and what as sleep."""

from __future__ import annotations

import pytest

from services.player.sleeping import asleep_clock, slept_s
from services.player.unplug import Place, Sight, sight, unplugged

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
