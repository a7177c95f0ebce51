"""The programme has no hole: what was lost is silence of the same length, and a player that is away is waited for."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dashboard.programme import BLOCK_S, LONGEST_HOLE, PATIENCE_S, Programme
from shared.units import TAP_BLOCK, Audio


def block(value: float) -> Audio:
    return np.full((TAP_BLOCK, 2), value, np.float32)


@settings(max_examples=50, deadline=None)
@given(lost=st.sets(st.integers(1, 98), max_size=60))
def test_every_lost_block_is_silence_in_its_place(lost: set[int]) -> None:
    programme = Programme(history_s=5.0)
    out: list[Audio] = []
    for number in range(100):
        if number not in lost:
            out += programme.take(number, block(number + 1.0), number * BLOCK_S)
    assert [float(each[0, 0]) for each in out] == [0.0 if n in lost else n + 1.0 for n in range(100)]
    assert programme.filled == len(lost)


def test_a_player_that_begins_again_is_followed_without_a_hole() -> None:
    programme = Programme(history_s=1.0)
    programme.take(5_000, block(1.0), 0.0)
    assert len(programme.take(0, block(2.0), 1.5)) == 1
    assert len(programme.take(1, block(2.0), 1.52)) == 1
    assert programme.restarts == 1
    assert programme.filled == 0


def test_silence_keeps_listeners_only_after_patience() -> None:
    programme = Programme(history_s=1.0)
    assert programme.wait(100.0) == []  # nothing sounded yet: there is nothing to go on with
    programme.take(0, block(1.0), 0.0)
    assert programme.wait(PATIENCE_S - 0.1) == []
    given = sum(len(programme.wait(PATIENCE_S + tenths / 10)) for tenths in range(1, 31))
    assert abs(given - 3.0 / BLOCK_S) <= 1


def test_silence_given_while_waiting_is_not_given_twice() -> None:
    programme = Programme(history_s=1.0)
    programme.take(0, block(1.0), 0.0)
    waited = programme.wait(PATIENCE_S + 1.0)
    missed = round((PATIENCE_S + 1.0) / BLOCK_S)
    then = programme.take(missed + 1, block(1.0), PATIENCE_S + 1.0)
    assert len(waited) + len(then) == missed + 1


def test_a_machine_that_slept_does_not_make_up_for_the_night() -> None:
    programme = Programme(history_s=1.0)
    programme.take(0, block(1.0), 0.0)
    assert len(programme.take(10**6, block(1.0), 1.0)) == LONGEST_HOLE + 1
    assert len(programme.wait(30_000.0)) == LONGEST_HOLE


def test_the_history_is_bounded() -> None:
    programme = Programme(history_s=2.0)
    for number in range(1_000):
        programme.take(number, block(number), number * BLOCK_S)
    assert [float(each[0, 0]) for each in programme.history] == list(range(900, 1_000))


def test_it_is_known_whether_the_player_sounds() -> None:
    programme = Programme(history_s=1.0)
    assert not programme.sounds(0.0)
    programme.take(0, block(1.0), 10.0)
    assert programme.sounds(10.5)
    assert not programme.sounds(11.5)
