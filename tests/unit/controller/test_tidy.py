"""What leaves the cache: within its budget only orphans, beyond it what is needed least, never what is needed."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from services.controller.tidy import ORPHAN_S, CacheFile, Needs, plan


def files(names: str, age: float = 1.0, size: int = 10) -> list[CacheFile]:
    return [CacheFile(Path(name), size, age) for name in names]


def needs(needed: str = "", kept: str = "", jobs: str = "") -> Needs:
    return Needs(frozenset(needed), tuple(kept), frozenset(), frozenset(jobs))


def test_within_the_budget_only_old_orphans_go() -> None:
    old = files("xy", ORPHAN_S + 1)
    doomed = plan(files("ab") + old, files("j", ORPHAN_S + 1), [], needs("a", "b", "j"), budget=1000, short_of_disk=0)
    assert doomed == [Path("x"), Path("y")]


def test_over_the_budget_the_first_named_go_until_it_fits() -> None:
    doomed = plan(files("abcd"), [], [], needs("a", "dcba"), budget=20, short_of_disk=0)
    assert doomed == [Path("d"), Path("c")]


def test_a_disk_that_is_nearly_full_takes_all_but_what_is_needed() -> None:
    doomed = plan(files("abcd"), [], [], needs("ab", "abcd"), budget=1000, short_of_disk=10_000)
    assert doomed == [Path("c"), Path("d")]


@settings(max_examples=40, deadline=None)
@given(
    st.sets(st.sampled_from("abcdefgh")), st.sets(st.sampled_from("abcdefgh")), st.integers(0, 100), st.integers(0, 100)
)
def test_what_is_needed_never_goes(needed: set[str], kept: set[str], budget: int, short: int) -> None:
    wants = needs("".join(needed), "".join(sorted(kept | needed)))
    doomed = plan(files("abcdefgh", ORPHAN_S * 2), [], [], wants, budget=budget, short_of_disk=short)
    assert not {str(path) for path in doomed} & needed
    assert len(doomed) == len(set(doomed))
