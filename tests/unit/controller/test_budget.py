"""What leaves the library where there is no room, and what is never counted as free to use."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.controller.library.budget import Stored, surplus
from services.controller.library.entry import is_free
from shared.music import Recipe

stored = st.builds(
    Stored, st.text("abc", min_size=1, max_size=3), st.integers(1, 50), st.floats(0, 9), st.booleans(), st.booleans()
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(stored, unique_by=lambda each: each.loop_id), st.integers(0, 200), st.integers(0, 99), st.integers(0, 99)
)
def test_favourites_and_what_is_needed_never_go_and_the_rest_keeps_within_the_budget(
    all_stored: list[Stored], budget: int, database: int, short: int
) -> None:
    needed = {each.loop_id for each in all_stored[:2]}
    going = surplus(all_stored, budget=budget, database=database, short_of_disk=short, needed=needed)
    assert not any(each.liked or each.loop_id in needed for each in going)
    stays = [each for each in all_stored if each not in going and not each.liked and each.loop_id not in needed]
    unliked = sum(each.bytes for each in all_stored if not each.liked and each not in going)
    freed = sum(each.bytes for each in going)
    assert not stays or (unliked + database <= budget and freed >= short)
    # No more goes than must.
    if going:
        spared = unliked + going[-1].bytes + database
        assert spared > budget or freed - going[-1].bytes < short


def test_the_disliked_go_first_and_then_the_oldest() -> None:
    one, two, three = Stored("a", 10, 1.0), Stored("b", 10, 2.0), Stored("c", 10, 3.0, disliked=True)
    for budget, going in ((30, []), (29, [three]), (20, [three]), (15, [three, one]), (10, [three, one])):
        assert surplus([two, one, three], budget=budget, database=0, short_of_disk=0) == going


def test_only_what_is_known_to_be_free_is_called_free() -> None:
    assert not is_free(None)
    assert not is_free(Recipe(prompt="x", backend="new", model="unheard-of"))
    assert not is_free(Recipe(prompt="x", backend="musicgpt", model="small", weights_licence="CC-BY-NC 4.0"))
    assert is_free(Recipe(prompt="x", backend="new", model="m", weights_licence="Apache-2.0"))
