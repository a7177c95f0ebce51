"""Words and modes on whole stations of real processes: heard, shown, and true in what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.controller.library import open_library
from shared.music import Loop
from shared.paths import Paths
from tests.pipeline.generating import with_musicgpt
from tests.pipeline.whole import AUDIBLE, WholeStation

SLOWLY = "taking its time"


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeStation]:
    """A station that composes; each test takes it as it finds it."""
    with WholeStation(tmp_path_factory.mktemp("steering") / "home") as running:
        running.until(running.is_up, "all five services report")
        yield running


def now(station: WholeStation) -> Loop:
    return station.heard[-1]


def composed(station: WholeStation) -> Loop:
    """A song of this prompt sounds that is no bridge."""

    def sounds() -> bool:
        loop = now(station)
        return loop.epoch == station.controller.epoch and not loop.bridge and not loop.startup

    station.until(sounds, "a song of this prompt")
    return now(station)


def test_a_slow_model_is_bridged_called_back_by_the_next_words_and_what_it_made_is_kept(tmp_path: Path) -> None:
    home = tmp_path / "home"
    given = with_musicgpt(Paths.under(home)) | {"INFINILOOP_GENERATOR_BACKEND": "musicgpt"}
    with WholeStation(home, **given) as station:
        station.until(station.is_up, "all five services report")
        station.until(lambda: station.controller.accepted, "something was made")
        for prompt in (f"slow piano {SLOWLY}", f"techno {SLOWLY}"):
            epoch, cancelled = station.controller.epoch, station.controller.cancelled
            assert station.ask("start", prompt)["ok"]
            station.until(lambda epoch=epoch: now(station).epoch == epoch + 1, "the new prompt is heard")
            assert now(station).bridge
            station.until(lambda: "MusicGPT in" in station.controller.bridge, "the bridge says what it waits for")
            assert "MusicGPT in" in station.cli("status").stdout
        assert station.controller.cancelled > cancelled
        made = composed(station)
        assert made.recipe is not None
        assert (made.recipe.backend, made.recipe.prompt) == ("musicgpt", f"techno {SLOWLY}")
        assert station.gaps() == 0
        assert station.balances()
        assert station.cli("shutdown").returncode == 0
        kept = {loop.recipe.prompt for loop in open_library(station.paths)[0].shelf() if loop.recipe is not None}
        assert {f"slow piano {SLOWLY}", f"techno {SLOWLY}"} <= kept


def test_a_nudge_changes_what_plays_and_more_goes_on_with_it(station: WholeStation) -> None:
    assert station.ask("start", "deep house, warm, 120 bpm")["ok"]
    before = composed(station)
    assert station.ask("nudge", "darker, slower")["ok"]
    station.until(lambda: now(station).epoch > before.epoch, "the changed song")
    after = now(station)
    assert before.bpm is not None
    assert after.bpm is not None
    assert after.bpm < before.bpm
    assert after.continues is not None
    parent = composed(station)
    assert station.ask("more")["ok"]
    station.until(lambda: any(loop.continues == parent.loop_id for loop in station.heard), "a song grows out of it")
    assert station.gaps() == 0


def test_flow_plays_every_stretch_once_and_each_goes_on_from_the_last(station: WholeStation) -> None:
    assert station.ask("mode", "flow")["ok"]
    assert station.ask("start", "fast chiptune, 180 bpm")["ok"]
    station.until(lambda: station.controller.prompt == "fast chiptune, 180 bpm", "the prompt is told")
    composed(station)
    first = len(station.heard) - 1
    station.until(lambda: len(station.heard) >= first + 3, "two changes", 110)
    stream = station.heard[first : first + 3]
    assert len({loop.loop_id for loop in stream}) == 3
    assert [loop.continues for loop in stream[1:]] == [loop.loop_id for loop in stream[:-1]]
    report = station.ask("status")
    assert (report["mode"], report["work"]["price"] > 0) == ("flow", True)
    assert "of this machine" in station.cli("status").stdout
    assert station.ask("mode", "restful")["ok"]
    assert station.gaps() == 0


def test_surprise_and_programme_choose_prompts_of_their_own(station: WholeStation) -> None:
    assert station.ask("surprise")["preset"]
    station.until(lambda: now(station).epoch == station.controller.epoch, "the preset is heard")
    assert station.ask("programme", "add", "00:00", "solo harp, slow")["programme"]["slots"]
    assert station.controller.prompt != "solo harp, slow"
    assert station.ask("programme", "on")["ok"]
    station.until(lambda: station.controller.prompt == "solo harp, slow", "what the clock asks for")
    station.until(lambda: now(station).epoch == station.controller.epoch, "it is heard")
    assert station.cli("programme", "remove", "00:00").returncode == 0
    refused = station.cli("programme", "add", "26:00", "x")
    assert (refused.returncode, "07:00" in refused.stderr) == (2, True)


def test_the_sleep_timer_fades_to_silence_and_start_wakes_the_station(station: WholeStation) -> None:
    assert station.ask("sleep", "10s")["ok"]
    station.until(lambda: station.controller.sleep_s is not None, "the timer is shown")
    station.until(lambda: station.controller.stopped, "it has run out", 30)
    station.blocks.clear()
    station.until(lambda: [peak for _, peak in station.blocks[-50:]] == [0.0] * 50, "silence")
    assert station.ask("start")["ok"]
    station.until(lambda: station.blocks[-1][1] > AUDIBLE, "sound again")
