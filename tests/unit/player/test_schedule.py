"""Bar lines are computed and never added up; a song ends at a phrase."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.player.form import Span
from services.player.schedule import LONGEST_FADE, bar_lines, entry_frame, fade_frames, leave_at, move_frames, next_bar
from shared.music import BeatGrid
from shared.units import STATION_RATE
from tests.unit.player.material import loop, sections


def _whole(frames: int) -> Span:
    return Span(0, frames, 0, frames)


@settings(max_examples=50, deadline=None)
@given(frames=st.integers(50_000, 2_000_000), bars=st.integers(1, 32))
def test_every_bar_line_is_the_rounded_truth(frames: int, bars: int) -> None:
    lines = bar_lines(loop(frames=frames, bars=bars), _whole(frames))
    assert lines == tuple(round(bar * frames / bars) for bar in range(1, bars + 1))


def test_bars_count_from_the_first_downbeat() -> None:
    record = loop(frames=400_000, bars=4)
    grid = BeatGrid(beats=(1_000, 26_000), downbeats=(1_000,))
    import msgspec

    record = msgspec.structs.replace(record, grid=grid)
    assert entry_frame(record) == 1_000
    assert bar_lines(record, _whole(400_000)) == (1_000, 101_000, 201_000, 301_000)


def test_the_bars_of_a_section_are_its_own() -> None:
    record = loop(frames=300_003, sections=sections("A", "B", "C", frames=100_001))
    lines = bar_lines(record, Span(100_001, 200_002, 100_001, 200_002))
    assert lines == (125_001, 150_002, 175_002, 200_002)


def test_a_song_ends_at_the_first_phrase_that_is_long_enough() -> None:
    record = loop(frames=800_000, bars=8)
    assert leave_at(record, _whole(800_000), 0) == 400_000
    assert leave_at(record, _whole(800_000), 400_001) == 800_000
    assert leave_at(record, _whole(800_000), 800_001) is None


def test_the_end_of_an_odd_loop_is_the_end_of_a_phrase() -> None:
    assert leave_at(loop(frames=600_000, bars=6), _whole(600_000), 450_000) == 600_000


def test_without_a_grid_the_loops_end_or_a_fade_within_four_seconds() -> None:
    frames = 20 * STATION_RATE
    record = loop(frames=frames, bars=None)
    assert leave_at(record, _whole(frames), frames - LONGEST_FADE) == frames
    assert leave_at(record, _whole(frames), 5 * STATION_RATE) == 5 * STATION_RATE
    assert leave_at(record, _whole(frames), frames + 1) is None


def test_the_next_bar_is_never_behind() -> None:
    record = loop(frames=400_000, bars=4)
    assert next_bar(record, _whole(400_000), 100_000) == 100_000
    assert next_bar(record, _whole(400_000), 100_001) == 200_000


def test_a_fade_takes_two_bars_or_one_and_never_more_than_four_seconds() -> None:
    quick, slow, none = loop(frames=384_000, bars=4), loop(frames=600_000, bars=4), loop(frames=900_000, bars=None)
    assert fade_frames(quick, none) == 192_000
    assert fade_frames(slow, none) == 150_000
    assert fade_frames(none, quick) == LONGEST_FADE
    assert fade_frames(none, loop(frames=100_000)) == 50_000


def test_a_move_takes_two_bars_where_they_are_no_more_than_half() -> None:
    assert move_frames(loop(frames=400_000, bars=4), _whole(400_000)) == (200_000, 50_000)
    assert move_frames(loop(frames=200_000, bars=2), _whole(200_000)) == (100_000, 50_000)
    assert move_frames(loop(frames=100_000, bars=1), _whole(100_000)) is None
