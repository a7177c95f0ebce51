"""A station in flow: real processes, and nothing repeats."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.whole import QUICK, WholeStation


def test_flow_plays_every_stretch_once_and_each_goes_on_from_the_last(tmp_path: Path) -> None:
    with WholeStation(tmp_path / "home") as station:
        station.until(station.is_up, "all five services report")
        assert station.ask("mode", "flow")["ok"]
        assert station.ask("start", QUICK)["ok"]
        station.until(lambda: station.controller.prompt == QUICK, "the prompt is told")
        station.own_song()
        first = len(station.heard) - 1
        station.until(lambda: len(station.heard) >= first + 3, "two changes", 110)
        stream = station.heard[first : first + 3]
        assert len({loop.loop_id for loop in stream}) == 3
        assert [loop.continues for loop in stream[1:]] == [loop.loop_id for loop in stream[:-1]]
        report = station.ask("status")
        assert (report["mode"], report["work"]["price"] > 0) == ("flow", True)
        assert "of this machine" in station.cli("status").stdout
        assert station.gaps() == 0
