"""A change is what both loops allow, begins and ends in them without a seam, and keeps beat, level and peak."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.analyzer.key import key_distance
from services.analyzer.loudness import true_peak
from services.analyzer.transitions import Plan, plan_transition, render_transition
from services.analyzer.transitions.plan import STRETCH_LIMIT
from services.analyzer.transitions.stretch import stretched
from shared.audio_files import snap_to_grid
from shared.music import Loop, Recipe, Section
from shared.units import STATION_RATE, Audio
from tests.unit.analyzer.loops import clicks, looped


def _attacks(audio: Audio, pitch: float) -> np.ndarray:
    """Frames at which a tone of this pitch strikes: the steepest rise of its energy in 2 ms steps."""
    at = np.arange(len(audio))
    carried = audio[:, 0] * np.exp(-2j * np.pi * pitch * at / STATION_RATE)
    total = np.concatenate([np.zeros(240), np.cumsum(carried)])
    level = np.abs(total[240:] - total[:-240]) / 240
    rise = np.maximum(0.0, level[48:] - level[:-48])
    peaks, least = [], 0.35 * rise.max()
    while rise.max() > least:
        best = int(np.argmax(rise))
        peaks.append(best)
        rise[max(0, best - 4_800) : best + 4_800] = 0.0
    return np.array(sorted(peaks))


@pytest.mark.parametrize(
    ("first", "second", "kind", "words"),
    [
        (looped("a", 100), looped("b", 104), "blend", "100 to 104 bpm"),
        (looped("a", 70), looped("b", 141), "blend", "70 to 141"),
        (looped("a", 140), looped("b", 70), "blend", "140 to 70"),
        (looped("a", 100), looped("b", 108), "fade", "too far apart"),
        (looped("a", 100, key="Am"), looped("b", 100, key="C"), "blend", "Am to C"),
        (looped("a", 100, key="Am"), looped("b", 100, key="E minor"), "blend", ""),
        (looped("a", 100, key="Am"), looped("b", 100, key="F#"), "fade", "no neighbours"),
        (looped("a", 100, key=None), looped("b", 100), "fade", "not known"),
        (looped("a", 100), looped("b", 100, beats=3), "fade", "beats in a bar"),
        (looped("a", 100), looped("b", 100, bars=None), "fade", "no beat"),
        (looped("a", 100, bars=2), looped("b", 100), "fade", "too short"),
        (looped("a", 100), looped("b", 100, key="F#", continues="a"), "continue", "grew out"),
    ],
)
def test_smart_blends_where_tempo_and_key_allow_and_says_why_not(
    first: Loop, second: Loop, kind: str, words: str
) -> None:
    plan = plan_transition(first, second)
    assert plan.kind == kind
    assert words in plan.reason


@cache
def _noise() -> Audio:
    """Twenty seconds of which no two places are alike; read only."""
    drawn = np.random.default_rng(3).uniform(-0.2, 0.2, (20 * STATION_RATE, 2)).astype(np.float32)
    drawn.setflags(write=False)
    return drawn


@pytest.mark.parametrize("rate", [48_000, 32_000])
@pytest.mark.parametrize(("splice_s", "late_s"), [(9.0, 0.0), (5.25, 0.0), (9.0, 2.0)])
def test_a_clip_that_grew_out_of_the_loop_is_joined_where_the_one_follows_the_other(
    rate: int, splice_s: float, late_s: float
) -> None:
    """The parent's loop is seconds 1 … 9 of its clip; the child's sound goes on at the splice."""
    drawn = _noise()
    parent, child = drawn[: 10 * STATION_RATE], drawn[round(splice_s * STATION_RATE) :]
    late = round(late_s * STATION_RATE)
    one, other = (
        snap_to_grid(parent[STATION_RATE : 9 * STATION_RATE]),
        snap_to_grid(child[late : late + len(child) // 2]),
    )
    first = looped("a", 60.0, 2, frames=len(one), source_start=rate, source_end=9 * rate)
    start = round(late_s * rate)
    recipe = Recipe(prompt="x", backend="musicgen", parent_clip="a", splice_s=splice_s)
    second = looped(
        "b",
        63.0,
        None,
        key=None,
        frames=len(other),
        continues="a",
        recipe=recipe,
        source_start=start,
        source_end=start + round(len(other) * rate / STATION_RATE),
    )
    plan = plan_transition(first, second)
    assert plan.kind == "continue"
    assert "grew out" in plan.reason
    # Both clips lie on one line of time: the child's loop begins there where the parent has come to.
    exit_s = (splice_s + late_s - 1.0) % 8.0 or 8.0
    assert plan.exit_frame == pytest.approx(exit_s * STATION_RATE, abs=1)
    assert (plan.begin, plan.entry_frame) == (0, plan.frames)
    assert plan.frames == round((0.03 if late_s == 0.0 else 1.0) * STATION_RATE)
    change = render_transition(plan, one, second, other)
    heard = np.concatenate([one[: plan.exit_frame], change, other[plan.entry_frame :]])
    if late_s == 0.0:
        whole = drawn[STATION_RATE : STATION_RATE + len(heard)]
        same = np.abs(heard - whole).max(axis=1) < 1e-6
        assert same[: plan.exit_frame].all()
        assert same[plan.exit_frame + plan.frames :].all()


def test_where_the_splice_is_not_known_a_continuation_enters_over_a_bar() -> None:
    first, second = looped("a", 100), looped("b", 100, continues="a")
    plan = plan_transition(first, second)
    assert (plan.kind, plan.frames) == ("continue", round(first.frames / 8))
    assert plan_transition(first, second, "fade").kind == "fade"
    other = looped("b", 100, key="F#", continues="c", recipe=Recipe(prompt="x", backend="musicgen", splice_s=3.0))
    assert plan_transition(first, other).kind == "fade"


def test_a_style_that_is_asked_for_is_given_where_it_can_be() -> None:
    first, second = looped("a", 100), looped("b", 104, key="F#")
    assert plan_transition(first, second, "blend").kind == "blend"
    assert plan_transition(first, second, "fade").kind == "fade"
    assert plan_transition(first, second, "cut").kind == "cut"
    assert plan_transition(first, looped("b", 130), "blend").kind == "fade"


@settings(max_examples=60, deadline=None)
@given(
    bpm=st.floats(60, 180),
    ratio=st.floats(0.945, 1.055),
    bars=st.sampled_from([4, 8, 12, 16]),
    other=st.sampled_from([4, 8]),
    exit_after=st.integers(0, 2_000_000),
)
def test_a_plan_lies_within_both_loops_on_their_bars(
    bpm: float, ratio: float, bars: int, other: int, exit_after: int
) -> None:
    first, second = looped("a", bpm, bars), looped("b", bpm * ratio, other)
    plan = plan_transition(first, second, "smart", exit_after)
    assert 0 < plan.exit_frame <= first.frames
    assert 0 <= plan.begin < plan.entry_frame <= second.frames // 2 + 1
    bar = first.frames / bars
    assert abs(plan.exit_frame / bar - round(plan.exit_frame / bar)) < 1 / bar
    if plan.kind == "blend":
        assert max(plan.beats) / min(plan.beats) <= 1 + STRETCH_LIMIT + 1e-6
        assert abs(plan.beats[0] - first.frames / bars / 4) < 1e-6
        assert abs(plan.beats[-1] - second.frames / other / 4) < 1e-6
        assert plan.frames <= 16.0 * STATION_RATE * (1 + STRETCH_LIMIT)


def test_the_change_of_a_piece_lies_in_the_section_that_will_sound() -> None:
    frames = looped("a", 100).frames
    parts = tuple(Section(label=name, start=n * frames, end=(n + 1) * frames, bars=8) for n, name in enumerate("AB"))
    piece = looped("a", 100, 16, frames=2 * frames, sections=parts)
    for exit_after in (0, 1, frames // 2, frames, frames + 1, frames * 7 // 4, 2 * frames):
        plan = plan_transition(piece, piece, "smart", exit_after)
        assert exit_after <= plan.exit_frame
        assert (plan.low, plan.high) == ((0, frames) if exit_after <= frames else (frames, 2 * frames))
        assert plan.low < plan.exit_frame <= plan.high
        assert plan.entry_frame <= frames


@cache
def _rendered(pair: tuple[Loop, Loop], style: str) -> tuple[Plan, Audio, Audio, Audio]:
    """A change between two loops whose beats strike at pitches of their own, and both loops."""
    first, second = pair
    one, other = clicks(first, 1_000.0), clicks(second, 3_000.0)
    plan = plan_transition(first, second, style)  # type: ignore[arg-type]
    return plan, render_transition(plan, one, second, other), one, other


FASTER = (looped("a", 225, 4), looped("b", 236, 4))
SLOWER = (looped("a", 230, 4), looped("b", 220, 4))
DOUBLE = (looped("a", 150, 4), looped("b", 294, 8))
HALF = (looped("a", 294, 8), looped("b", 150, 4))
EVEN = (looped("a", 240, 4), looped("b", 240, 4))
BLENDS = (FASTER, SLOWER, DOUBLE, HALF, EVEN)
# What is not locked to a beat is the same at any tempo.
CHANGES = [*((pair, "smart") for pair in BLENDS), (FASTER, "fade"), *((pair, "cut") for pair in BLENDS)]


@pytest.mark.parametrize("pair", BLENDS)
def test_the_beats_of_a_blend_fall_together_where_the_plan_has_them(pair: tuple[Loop, Loop]) -> None:
    first, second = pair
    plan, change, one, two = _rendered(pair, "smart")
    assert plan.kind == "blend"
    beats = [held.frames / (held.bars or 1) / 4 for held in (first, second)]
    lines = np.concatenate([[0.0], np.cumsum(plan.beats)])
    for pitch in (1_000.0, 3_000.0):
        struck = _attacks(change, pitch)
        held, beat = (one, beats[0]) if pitch == 1_000.0 else (two, beats[1])
        lag = float(np.median(_attacks(held[: 2 * STATION_RATE], pitch) % beat))
        inside = struck[(struck > lines[1] - 2_400) & (struck < lines[-2] + 2_400)] - lag
        step = 2 if pair in (DOUBLE, HALF) else 1
        grid = np.interp(np.arange(0, len(lines), 1 / step), np.arange(len(lines)), lines)
        errors = np.abs(inside[:, None] - grid[None, :]).min(axis=1)
        assert len(inside) >= len(plan.beats) // 3
        assert errors.max() <= 0.005 * STATION_RATE


@pytest.mark.parametrize(("pair", "style"), CHANGES)
def test_it_begins_and_ends_in_the_loops_themselves(pair: tuple[Loop, Loop], style: str) -> None:
    plan, change, one, two = _rendered(pair, style)
    assert len(change) == plan.frames
    assert abs(plan.frames - sum(plan.beats)) <= 0.5
    before = one[np.arange(plan.exit_frame - 200, plan.exit_frame) % len(one)]
    after = two[np.arange(plan.entry_frame, plan.entry_frame + 200) % len(two)]
    around = np.concatenate([before, change, after])
    curve = np.abs(np.diff(around, n=2, axis=0)).max(axis=1)
    usual = max(float(np.abs(np.diff(sound, n=2, axis=0)).max()) for sound in (one, two))
    assert curve[195:205].max() <= usual * 1.01
    assert curve[-210:-195].max() <= usual * 1.01
    own = two[np.arange(plan.entry_frame - 200, plan.entry_frame) % len(two)]
    assert np.square(change[-200:] - own).mean() < 1e-3 * np.square(own).mean()


@pytest.mark.parametrize("pair", BLENDS)
def test_a_blend_ends_with_the_second_loops_own_samples(pair: tuple[Loop, Loop]) -> None:
    plan, change, _, two = _rendered(pair, "smart")
    own = two[np.arange(plan.entry_frame - 2_000, plan.entry_frame) % len(two)]
    assert np.square(change[-2_000:] - own).mean() < 1e-6 * np.square(own).mean()


def test_a_loop_that_is_blended_with_its_like_gets_no_louder() -> None:
    """Two that are the same add up to twice their power in the middle."""
    first, second = EVEN
    sound = clicks(first, 500.0)
    plan = plan_transition(first, second)
    assert plan.kind == "blend"
    change = render_transition(plan, sound, second, sound)
    alone = sound[np.arange(plan.exit_frame, plan.exit_frame + plan.frames) % len(sound)]
    # By the beat: each is as loud as the others.
    levels = [np.square(one, dtype=np.float64).reshape(-1, 2 * 12_000).mean(axis=1) for one in (change, alone)]
    assert np.abs(10 * np.log10(levels[0] / levels[1])).max() < 0.5


@pytest.mark.parametrize(("pair", "style"), [(FASTER, "smart"), (EVEN, "smart"), (FASTER, "fade"), (FASTER, "cut")])
def test_level_and_peak_stay_within_the_loops(pair: tuple[Loop, Loop], style: str) -> None:
    first, second = pair
    plan = plan_transition(first, second, style)  # type: ignore[arg-type]
    one, two = clicks(first, 500.0, 0.84), clicks(second, 500.0, 0.84)
    change = render_transition(plan, one, second, two)
    assert true_peak(change) <= 10 ** (-1 / 20) + 1e-4
    assert np.array_equal(change, snap_to_grid(change))
    if style != "cut":
        levels = [10 * np.log10(np.mean(np.square(sound, dtype=np.float64))) for sound in (change, one, two)]
        assert min(levels[1:]) - 1.5 <= levels[0] <= max(levels[1:]) + 1.5


def test_the_same_change_twice_is_the_same_sound() -> None:
    plan, change, one, two = _rendered(FASTER, "smart")
    assert plan.kind == "blend"
    assert np.array_equal(render_transition(plan, one, FASTER[1], two), change)


def test_a_stretch_of_one_changes_nothing_and_another_keeps_the_pitch() -> None:
    drawn = np.random.default_rng(0).uniform(-0.1, 0.1, (STATION_RATE * 3, 2)).astype(np.float32)
    same = stretched(
        lambda start, count: drawn[np.arange(start, start + count) % len(drawn)], lambda t: t + 99.0, 48_000
    )
    assert np.abs(same - drawn[99:48_099]).max() < 1e-6
    at = np.arange(STATION_RATE * 4)
    tone = np.repeat(0.3 * np.sin(2 * np.pi * 440 * at / STATION_RATE)[:, None], 2, axis=1).astype(np.float32)
    slow = stretched(lambda start, count: tone[np.arange(start, start + count) % len(tone)], lambda t: t * 0.95, 96_000)
    spectrum = np.abs(np.fft.rfft(slow[:, 0] * np.hanning(len(slow))))
    assert np.argmax(spectrum) * STATION_RATE / len(slow) == pytest.approx(440, abs=0.5)
    assert np.sqrt(2 * np.mean(slow[9_600:-9_600] ** 2)) == pytest.approx(0.3, rel=0.01)


def test_keys_are_neighbours_on_the_circle() -> None:
    assert key_distance("C", "Am") == 0
    assert key_distance("C major", "G") == 1
    assert key_distance("Dm", "A minor") == 1
    assert key_distance("C", "F#") == 6
    assert key_distance("C", "loud") is None
