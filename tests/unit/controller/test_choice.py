"""What fits what: tempos at half and double, keys on the wheel, and the order of the queue."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.controller.choice import (
    TEMPO_TOLERANCE,
    ask_for,
    key_distance,
    line_up,
    misfit,
    neighbour,
    tempo_distance,
)
from services.controller.naming import named
from tests.unit.controller.conftest import a_loop

KEYS = [
    f"{name}{mode}" for name in ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B") for mode in ("", "m")
]


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        ("C", "C", 0),
        ("C", "Am", 0.5),
        ("C", "G", 1),
        ("Am", "Em", 1),
        ("C", "F#", 6),
        ("F#", "Gb", 0),
        ("A minor", "Am", 0),
    ],
)
def test_keys_are_neighbours_as_on_the_wheel(first: str, second: str, distance: float) -> None:
    assert key_distance(first, second) == distance


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(KEYS), st.integers())
def test_a_neighbour_is_at_most_a_step_away(key: str, seed: int) -> None:
    found = neighbour(key, Random(seed))
    assert found is not None
    assert key_distance(key, found) <= 1.5


@settings(max_examples=40, deadline=None)
@given(st.floats(40, 200), st.floats(0.95, 1.05), st.sampled_from([0.5, 1, 2]))
def test_halves_and_doubles_of_a_tempo_fit(bpm: float, off: float, factor: float) -> None:
    assert tempo_distance(bpm, bpm * off * factor) <= TEMPO_TOLERANCE


@settings(max_examples=40, deadline=None)
@given(st.floats(50, 180), st.sampled_from(KEYS), st.integers())
def test_what_is_asked_for_fits_what_plays(bpm: float, key: str, seed: int) -> None:
    asked_bpm, asked_key = ask_for(a_loop("a", bpm=bpm, key=key), "calm rain", Random(seed))
    assert asked_bpm is not None
    assert asked_key is not None
    assert tempo_distance(bpm, asked_bpm) <= TEMPO_TOLERANCE
    assert misfit(a_loop("a", bpm=bpm, key=key), a_loop("b", bpm=asked_bpm, key=asked_key)) < 1


def test_the_queue_names_nothing_twice_and_the_one_heard_longest_ago_comes_back_first() -> None:
    shelf = [a_loop(name) for name in "abcdef"]
    queue = line_up("f", [shelf[0]], shelf, 1, ("b", "c", "d", "e", "f"))
    assert [loop.loop_id for loop in queue] == ["f", "a", "b", "c", "d"]


def test_a_loop_always_has_the_same_name_and_others_have_others() -> None:
    names = {named(a_loop(f"l{number}")).title for number in range(60)}
    assert len(names) > 50
    assert named(a_loop("l1")) == named(a_loop("l1"))
    assert named(a_loop("l1", title="Mine")).title == "Mine"
