"""Prompts by the clock: across midnight, over the nights when hours are repeated or left out, and on disk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.controller.cli.root import run_command
from services.controller.presets import open_book
from services.controller.programme import (
    Programme,
    Slot,
    change_programme,
    coming,
    due,
    news,
    open_programme,
    programme_change,
    save_programme,
)
from shared.errors import UsageError
from shared.paths import Paths
from tests.unit.controller.conftest import House, jobs

DAY = Programme(
    slots=(
        Slot(at="02:30", prompts=("night drone",)),
        Slot(at="07:00", prompts=("calm piano",)),
        Slot(at="09:00", prompts=("focus", "techno", "dub"), every_min=20),
        Slot(at="22:30", prompts=("sleep",)),
    )
)


def _asked(hour: int, minute: int, day: int = 5) -> str:
    found = due(DAY, datetime(2026, 3, day, hour, minute))
    assert found is not None
    return found.prompt


def test_an_entry_holds_from_its_time_to_the_next_ones_across_midnight_too() -> None:
    assert [_asked(6, 59), _asked(7, 0), _asked(8, 59)] == ["night drone", "calm piano", "calm piano"]
    assert [_asked(22, 29), _asked(22, 30), _asked(0, 0), _asked(2, 29)] == ["techno", "sleep", "sleep", "sleep"]


def test_several_prompts_take_turns() -> None:
    heard = [_asked(9, minute) for minute in range(0, 60, 20)]
    assert heard == ["focus", "techno", "dub"]
    assert _asked(10, 0) == "focus"
    assert _asked(9, 19) == "focus"


def test_what_comes_next_is_foretold() -> None:
    for at, comes in (((6, 0), "07:00 calm piano"), ((9, 10), "09:20 techno"), ((23, 0), "02:30 night drone")):
        found = coming(DAY, datetime(2026, 3, 5, *at))
        assert found is not None
        assert f"{found.since[-5:]} {found.prompt}" == comes
    assert coming(Programme(slots=DAY.slots[:1]), datetime(2026, 3, 5)) is None


def test_an_empty_programme_and_one_that_is_off_ask_for_nothing() -> None:
    assert due(Programme(), datetime(2026, 3, 5)) is None
    assert due(Programme(on=False, slots=DAY.slots), datetime(2026, 3, 5)) is None


@pytest.mark.parametrize("night", [datetime(2026, 3, 28, 12), datetime(2026, 10, 24, 12)], ids=["spring", "autumn"])
def test_a_night_that_is_an_hour_shorter_or_longer_plays_every_entry_once(night: datetime) -> None:
    zone = ZoneInfo("Europe/Berlin")
    start, applied, heard = night.replace(tzinfo=zone).astimezone(UTC), "", []
    for minutes in range(0, 24 * 60, 1):
        found = news(DAY, (start + timedelta(minutes=minutes)).astimezone(zone), applied)
        if found is not None:
            applied = found.since
            heard.append(found.prompt)
    turns = [prompt for prompt in heard if prompt in ("focus", "techno", "dub")]
    others = [prompt for prompt in heard if prompt not in turns]
    assert others == ["sleep", "night drone", "calm piano"]
    assert all(before != after for before, after in pairwise(turns))


def test_a_clock_that_was_set_back_by_days_is_believed() -> None:
    assert news(DAY, datetime(2026, 3, 5, 8), "2026-03-09T07:00") is not None
    assert news(DAY, datetime(2026, 3, 5, 8), "2026-03-05T09:00") is None


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 24 * 60 - 1), st.lists(st.integers(0, 24 * 60 - 1), min_size=1, max_size=8, unique=True))
def test_what_is_due_began_last(minute: int, times: list[int]) -> None:
    programme = Programme()
    for time in times:
        programme = programme.add(Slot(at=f"{time // 60:02}:{time % 60:02}", prompts=(str(time),)))
    found = due(programme, datetime(2026, 6, 1) + timedelta(minutes=minute))
    assert found is not None
    assert int(found.prompt) == max((time for time in times if time <= minute), default=max(times))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"action": "add", "at": "25:00", "prompts": ["x"]}, "07:00"),
        ({"action": "add", "at": "7.30", "prompts": ["x"]}, "07:00"),
        ({"action": "add", "at": "7", "prompts": []}, "prompts"),
        ({"action": "add", "at": "7", "prompts": ["  "]}, "prompts"),
        ({"action": "add", "at": "7", "prompts": "x"}, "prompts"),
        ({"action": "add", "at": "7", "prompts": ["a", "b"], "every": 1}, "5 to 720"),
        ({"action": "add", "at": "7", "prompts": ["a", "b"], "every": "x"}, "minutes"),
        ({"action": "remove", "at": "noon"}, "time of day"),
        ({"action": "dance"}, "list, add"),
    ],
)
def test_what_is_wrong_is_refused_in_a_sentence(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        programme_change(arguments)


def test_it_is_kept_in_a_file_and_a_damaged_one_is_set_aside(tmp_path: Path) -> None:
    paths = Paths.under(tmp_path)
    save_programme(paths, DAY)
    assert open_programme(paths) == (DAY, "")
    change, _ = programme_change({"action": "remove", "at": "7"})
    assert [slot.at for slot in change_programme(paths, change).slots] == ["02:30", "09:00", "22:30"]
    with pytest.raises(UsageError, match="02:30"):
        change_programme(paths, change)
    (paths.config / "programme.json").write_text('{"slots": [{"at": "99:00", "prompts": ["x"]}]}')
    programme, note = open_programme(paths)
    assert programme == Programme()
    assert (paths.config / "programme.json.broken-1").exists()
    assert "set aside" in note


# -- in the station ---------------------------------------------------------------------------------------------------


def _at(house: House, hour: int, minute: int = 0, day: int = 5) -> str:
    zone = timezone(timedelta(hours=1))
    house.now += 60
    house.note(house.station.tick(house.now, datetime(2026, 3, day, hour, minute, tzinfo=zone)))
    return house.station.state.prompt


def test_the_station_follows_the_clock_and_keeps_what_was_asked_for_until_the_next_entry(house: House) -> None:
    _at(house, 6)
    house.note(house.station.keep_programme(DAY, house.now, at_once=True))
    assert house.station.state.prompt == "night drone"
    assert _at(house, 7) == "calm piano"
    house.note(house.station.start("stormy techno", "", "", house.now))
    assert _at(house, 8) == "stormy techno"
    assert _at(house, 9) == "focus"
    assert _at(house, 7, day=6) == "calm piano"


def test_an_entry_that_is_added_waits_for_its_time(house: House) -> None:
    before = _at(house, 12)
    house.note(house.station.keep_programme(Programme(slots=(Slot(at="07:00", prompts=("calm piano",)),)), house.now))
    assert _at(house, 13) == before
    assert _at(house, 7, day=6) == "calm piano"


def test_after_a_restart_the_clock_does_not_say_again_what_it_has_said(house: House) -> None:
    _at(house, 12)
    house.note(house.station.keep_programme(DAY, house.now, at_once=True))
    house.note(house.station.start("stormy techno", "", "", house.now))
    later = house.again()
    later.station.programme = DAY
    assert _at(later, 12, 5) == "stormy techno"
    assert _at(later, 22, 30) == "sleep"


def test_the_clocks_prompt_is_made_without_haste(bridging: House) -> None:
    _at(bridging, 12)
    bridging.note(bridging.station.keep_programme(DAY, bridging.now, at_once=True))
    assert [job.bridge for job in jobs(bridging.ready())] == [False]


def test_a_stopped_station_stays_silent_through_its_day(house: House) -> None:
    _at(house, 6)
    house.note(house.station.wish(house.now, stopped=True))
    house.note(house.station.keep_programme(DAY, house.now, at_once=True))
    assert _at(house, 7) == "calm piano"
    assert house.station.wanted.stopped


def test_an_entry_takes_the_words_of_presets_too(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INFINILOOP_HOME", str(paths.config.parent))
    words = open_book(paths)[0].find("sleep-drone").prompt
    assert run_command(["programme", "add", "22:30", "slow rain", "--preset", "sleep-drone"]) == 0
    assert open_programme(paths)[0].slots == (Slot(at="22:30", prompts=("slow rain", words)),)
    for wrong, said in ((["--preset", "sleep-dron"], "sleep-dron"), ([], "--preset NAME")):
        assert run_command(["programme", "add", "23:00", *wrong]) == 2
        assert said in capsys.readouterr().err
    assert len(open_programme(paths)[0].slots) == 1
