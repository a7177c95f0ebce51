"""A render is the station's programme, the same bytes every time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from services.player.offline import Programme
from services.player.samples import Samples
from services.player.store import LoadedLoop, LoadedTransition
from shared.music import Transition
from shared.settings.player import PlayerSettings
from shared.units import STATION_RATE, TAP_BLOCK, Audio
from tests.unit.player.material import audio_of, loaded, loop, noise

SONG = 4 * STATION_RATE
SETTINGS = PlayerSettings(min_duration=SONG / STATION_RATE, variation="off")


@cache
def _loop(number: int, bars: int) -> LoadedLoop:
    return loaded(loop(f"l{number}", bars=bars), number)


def _loops(count: int = 100, *, bars: int = 1) -> Iterator[LoadedLoop]:
    return (_loop(number, bars) for number in range(count))


def _rendered(programme: Programme, frames: int) -> Audio:
    return np.concatenate(list(programme.blocks(frames)))


def test_the_same_bytes_twice_with_moves_and_fades() -> None:
    first, second, plain = (
        _rendered(
            Programme(_loops(bars=4), PlayerSettings(min_duration=6.0, variation=variation)), 8 * STATION_RATE + 123
        )
        for variation in ("full", "full", "off")
    )
    assert len(first) == 8 * STATION_RATE + 123
    assert first.tobytes() == second.tobytes() != plain.tobytes()


def test_songs_follow_in_order_at_phrases_and_the_end_is_silent() -> None:
    programme = Programme(_loops(), SETTINGS)
    out = _rendered(programme, 5 * SONG - STATION_RATE)
    assert [song.loop.loop_id for song in programme.songs] == ["l0", "l1", "l2", "l3", "l4"]
    assert [song.frame for song in programme.songs] == [SONG * number for number in range(5)]
    second = audio_of(_loop(1, 1))
    begun = programme.songs[1].frame + 2 * STATION_RATE
    heard = out[begun : programme.songs[2].frame]
    assert len(heard) == SONG - 2 * STATION_RATE
    assert np.array_equal(heard, np.take(second, np.arange(2 * STATION_RATE, SONG), 0, mode="wrap"))
    assert np.abs(out[-TAP_BLOCK // 4 :]).max() < 1e-4
    assert np.abs(out[STATION_RATE : -2 * STATION_RATE].reshape(-1, 4_800)).max(axis=1).min() > 0


def test_loops_that_come_to_an_end_go_round() -> None:
    programme = Programme(_loops(2), SETTINGS)
    _rendered(programme, 5 * SONG - STATION_RATE)
    assert [song.loop.loop_id for song in programme.songs] == ["l0", "l1", "l0", "l1", "l0"]


def test_one_loop_alone_plays_to_the_end() -> None:
    programme = Programme(_loops(1), SETTINGS)
    out = _rendered(programme, 3 * SONG)
    assert len(programme.songs) == 1
    assert np.abs(out[2 * SONG : 3 * SONG - 2 * STATION_RATE]).max() > 0.05


def test_no_more_than_four_loops_are_held() -> None:
    drawn = []

    def counted() -> Iterator[LoadedLoop]:
        for made in _loops():
            drawn.append(made.loop_id)
            yield made

    programme = Programme(counted(), SETTINGS)
    for number, _ in enumerate(programme.blocks(6 * SONG)):
        if number % 40 == 20:
            assert 3 <= len(programme._engine.report().held) <= 4
            assert len(drawn) <= len(programme.songs) + 2


def test_rendered_transitions_are_spliced_in() -> None:
    splice = noise(STATION_RATE, 99)

    def rendered(first: LoadedLoop, second: LoadedLoop, exit_after: int) -> LoadedTransition:
        assert exit_after == (2 if first.loop_id == "l0" else 1) * STATION_RATE
        plan = Transition(
            from_loop=first.loop_id,
            to_loop=second.loop_id,
            kind="blend",
            path="x.wav",
            frames=len(splice),
            exit_frame=STATION_RATE,
            entry_frame=0,
        )
        return LoadedTransition(plan, Samples.of(splice))

    programme = Programme(_loops(), SETTINGS, transitions=rendered)
    out = _rendered(programme, 2 * SONG)
    assert programme.songs[1].frame == SONG + STATION_RATE
    assert programme.songs[1].entered == "blend"
    assert np.array_equal(out[SONG + STATION_RATE : SONG + 2 * STATION_RATE], splice)
