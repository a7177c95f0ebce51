"""Bridges: what a new prompt is heard by until its first song is made."""

from __future__ import annotations

from services.controller.making import BRIDGES_AGAIN
from services.controller.workers import TRIES
from shared.messages import Failed, Job
from shared.music import Recipe
from tests.unit.controller.conftest import COMPOSER, MUSICGEN, House, a_loop, cancels, jobs, one_job


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


def test_a_bridge_that_the_player_has_read_stays_next_until_it_has_read_the_song(bridging: House) -> None:
    house = bridging
    house.station.stock.shelf = {"old": a_loop("old", epoch=0)}
    house.sounds("old")
    bridge = one_job(house)
    house.deliver(bridge)
    house.accept(bridge)
    (next_up,) = house.station.wanted.queue
    assert next_up.bridge
    house.sounds("old", held=("old", next_up.loop_id))
    song = one_job(house)
    house.deliver(song)
    house.accept(song)
    assert [loop.bridge for loop in house.station.wanted.queue] == [True, False]
    house.sounds("old", held=("old", *(loop.loop_id for loop in house.station.wanted.queue)))
    assert [loop.bridge for loop in house.station.wanted.queue] == [False]


def bridge_sounds(house: House) -> None:
    """A bridge has taken over from a song of an earlier prompt."""
    house.station.stock.shelf = {"old": a_loop("old", epoch=0)}
    bridge = one_job(house)
    house.deliver(bridge)
    house.accept(bridge)
    house.sounds(house.station.wanted.queue[0].loop_id)


def test_what_sounds_for_a_new_prompt_stays_until_more_of_it_is_there(bridging: House) -> None:
    house = bridging
    bridge_sounds(house)
    song = one_job(house)
    assert house.station.wanted.hold
    assert not house.station.state.hold
    house.deliver(song)
    house.accept(song)
    assert not house.station.wanted.hold
    assert [loop.epoch for loop in house.station.wanted.queue] == [1, 1]


def test_a_prompt_whose_generator_died_goes_on_with_what_there_is(bridging: House) -> None:
    house = bridging
    bridge_sounds(house)
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


def refused(house: House, bridge: Job) -> tuple[Job, bool]:
    """The bridge is refused while the song behind it is being made: that song, and whether it is called back."""
    house.deliver(bridge)
    (song,) = jobs(house.ready("w1", COMPOSER, MUSICGEN) or house.wait(5, alive=("w1",)))
    assert not song.bridge
    called_back = bool(cancels(house.reject(bridge)))
    if called_back:
        house.hear(Failed(job_id=song.job_id, token=song.token, reason="called back", retry=False), "w1")
    return song, called_back


def test_a_refused_bridge_is_composed_anew_before_the_song_which_goes_on_with_it(bridging: House) -> None:
    house = bridging
    house.note(house.station.start("deep sea", "", "", house.now))
    (first,) = jobs(house.ready("w1", COMPOSER, MUSICGEN))
    assert refused(house, first)[1]
    (second,) = jobs(house.ready("w1", COMPOSER, MUSICGEN))
    assert second.bridge
    assert second.seed != first.seed
    house.deliver(second)
    house.accept(second)
    assert [loop.bridge for loop in house.station.wanted.queue] == [True]
    (song,) = jobs(house.ready("w1", COMPOSER, MUSICGEN))
    assert (song.bridge, song.seed) == (False, second.seed)


def test_bridges_that_are_refused_again_and_again_give_way_to_the_song(bridging: House) -> None:
    house, bridges, called_back = bridging, 0, True
    house.note(house.station.start("deep sea", "", "", house.now))
    while called_back:
        (bridge,) = jobs(house.ready("w1", COMPOSER, MUSICGEN) or house.wait(5, alive=("w1",)))
        assert bridge.bridge
        song, called_back = refused(house, bridge)
        bridges += 1
    assert bridges == 1 + BRIDGES_AGAIN
    house.deliver(song)
    house.accept(song)
    assert [loop.bridge for loop in house.station.wanted.queue] == [False]


def test_a_refused_bridge_leaves_the_count_of_clips_that_missed_the_words(bridging: House) -> None:
    house, trust = bridging, bridging.station.foreman.trust
    house.note(house.station.start("deep sea", "", "", house.now))
    (bridge,) = jobs(house.ready("w1", COMPOSER, MUSICGEN))
    for _ in range(TRIES - 1):
        trust.astray("musicgen", "This clip has 97 beats a minute.", house.now)
    assert refused(house, bridge)[1]
    assert trust.rests("musicgen", house.now) == 0
    trust.astray("musicgen", "This clip has 88 beats a minute.", house.now)
    assert trust.rests("musicgen", house.now) > 0


def test_a_bridge_of_an_older_prompt_that_is_refused_disturbs_nothing(bridging: House) -> None:
    house = bridging
    house.note(house.station.start("deep sea", "", "", house.now))
    (first,) = jobs(house.ready("w1", COMPOSER, MUSICGEN))
    house.deliver(first)
    house.note(house.station.start("high mountain", "", "", house.now))
    (other,) = jobs(house.ready("w1", COMPOSER, MUSICGEN))
    assert other.bridge
    assert cancels(house.reject(first)) == []
