"""Figures that are asked for are met exactly, and the plan says them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.generator.backends.composer.meters import METERS
from services.generator.backends.composer.plan import PIECE_SECONDS, Asked, make_plan
from services.generator.backends.composer.style import builtin
from services.generator.backends.composer.theory import MODES, key_name, parse_key
from tests.unit.composer.pieces import STYLES


@settings(max_examples=80, deadline=None)
@given(
    style=st.sampled_from(STYLES),
    seconds=st.floats(4, 180),
    bpm=st.none() | st.floats(40, 220),
    meter=st.none() | st.sampled_from(METERS),
    piece=st.booleans(),
    seed=st.integers(0, 99),
)
def test_seconds_are_met_within_a_bar(
    *, style: str, seconds: float, bpm: float | None, meter: str | None, piece: bool, seed: int
) -> None:
    styles = builtin()
    asked = Asked(seconds=seconds, bpm=bpm, meter=meter, piece=piece)
    plan = make_plan(styles[style].name, seed, styles, asked)
    bar = plan.meter.quarters * 60 / plan.bpm
    assert abs(plan.seconds - seconds) < bar
    assert bpm is None or plan.bpm == bpm


def test_explicit_figures_win() -> None:
    styles = builtin()
    asked = Asked(bpm=101.5, key="F# minor", meter="5/4", bars=6)
    plans = [
        make_plan(f"{style.name} 70 bpm in C major, a waltz of 4 bars", 5, styles, asked) for style in styles.values()
    ]
    figures = {(plan.bpm, plan.key, str(plan.meter), plan.form) for plan in plans}
    assert figures == {(101.5, "F# minor", "5/4", (("A", 6),))}
    assert [plan.style for plan in plans] == list(styles)


@pytest.mark.parametrize("style", STYLES)
def test_a_piece_has_three_sections_of_a_song(style: str) -> None:
    styles = builtin()
    plan = make_plan(styles[style].name, 1, styles, Asked(piece=True))
    assert [label for label, _ in plan.form[:3]] == ["A", "A'", "B"]
    bars = dict(plan.form)
    assert (bars["A"], bars["A'"], bars["B"]) in {(8, 8, 8), (8, 8, 4), (4, 4, 4)}
    assert plan.seconds <= PIECE_SECONDS or bars["A"] == 4
    assert ("fill" in bars) == (styles[style].data.drums is not None)
    assert ("break" in bars) == ("fill" in bars and bars["A"] == bars["B"])


def test_the_plan_is_shown_as_one_line() -> None:
    plan = make_plan("lo-fi 78 bpm in D minor", 1, builtin(), Asked(bars=8))
    assert plan.line == "lo-fi · 78 bpm · D minor · 4/4 · 8 bars"


def test_tempo_of_a_style_bends_so_that_even_bars_fill_the_time() -> None:
    plan = make_plan("lo-fi", 3, builtin(), Asked(seconds=30))
    assert plan.seconds == pytest.approx(30, abs=0.02)
    assert plan.bars % 2 == 0


@pytest.mark.parametrize(
    "text", ["Am", "F# minor", "Bb", "D dorian", "c#m", "G major", "Eb minor", "C blues", "Bb blues"]
)
def test_keys_are_read_and_written(text: str) -> None:
    key = parse_key(text)
    assert key is not None
    again = parse_key(key_name(*key))
    assert again is not None
    assert again[0] == key[0]


@pytest.mark.parametrize("mode", MODES)
def test_the_shown_key_asks_for_the_same_mode(mode: str) -> None:
    key = make_plan(f"ambient in F# {mode.replace('-', ' ')}", 1, builtin()).shown_key
    assert parse_key(key) == (6, mode)


@pytest.mark.parametrize("text", ["", "H", "A nonsense", "minor", "Abb", "7"])
def test_what_is_no_key_is_none(text: str) -> None:
    assert parse_key(text) is None
