"""Bridges: what a new prompt is heard by until its first song is made."""

from __future__ import annotations

from shared.music import Recipe
from tests.unit.controller.conftest import COMPOSER, MUSICGEN, House, a_loop, jobs, one_job


def test_a_new_prompt_gets_a_composed_bridge_before_a_models_first_loop(bridging: House) -> None:
    house = bridging
    house.note(house.station.start("deep sea", "", "", house.now))
    (bridge,) = jobs(house.ready("w1", COMPOSER, MUSICGEN))
    assert (bridge.bridge, bridge.backend, bridge.piece) == (True, "composer", False)
    house.deliver(bridge)
    house.accept(bridge)
    assert [loop.bridge for loop in house.station.wanted.queue] == [True]
    (song,) = jobs(house.ready("w1", COMPOSER, MUSICGEN))
    assert (song.bridge, song.backend) == (False, "musicgen")
    house.deliver(song)
    house.accept(song)
    assert [loop.bridge for loop in house.station.wanted.queue] == [False]


def test_what_sounds_for_a_new_prompt_stays_until_more_of_it_is_there(bridging: House) -> None:
    house = bridging
    house.station.stock.shelf = {"old": a_loop("old", epoch=0)}
    bridge = one_job(house)
    house.deliver(bridge)
    house.accept(bridge)
    house.sounds(house.station.wanted.queue[0].loop_id)
    song = one_job(house)
    assert house.station.wanted.hold
    assert not house.station.state.hold
    house.deliver(song)
    house.accept(song)
    assert not house.station.wanted.hold
    assert [loop.epoch for loop in house.station.wanted.queue] == [1, 1]


def test_a_prompt_whose_generator_died_goes_on_with_what_there_is(bridging: House) -> None:
    house = bridging
    house.station.stock.shelf = {"old": a_loop("old", epoch=0)}
    bridge = one_job(house)
    house.deliver(bridge)
    house.accept(bridge)
    house.sounds(house.station.wanted.queue[0].loop_id)
    house.wait(60)
    assert not house.station.wanted.hold
    assert "old" in [loop.loop_id for loop in house.station.wanted.queue]


def test_the_composers_first_song_goes_on_with_its_bridge(bridging: House) -> None:
    house = bridging
    bridge = one_job(house)
    house.deliver(bridge)
    house.accept(bridge, recipe=Recipe(prompt="calm", backend="composer", seed=bridge.seed))
    song = one_job(house)
    assert (song.seed, song.piece, song.bridge) == (bridge.seed, True, False)
    house.deliver(song)
    house.accept(song)
    assert one_job(house).seed != song.seed
