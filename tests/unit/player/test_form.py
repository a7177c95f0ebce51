"""The form keeps a listener from hearing one pass too often, and always ends where it began."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.player.form import Variation, song
from shared.music import Jump, Loop, Section
from tests.unit.player.material import loop, sections

BAR = 24_000


def _longest_run(record: Loop, variation: Variation, passes: int = 24) -> int:
    """How often the same pass sounds in a row, moves counted as a difference; the first may begin late."""
    taken = [(one.spans, one.move) for one in (song(record, number, variation) for number in range(passes))]
    longest = run = 1
    for before, after in pairwise(taken):
        run = run + 1 if before == after else 1
        longest = max(longest, run)
    return longest


_jumps = st.lists(
    st.builds(
        lambda source, target, crossfade: Jump(source=source * BAR, target=target * BAR, crossfade=crossfade),
        st.integers(1, 8),
        st.integers(0, 7),
        st.integers(0, 500),
    ),
    min_size=1,
    max_size=4,
)
_labels = st.lists(st.sampled_from(["A", "A'", "B", "C", "fill", "break"]), min_size=2, max_size=6)


@settings(max_examples=40, deadline=None)
@given(jumps=_jumps, variation=st.sampled_from(["off", "light", "full"]))
def test_with_jumps_no_pass_sounds_more_than_twice_in_a_row(jumps: list[Jump], variation: Variation) -> None:
    record = loop(frames=8 * BAR, bars=8, jumps=tuple(jump for jump in jumps if jump.source != jump.target))
    usable = any(jump.source + 8 * BAR - jump.target >= 2 * BAR for jump in record.jumps)
    assert _longest_run(record, variation) <= 2 or not usable


@settings(max_examples=40, deadline=None)
@given(labels=_labels, variation=st.sampled_from(["off", "light", "full"]))
def test_with_sections_no_pass_sounds_more_than_twice_in_a_row(labels: list[str], variation: Variation) -> None:
    record = loop(frames=len(labels) * 4 * BAR, sections=sections(*labels, frames=4 * BAR))
    assert _longest_run(record, variation) <= 2


@pytest.mark.parametrize("variation", ["off", "light", "full"])
@pytest.mark.parametrize(
    "record", [loop(), loop(bars=7), loop(bars=None), loop(frames=4 * BAR, sections=sections("A", frames=4 * BAR))]
)
def test_one_loop_alone_is_never_literally_the_same_more_than_three_times(record: Loop, variation: Variation) -> None:
    assert _longest_run(record, variation) <= 3


def test_where_no_moves_are_wanted_a_loop_alone_plays_its_second_half_once_more() -> None:
    taken = [song(loop(frames=8 * BAR, bars=8), number, "off") for number in range(6)]
    assert [one.label for one in taken] == ["A", "A", "A'"] * 2
    first, second = taken[2].spans
    assert (first.start, first.end) == (0, 8 * BAR)
    assert (second.start, second.end, second.join) == (4 * BAR, 8 * BAR, 960)


@pytest.mark.parametrize("variation", ["off", "light", "full"])
@pytest.mark.parametrize("record", [loop(), loop(sections=sections("A", "A'", "B"), frames=144_000)])
def test_at_most_one_move_in_two_passes(record: Loop, variation: Variation) -> None:
    moves = [song(record, number, variation).move for number in range(40)]
    assert all(before is None or after is None for before, after in pairwise(moves))
    assert (variation == "off") == (not any(moves))


def test_three_sections_make_a_song() -> None:
    record = loop(frames=3 * BAR, sections=sections("A", "A'", "B", frames=BAR))
    assert [song(record, number).label for number in range(8)] == ["A", "A'", "B", "A"] * 2


def test_a_fill_leads_into_what_is_new() -> None:
    fill = Section(label="fill", start=12 * BAR, end=13 * BAR, bars=1)
    record = loop(frames=13 * BAR, bars=13, sections=(*sections("A", "A'", "B", frames=4 * BAR), fill))
    assert [song(record, number).label for number in range(5)] == ["A", "A'", "fill", "B", "A"]


def test_every_pass_lies_within_the_file_and_its_spans_join_where_the_jump_says() -> None:
    jump = Jump(source=6 * BAR, target=2 * BAR, crossfade=480)
    record = loop(frames=8 * BAR, bars=8, jumps=(jump,))
    for number in range(9):
        for span in song(record, number).spans:
            assert 0 <= span.low <= span.start - span.join
            assert span.start < span.end <= span.high <= record.frames
    first, second = song(record, 2).spans
    assert (first.end, second.start, second.join) == (6 * BAR, 2 * BAR, 480)


def test_the_first_pass_begins_at_the_entry() -> None:
    assert song(loop(), 0, entry=1_000).spans[0].start == 1_000
    assert song(loop(), 1, entry=1_000).spans[0].start == 0
