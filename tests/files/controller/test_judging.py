"""Commands about loops: each means the right one, answers in one sentence, and holds for the player and the library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from services.controller.effects import Delete, Draw
from services.controller.library import DISLIKED, LIKED, Library, open_library
from services.controller.library.opening import read_verdicts
from services.controller.remaking import remake
from shared.audio_files import write_wav
from shared.messages import ClipAccepted, PlayerStatus, Status
from shared.music import Loop, Recipe
from shared.paths import Paths
from tests.unit.controller.conftest import House, a_loop, jobs, of
from tests.unit.controller.counter import Counter

RECIPE = Recipe(
    prompt="rain",
    backend="composer",
    seed=7,
    disclosure="composed by rules, no AI model; free to use",
    options={"bpm": 81.0, "key": "A minor", "meter": "3/4", "piece": True},
)


def stored(paths: Paths, loop_id: str, **more: object) -> Loop:
    path = paths.loops / f"{loop_id}.wav"
    write_wav(path, np.zeros((4_800, 2), np.float32), 48_000)
    facts: dict[str, object] = {"title": loop_id.upper(), "recipe": RECIPE, **more}
    return a_loop(loop_id, path=str(path), frames=4_800, **facts)


def holds(house: House, loop_id: str, *held: str) -> None:
    state = PlayerStatus(playing=True, loop_id=loop_id, held=(loop_id, *held))
    house.note(house.station.observe(Status(service="player", pid=7, uptime_s=1, state=state), house.now))


@pytest.fixture
def desk(paths: Paths) -> Counter:
    """A station that plays B after A, and has C; all are in the library."""
    counter = Counter(paths)
    station = counter.house.station
    with_library(paths, lambda library: [library.add(stored(paths, name), 1.0) for name in "abc"])
    for name in "abc":
        station.shelf[name] = stored(paths, name)
    for name in "ab":
        counter.house.sounds(name)
    return counter


def with_library(paths: Paths, work: Any) -> Any:
    library, _ = open_library(paths)
    try:
        return work(library)
    finally:
        library.close()


def verdicts(paths: Paths) -> dict[str, int]:
    found: dict[str, int] = with_library(paths, Library.verdicts)
    return found


def test_like_means_what_plays_and_previous_what_played_before(desk: Counter) -> None:
    assert "Liked “B”" in desk.ask("like").text
    assert "Liked “A”" in desk.ask("like", previous=True).text
    assert "Liked “C”" in desk.ask("like", loop="C").text
    assert verdicts(desk.paths) == read_verdicts(desk.paths.library) == {"a": LIKED, "b": LIKED, "c": LIKED}
    assert desk.ask("like", undo=True).ok
    assert verdicts(desk.paths) == {"a": LIKED, "c": LIKED}


def test_what_is_disliked_is_left_and_never_named_again(desk: Counter) -> None:
    assert desk.ask("dislike").ok
    wanted = desk.house.station.wanted
    assert (wanted.skips, wanted.unwanted) == (1, ("b",))
    assert "b" not in [loop.loop_id for loop in wanted.queue]
    assert verdicts(desk.paths) == {"b": DISLIKED}
    answer = desk.ask("play", loop="b")
    assert (answer.exit_code, "dislike" in answer.text) == (1, True)
    assert desk.ask("dislike", undo=True, loop="b").ok
    assert desk.house.station.wanted.unwanted == ()
    assert desk.ask("play", loop="b").ok


def test_a_dislike_too_late_leaves_what_plays_alone(desk: Counter) -> None:
    assert "“A”" in desk.ask("dislike", previous=True).text
    assert desk.house.station.wanted.skips == 0
    assert desk.house.station.previous() is None


def test_a_loop_asked_for_comes_first_and_is_gone_to_once_the_player_holds_it(desk: Counter) -> None:
    house = desk.house
    assert "On to “C”" in desk.ask("play", loop="#3").text
    wanted = house.station.wanted
    assert ([loop.loop_id for loop in wanted.queue][:2], wanted.skips) == (["b", "c"], 0)
    holds(house, "b", "c")
    holds(house, "b", "c", "a")
    assert house.station.wanted.skips == 1
    holds(house, "c", "b")
    assert house.station.state.chosen == ()
    assert house.station.wanted.queue[0].loop_id == "c"


def test_what_plays_already_stays(desk: Counter) -> None:
    assert "plays already" in desk.ask("play", loop="B").text
    assert "--new-seed" in desk.ask("again").text
    assert (desk.house.station.wanted.skips, desk.house.station.state.chosen) == (0, ())


def test_play_wakes_a_station_that_was_stopped_or_paused(desk: Counter) -> None:
    desk.ask("stop")
    assert desk.ask("play", loop="3").ok
    assert desk.house.station.wanted.playing


def test_audio_that_has_gone_is_said_with_what_to_do(desk: Counter) -> None:
    with_library(desk.paths, lambda library: library.gone(["c"]))
    assert "`infiniloop again 3`" in desk.ask("play", loop="C").text


def test_again_plays_what_is_there_and_makes_what_is_not(desk: Counter) -> None:
    desk.house.ready()
    answer = desk.ask("again", loop="c")
    assert answer.data["made"] is False
    assert desk.house.station.state.summoned == "c"
    with_library(desk.paths, lambda library: library.gone(["c"]))
    desk.house.hear(ClipAccepted(job_id=jobs(desk.house.done)[-1].job_id, token="t", loop=stored(desk.paths, "d")))
    desk.house.ready()
    before = len(jobs(desk.house.done))
    assert desk.ask("again", loop="c").data == desk.ask("library", do="show", loop="c").data | {
        "made": True,
        "seed": 7,
        "loop": desk.ask("library", do="search", words="c").data["loops"][0],
    }
    lease = next(each for each in desk.house.station.foreman.leases.open if each.job.remade)
    job = lease.job
    assert (job.prompt, job.seed, job.bpm, job.key, job.meter, job.piece) == ("rain", 7, 81.0, "A minor", "3/4", True)
    desk.house.deliver(jobs(desk.house.done)[-1])
    desk.house.ready()
    sent = jobs(desk.house.done)[before:]
    assert [each.job_id for each in sent if each.remade] == [job.job_id]


def test_again_takes_another_seed(desk: Counter) -> None:
    desk.house.ready()
    assert desk.ask("again", seed=99).data["seed"] == 99
    first, second = (desk.ask("again", previous=True, new_seed=True).data["seed"] for _ in range(2))
    assert len({first, second, 7}) == 3


def test_again_without_its_backend_is_refused(desk: Counter) -> None:
    made = Recipe(prompt="x", backend="musicgen", model="musicgen-small", seed=1)
    with_library(desk.paths, lambda library: library.add(stored(desk.paths, "m", recipe=made), 1.0))
    desk.house.ready()
    answer = desk.ask("again", loop="m", new_seed=True)
    assert (answer.ok, "musicgen, which cannot work here now" in answer.text) == (False, True)


def test_a_recipe_of_a_model_is_put_as_it_was() -> None:
    options: dict[str, Any] = {"heard": "rain, 80 bpm", "seconds": 12.0}
    made = Recipe(prompt="rain", backend="musicgen", model="musicgen-small", seed=1, options=options)
    job = remake(a_loop("m", recipe=made), None, None)
    assert (job.prompt, job.model, job.seconds, job.seed, job.bars) == ("rain, 80 bpm", "small", 12.0, 1, None)
    parent = a_loop("p", recipe=RECIPE)
    grown = Recipe(prompt="rain", backend="composer", seed=1, parent_clip="p", splice_s=3.0)
    job = remake(a_loop("g", recipe=grown), parent, None)
    assert (job.parent_clip, job.parent_recipe, job.splice_s) == ("p", RECIPE, 3.0)


def test_delete_takes_the_files_with_it_but_not_a_favourite(desk: Counter) -> None:
    desk.ask("like", loop="c")
    assert desk.ask("library", do="delete", loop="c").exit_code == 2
    assert desk.ask("library", do="delete", loop="c", force=True).ok
    (gone,) = of(Delete, desk.house.done)
    assert gone.files == (desk.paths.library / "c.flac",)
    assert "c" not in desk.house.station.shelf
    assert desk.ask("library", do="show", loop="c").exit_code == 2


@pytest.mark.parametrize(
    ("name", "arguments", "code", "words"),
    [
        ("like", {"loop": "no such"}, 2, "no loop"),
        ("like", {"loop": "a", "previous": True}, 2, "not both"),
        ("like", {"loop": 3}, 2, "must be text"),
        ("play", {}, 2, "which loop"),
        ("again", {"seed": -1}, 2, "seed"),
        ("again", {"seed": "x"}, 2, "seed"),
        ("library", {"do": "dance"}, 2, "search"),
        ("library", {"do": "search", "limit": 0}, 2, "1 to 1000"),
        ("library", {"do": "search", "limit": True}, 2, "a number"),
        ("library", {"do": "search", "words": 3}, 2, "words"),
        ("library", {"do": "show"}, 2, "which loop"),
        ("library", {"do": "history", "limit": "all"}, 2, "1 to 1000"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    desk: Counter, name: str, arguments: dict[str, Any], code: int, words: str
) -> None:
    answer = desk.ask(name, **arguments)
    assert (answer.ok, answer.exit_code) == (False, code)
    assert words in answer.text


def test_where_nothing_or_a_shipped_loop_plays_there_is_nothing_to_like(paths: Paths, desk: Counter) -> None:
    assert "Nothing plays" in Counter(paths).ask("like").text
    shipped = a_loop("first-light", startup=True)
    state = PlayerStatus(playing=True, loop_id="first-light", loop=shipped)
    desk.house.station.observe(Status(service="player", pid=7, uptime_s=1, state=state), 100.0)
    assert "ships with the station" in desk.ask("like").text


def test_a_new_prompt_with_nothing_at_hand_draws_on_the_library(desk: Counter) -> None:
    station, house = desk.house.station, desk.house
    house.done.clear()
    desk.ask("start", prompt="solo harp at night")
    (draw,) = of(Draw, house.done)
    assert (draw.prompt, draw.epoch) == ("solo harp at night", station.state.epoch)
    harp = stored(desk.paths, "h", recipe=Recipe(prompt="Harp solo, night", backend="composer", seed=1))
    house.note(station.offered([stored(desk.paths, "z"), harp], draw, house.now))
    assert station.wanted.queue[0].loop_id == "h"
    assert station.offered([harp], Draw("another prompt", "", draw.epoch), house.now) == []


def test_where_nothing_new_comes_the_library_plays_and_more_is_made_all_the_same(desk: Counter) -> None:
    house, station = desk.house, desk.house.station
    house.sounds("c")
    (draw,) = of(Draw, house.done)[-1:]
    loops = [stored(desk.paths, name, epoch=0) for name in ("old1", "old2")]
    house.note(station.offered(loops, draw, house.now))
    assert {"old1", "old2"} <= {loop.loop_id for loop in station.wanted.queue}
    assert station.stock.fresh == []


def test_a_file_that_the_library_moved_is_played_from_there(desk: Counter) -> None:
    station = desk.house.station
    moved = stored(desk.paths, "c", epoch=5)
    kept = str(desk.paths.library / "c.flac")
    desk.house.note(station.moved(replace(moved, path=kept), desk.house.now))
    assert (station.shelf["c"].path, station.shelf["c"].epoch) == (kept, 1)
    assert Path(kept).suffix == ".flac"
