"""Commands: each answers once, in one sentence, with the right exit code; settings and saves go through the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.controller.cli.status import told
from services.controller.effects import OwnSettings
from services.controller.report import report
from shared.messages import PlayerStatus, Status
from shared.paths import Paths
from shared.settings import carried_settings, carry, load
from tests.unit.controller.conftest import a_loop, of
from tests.unit.controller.counter import Counter


@pytest.fixture
def desk(paths: Paths) -> Counter:
    return Counter(paths)


@pytest.mark.parametrize(
    ("name", "arguments", "code", "words"),
    [
        ("start", {"prompt": "   "}, 2, "empty"),
        ("start", {"prompt": "x" * 2001}, 2, "2001 characters"),
        ("start", {"prompt": "a\x07b"}, 2, "cannot be shown"),
        ("start", {"prompt": 7}, 2, "must be text"),
        ("start", {"prompt": "x", "preset": "y"}, 2, "not both"),
        ("start", {"preset": "no such preset"}, 2, "preset"),
        ("start", {"prompt": "x", "backend": "magic"}, 2, "musicgen"),
        ("start", {"prompt": "x", "settings": {"duration": 31}}, 2, "5 to 30"),
        ("start", {"prompt": "x", "settings": {"driver": "tape"}}, 2, "pulse"),
        ("start", {"prompt": "x", "settings": ["duration"]}, 2, "names with their values"),
        ("set", {"key": "volum", "value": 3}, 2, "volume"),
        ("set", {"key": "volume", "value": 300}, 2, "0 to 100"),
        ("set", {"key": "volume"}, 2, "setting and a value"),
        ("volume", {}, 2, "0 to 100"),
        ("hold", {}, 2, "on or off"),
        ("save", {"file": "/tmp/x.wav"}, 1, "Nothing plays"),
        ("save", {"file": "/tmp/x.wav", "previous": True}, 1, "no earlier"),
        ("save", {}, 2, "file"),
        ("dance", {}, 2, "knows no command"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_changes_nothing(
    desk: Counter, name: str, arguments: dict[str, Any], code: int, words: str
) -> None:
    before = desk.house.station.wanted
    answer = desk.ask(name, **arguments)
    assert (answer.ok, answer.exit_code) == (False, code)
    assert words in answer.text
    assert desk.house.station.wanted == before


def test_a_setting_is_kept_and_in_force(desk: Counter) -> None:
    answer = desk.ask("set", key="minduration", value="45")
    assert answer.ok, answer.text
    assert desk.house.station.wanted.min_duration_s == 45
    assert load(desk.paths, environment={})[0].player.min_duration == 45


def test_the_environment_goes_before_the_file_and_the_answer_says_so(
    desk: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFINILOOP_PLAYER_VOLUME", "12")
    assert "environment" in desk.ask("volume", volume=50).text


def test_a_broken_settings_file_is_set_aside_before_a_change(desk: Counter) -> None:
    desk.paths.settings_file.write_text("[player\n")
    answer = desk.ask("volume", volume=50)
    assert answer.ok
    assert "set aside" in answer.text
    assert load(desk.paths, environment={})[0].player.volume == 50


def test_a_preset_is_played(desk: Counter) -> None:
    assert desk.ask("start", preset="lofi-study").ok
    assert desk.house.station.state.epoch == 2


def test_settings_of_a_preset_hold_while_it_plays_and_those_given_with_it_are_kept(desk: Counter) -> None:
    desk.ask("set", key="minduration", value=90)
    answer = desk.ask("start", preset="deep-focus", backend="composer", settings={"minlength": "4", "duration": 15})
    assert answer.ok
    for word in ("deep focus", "While it plays, min_duration is 300", "min_loop is 4", "duration is 15"):
        assert word in answer.text
    chosen = load(desk.paths, environment={})[0]
    assert (chosen.player.min_duration, chosen.analyzer.min_loop, chosen.generator.duration) == (300, "4", 15)
    assert desk.house.station.wanted.min_duration_s == 300
    state = desk.house.station.state
    assert (state.backend, state.epoch, state.preset) == ("composer", 2, "deep-focus")
    desk.house.done.clear()
    assert desk.ask("nudge", words="warmer").ok
    assert not of(OwnSettings, desk.house.done)
    assert desk.ask("start", prompt="slow rain").ok
    assert of(OwnSettings, desk.house.done)
    assert state.preset == ""
    carry(desk.paths, {})  # what the shell does then
    chosen = load(desk.paths, environment={})[0]
    assert (chosen.player.min_duration, chosen.analyzer.min_loop, chosen.generator.duration) == (90, "4", 15)


def test_what_a_listener_sets_while_a_preset_plays_is_theirs(desk: Counter) -> None:
    desk.ask("start", preset="deep-focus")
    assert desk.ask("set", key="minduration", value=45).ok
    assert desk.house.station.wanted.min_duration_s == 45
    assert carried_settings(desk.paths) == {}
    desk.ask("start", preset="deep-focus", settings={"minduration": 50})
    assert desk.house.station.wanted.min_duration_s == 50
    assert load(desk.paths, environment={})[0].player.min_duration == 50


def test_a_preset_that_sets_nothing_takes_back_what_the_last_one_set(desk: Counter) -> None:
    desk.ask("start", preset="deep-focus")
    desk.house.done.clear()
    desk.ask("start", preset="lofi-study")
    assert desk.house.station.wanted.min_duration_s == 120
    assert not of(OwnSettings, desk.house.done)


def test_settings_come_with_playing_on_too(desk: Counter) -> None:
    desk.ask("stop")
    answer = desk.ask("start", settings={"player.driver": "null"})
    assert answer.ok
    assert desk.house.station.wanted.playing
    assert desk.house.station.wanted.driver == "null"
    assert desk.house.station.state.epoch == 1


def test_blanks_around_and_within_a_prompt_are_one(desk: Counter) -> None:
    desk.ask("start", prompt="  calm \n piano  ")
    assert desk.house.station.state.prompt == "calm piano"


def test_skip_back_hold_pause_and_stop_are_wanted_of_the_player(desk: Counter) -> None:
    for name in ("skip", "skip", "back", "pause", "stop"):
        assert desk.ask(name).ok
    desk.ask("hold", on=True)
    wanted = desk.house.station.wanted
    assert (wanted.skips, wanted.backs, wanted.playing, wanted.stopped, wanted.hold) == (2, 1, False, True, True)
    assert desk.ask("resume").ok
    assert desk.house.station.wanted.playing


def test_shutdown_answers_first(desk: Counter) -> None:
    assert desk.ask("shutdown").ok
    assert desk.ended


def test_the_report_in_words_names_what_plays_what_comes_and_why_it_waits(desk: Counter, tmp_path: Path) -> None:
    station = desk.house.station
    now = a_loop("now", title="Amber Street", artist="Ada Vale")
    station.stock.shelf = {"now": now, "b": a_loop("b", title="Quiet Harbour")}
    desk.house.sounds("now")
    status = Status(service="player", pid=1, uptime_s=1, state=PlayerStatus(loop_id="now", song_length_frames=48_000))
    data = report(station, {"player": (status, 99.0)}, 100.0)
    data |= {
        "library": {"loops": 2, "stored": 2, "liked": 1, "bytes": 3},
        "disk": {"cache_bytes": 1, "free_bytes": 2},
        "note": "Mind this.",
    }
    words = told(data)
    for part in ("Amber Street – Ada Vale", "Quiet Harbour", "80 bpm", station.waiting, "Mind this."):
        assert part in words
    assert "\n\n\n" not in words
