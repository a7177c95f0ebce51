"""Names of loops: always the same for the same loop, never the same twice in a row."""

from __future__ import annotations

from itertools import pairwise

import pytest

from services.controller.naming import named
from shared.music import Recipe
from tests.unit.controller.conftest import a_loop


def test_a_loop_has_the_same_name_each_time_and_keeps_one_that_it_has() -> None:
    assert named(a_loop("l1")) == named(a_loop("l1"))
    own = a_loop("l1", title="Mine", artist="Me", genre="polka")
    assert named(own) == own


def test_no_two_songs_at_hand_have_one_title_nor_two_in_a_row_one_artist() -> None:
    shelf = []
    for number in range(600):
        shelf.append(named(a_loop(f"l{number}"), shelf[-300:]))
    for at in range(0, 600, 50):
        at_hand = [loop.title for loop in shelf[at : at + 50]]
        assert len(set(at_hand)) == len(at_hand)
    assert all(one.artist != other.artist for one, other in pairwise(shelf))
    assert all(loop.title and loop.artist and "{" not in loop.title + loop.artist for loop in shelf)


@pytest.mark.parametrize(
    ("prompt", "genre"),
    [
        ("calm Lo-Fi, warm piano", "lo-fi"),
        ("a slow deep house groove", "deep house"),
        ("popcorn machine in a lighthouse", "popcorn machine in"),
        ("雨の音", "雨の音"),
    ],
)
def test_a_genre_is_found_in_the_prompt_as_a_whole_word(prompt: str, genre: str) -> None:
    recipe = Recipe(prompt=prompt, backend="musicgen")
    assert named(a_loop("l1", recipe=recipe)).genre == genre
    assert named(a_loop("l1", recipe=Recipe(prompt=prompt, backend="composer", style="waltz"))).genre == "waltz"
