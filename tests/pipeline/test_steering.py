"""Words and modes on whole stations of real processes: heard, shown, and true in what is kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pipeline.whole import AUDIBLE, QUICK, WholeStation


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeStation]:
    """A station that composes; each test takes it as it finds it."""
    with WholeStation(tmp_path_factory.mktemp("steering") / "home") as running:
        running.until(running.is_up, "all five services report")
        yield running


def test_a_nudge_changes_what_plays_and_more_goes_on_with_it(station: WholeStation) -> None:
    assert station.ask("start", QUICK)["ok"]
    before = station.own_song()
    assert station.ask("nudge", "darker, slower")["ok"]
    station.until(lambda: station.playing.epoch > before.epoch, "the changed song")
    after = station.playing
    assert before.bpm is not None
    assert after.bpm is not None
    assert after.bpm < before.bpm
    assert after.continues is not None
    parent = station.own_song()
    assert station.ask("more")["ok"]
    station.until(lambda: any(loop.continues == parent.loop_id for loop in station.heard), "a song grows out of it")
    assert station.gaps() == 0


def test_surprise_and_programme_choose_prompts_of_their_own(station: WholeStation) -> None:
    assert station.ask("surprise")["preset"]
    station.until(lambda: station.playing.epoch == station.controller.epoch, "the preset is heard")
    assert station.ask("programme", "add", "00:00", "solo harp, slow")["programme"]["slots"]
    assert station.controller.prompt != "solo harp, slow"
    assert station.ask("programme", "on")["ok"]
    station.until(lambda: station.controller.prompt == "solo harp, slow", "what the clock asks for")
    station.until(lambda: station.playing.epoch == station.controller.epoch, "it is heard")
    assert station.cli("programme", "remove", "00:00").returncode == 0
    refused = station.cli("programme", "add", "26:00", "x")
    assert (refused.returncode, "07:00" in refused.stderr) == (2, True)


def test_the_sleep_timer_fades_to_silence_and_start_wakes_the_station(station: WholeStation) -> None:
    assert station.ask("sleep", "10s")["ok"]
    station.until(lambda: station.controller.sleep_s is not None, "the timer is shown")
    station.until(lambda: station.controller.stopped, "it has run out")
    station.blocks.clear()
    station.until(lambda: [peak for _, peak in station.blocks[-50:]] == [0.0] * 50, "silence")
    assert station.ask("start")["ok"]
    station.until(lambda: station.blocks[-1][1] > AUDIBLE, "sound again")
