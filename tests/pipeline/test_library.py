"""The library behind a running station: late ears mean the right loop, a wish is heard, a lost database is no end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.controller.library import library_file
from tests.pipeline.whole import QUICK, WholeStation


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeStation]:
    """A station that has made three songs; each test takes it as it finds it."""
    with WholeStation(tmp_path_factory.mktemp("library") / "home") as running:
        running.until(running.is_up, "all five services report")
        assert running.ask("start", QUICK)["ok"]
        running.until(lambda: running.controller.accepted >= 3 and running.plays_fresh(), "three songs", 110)
        yield running


def change(station: WholeStation) -> tuple[str, str]:
    """Have the next song come, wait a second more; returns what sounded before and what sounds."""
    before = station.playing.loop_id
    assert station.ask("skip")["ok"]
    station.until(lambda: station.playing.loop_id != before, "the song changes")
    station.watch(1.0)
    return station.heard[-2].loop_id, station.playing.loop_id  # it may have been about to change by itself, too


def entry(station: WholeStation, loop_id: str) -> dict[str, Any]:
    found: dict[str, Any] = station.ask("library", "show", loop_id)["loop"]
    return found


def test_a_second_after_the_change_like_and_dislike_mean_the_song_before(station: WholeStation) -> None:
    before, now = change(station)
    assert station.ask("like", "--previous")["loop"]["loop_id"] == before
    assert station.ask("like")["loop"]["loop_id"] == now
    before, now = change(station)
    assert station.ask("dislike", "--previous")["loop"]["loop_id"] == before
    station.watch(0.5)
    assert station.playing.loop_id == now
    assert before not in station.controller.queue
    assert entry(station, before)["disliked"]
    assert station.gaps() == 0


def test_a_second_after_the_change_save_means_the_song_before_and_last_what_was_heard_of_both(
    station: WholeStation, tmp_path: Path
) -> None:
    before, now = change(station)
    assert station.ask("save", str(tmp_path / "before.flac"), "--previous")["loop_id"] == before
    heard = station.ask("save", str(tmp_path / "heard.flac"), "--last", "12s")["songs"]
    assert {before, now} <= {song["loop_id"] for song in heard}  # either may have sounded earlier, too


def test_a_second_after_the_change_back_returns_and_hold_stays(station: WholeStation) -> None:
    before, _ = change(station)
    assert station.ask("back")["ok"]
    station.until(lambda: station.playing.loop_id == before, "the song before")
    _, now = change(station)
    assert station.ask("hold", "on")["ok"]
    station.watch(16.0)  # more than a song's time
    assert station.playing.loop_id == now
    assert station.ask("hold", "off")["ok"]
    station.until(lambda: station.playing.loop_id != now, "songs change again")
    assert station.gaps() == 0


def test_a_second_after_the_change_again_plays_the_song_before(station: WholeStation) -> None:
    for loop_id in {loop["loop_id"] for loop in station.ask("library", "list", "--disliked")["loops"]}:
        assert station.cli("dislike", loop_id, "--undo").returncode == 0
    before, _ = change(station)
    answer = station.ask("again", "--previous")
    assert (answer["loop"]["loop_id"], answer["made"]) == (before, False)
    station.until(lambda: station.playing.loop_id == before, "the song before, again")


def test_a_loop_that_is_asked_for_plays_from_the_library_within_a_bar(station: WholeStation) -> None:
    kept = station.paths.library
    station.until(lambda: len(list(kept.glob("*.flac"))) >= 2, "audio in the library")
    sounding = station.playing.loop_id
    wanted = next(path.stem for path in sorted(kept.glob("*.flac")) if path.stem != sounding)
    assert station.ask("play", wanted)["loop"]["loop_id"] == wanted
    station.until(lambda: station.playing.loop_id == wanted, "the loop that was asked for", 15)
    history = station.ask("library", "history")["heard"]
    station.until(lambda: station.ask("library", "history")["heard"][0]["loop_id"] == wanted, "it is in the history")
    assert len(history) >= 3


def test_a_disliked_loop_that_sounds_is_left_at_once(station: WholeStation) -> None:
    sounding = station.playing.loop_id
    assert station.ask("dislike")["loop"]["loop_id"] == sounding
    station.until(lambda: station.playing.loop_id != sounding, "it is left", 15)
    assert station.ask("back")["ok"]
    station.watch(3.0)
    assert station.playing.loop_id != sounding
    assert station.cli("play", sounding).returncode == 1


def test_search_is_the_same_with_the_station_and_without_and_a_lost_database_comes_back(tmp_path: Path) -> None:
    with WholeStation(tmp_path / "home") as station:
        station.until(station.is_up, "all five services report")
        assert station.ask("start", QUICK)["ok"]
        station.until(station.plays_fresh, "a loop that was composed here")
        assert station.ask("like")["ok"]
        station.until(lambda: list(station.paths.library.glob("*.flac")), "audio in the library")
        liked = station.ask("library", "search", "composer", "--liked")["loops"]
        assert station.ask("shutdown")["ok"]
        station.until(lambda: not station.family(), "the station has ended")
        without = station.ask("library", "search", "composer", "--liked")["loops"]
        assert [each["loop_id"] for each in without] == [each["loop_id"] for each in liked]
        assert len(liked) == 1
        done = station.cli("like")
        assert (done.returncode, "name a loop" in done.stderr) == (4, True)
        library_file(station.paths).write_bytes(b"\xff" * 5_000)
    with WholeStation(tmp_path / "home") as station:
        station.until(station.is_up, "all five services report")
        assert "set aside as" in station.controller.note
        again = json.loads(station.cli("library", "list", "--liked", "--json").stdout)["loops"]
        assert [each["loop_id"] for each in again] == [each["loop_id"] for each in liked]
        assert station.paths.library.glob("library.sqlite.broken-*")
