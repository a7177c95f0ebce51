"""The finder's promises: right lengths, right answers to gain and offset, a typed rejection for what is no music."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from services.analyzer.finder import find_loop
from services.analyzer.length import LengthWish
from services.analyzer.records import FoundLoop, Rejection
from services.analyzer.seam import bake
from tests.unit.analyzer.music import RATE, groove

HOP = 180
"""Eight milliseconds."""


def found(audio: np.ndarray, seconds: float, rate: int = RATE) -> FoundLoop:
    answer = find_loop(audio, rate, LengthWish(seconds=seconds))
    assert isinstance(answer, FoundLoop), answer
    return answer


@pytest.mark.parametrize(("bpm", "per_bar"), [(92.0, 4), (124.7, 4), (140.0, 3), (104.0, 5), (150.0, 7)])
def test_length_is_a_multiple_of_the_bar(bpm: float, per_bar: int) -> None:
    loop = found(groove(bpm=bpm, per_bar=per_bar, bars=8), 3.0)
    bar = per_bar * 60 / bpm * RATE
    bars = loop.frames / bar
    assert abs(bars - round(bars)) * bar / RATE < 0.010


def test_intro_and_silence_stay_outside() -> None:
    music = groove(bars=8)
    clip = np.concatenate([np.zeros((RATE * 2, 1), np.float32), music, np.zeros((RATE * 2, 1), np.float32)])
    loop = found(clip, 4.0)
    assert loop.start >= RATE * 1.95
    assert loop.end <= len(clip) - RATE * 1.95


def test_eight_bars_are_sought_first() -> None:
    loop = find_loop(groove(bars=18, bpm=130), RATE)
    assert isinstance(loop, FoundLoop)
    assert loop.frames / RATE >= 8 * 4 * 60 / 130 - 0.02


def test_of_fewer_than_eight_bars_four_are_the_least() -> None:
    # It repeats after three.
    loop = find_loop(groove(bars=6, bpm=130, pattern=3), RATE)
    assert isinstance(loop, FoundLoop)
    assert loop.frames / RATE >= 4 * 4 * 60 / 130 - 0.02


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(0, 30_000), st.integers(1, 3)),
    rate=st.sampled_from([8_000, 22_050, 48_000]),
    data=st.data(),
)
def test_any_array_gets_an_answer(shape: tuple[int, int], rate: int, data: st.DataObject) -> None:
    audio = data.draw(
        arrays(np.float32, shape, elements=st.floats(width=32, allow_nan=True, allow_infinity=True), fill=st.just(0.25))
    )
    answer = find_loop(audio, rate, LengthWish(seconds=0.5))
    if isinstance(answer, Rejection):
        assert answer.code
        assert answer.reason.endswith(".")
    else:
        assert 0 <= answer.start < answer.end <= len(audio)
        assert 0 <= answer.crossfade <= answer.start


@settings(max_examples=8, deadline=None)
@given(period=st.integers(int(0.5 * RATE), int(2.2 * RATE)), seed=st.integers(0, 1000))
@example(period=21_978, seed=0)  # a few samples shorter than the least that is asked for
@example(period=30_193, seed=0)  # bright, and no whole number of the samples that the waveform is first looked at in
def test_a_periodic_signal_loops_at_its_period_to_the_sample(period: int, seed: int) -> None:
    cell = np.random.default_rng(seed).standard_normal(period).astype(np.float32)
    cell *= np.exp(-np.arange(period) % (period // 4) / (0.05 * RATE)).astype(np.float32)
    clip = np.tile(0.2 * cell, 8 * RATE // period + 1)[:, None]
    loop = found(clip, 1.0)
    assert loop.frames % period == 0


@cache
def as_it_is(seed: int) -> FoundLoop:
    return found(groove(bars=5, seed=seed), 3.0)


@settings(max_examples=6, deadline=None)
@given(power=st.integers(-6, 0), seed=st.integers(0, 3))
def test_gain_by_powers_of_two_changes_nothing(power: int, seed: int) -> None:
    one, other = as_it_is(seed), found(groove(bars=5, seed=seed) * np.float32(2.0**power), 3.0)
    assert one == other


@settings(max_examples=6, deadline=None)
@given(hundredths=st.integers(-100, 100), flip=st.booleans(), seed=st.integers(0, 3))
def test_offset_and_polarity_change_nothing(hundredths: int, flip: bool, seed: int) -> None:
    clip = groove(bars=5, seed=seed)
    one = as_it_is(seed)
    other = found((-clip if flip else clip) + np.float32(hundredths / 10_000), 3.0)
    assert (one.start, one.end) == (other.start, other.end)


@settings(max_examples=6, deadline=None)
@given(bpm=st.floats(100, 170), seed=st.integers(0, 1000), flawed=st.booleans())
def test_the_rendered_loop_tiled_twice_has_no_outlier_at_its_seam(bpm: float, seed: int, flawed: bool) -> None:
    clip = groove(bpm=bpm, seed=seed, bars=6)
    if flawed:
        # No two repeats alike: a noise floor and a slow swell.
        noise = np.random.default_rng(seed).standard_normal(clip.shape) * 0.01
        clip = ((clip + noise) * np.linspace(0.8, 1.0, len(clip))[:, None]).astype(np.float32)
    loop = found(clip, 3.0)
    body = bake(clip, loop.start, loop.end, loop.crossfade)[:, 0]
    around = 20 * HOP
    across = _change(np.concatenate([body[-around:], body[:around]]))
    # What the untouched clip does at start and end is the music's own: a downbeat may be its strongest moment.
    natural = [_change(clip[max(0, at - around) : at + around, 0]) for at in (loop.start, loop.end)]
    inside = max(_change(body[at : at + 2 * around]) for at in range(around, len(body) - 3 * around, around))
    assert across <= max(inside, *natural) + 1.0


@pytest.mark.parametrize("seed", range(4))
def test_tones_of_which_none_comes_back_make_no_step_at_the_seam(seed: int) -> None:
    bpm = 105.0 + 9 * seed
    at = np.arange(round(6 * 240 / bpm * RATE)) / RATE
    swell = 0.55 - 0.45 * np.cos(2 * np.pi * bpm / 240 * at)
    clip = 0.1 * swell * np.sin(2 * np.pi * np.random.default_rng(seed).uniform(150, 400, (3, 1)) * at).sum(axis=0)
    clip = clip.astype(np.float32)[:, None]
    loop = found(clip, 3.0)
    body = bake(clip, loop.start, loop.end, loop.crossfade)
    around = [clip[max(0, at - 300) : at + 300] for at in (loop.start, loop.end)]
    assert _bend(np.concatenate([body[-300:], body[:300]])) <= 1.15 * max(_bend(one) for one in around)


def _bend(samples: np.ndarray) -> float:
    """The sharpest bend of the waveform: where a tone breaks off its third difference is many times the tone's own."""
    return float(np.abs(np.diff(samples, n=3, axis=0)).max())


def _change(samples: np.ndarray) -> float:
    """The strongest change of the spectrum in decibels, mean over the bins."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, 4 * HOP)[::HOP] * np.hanning(4 * HOP)
    levels = 10 * np.log10(np.abs(np.fft.rfft(windows, axis=1)) ** 2 + 1e-4)
    return float(np.abs(np.diff(levels, axis=0)).mean(axis=1).max())


@pytest.mark.parametrize(
    ("clip", "code"),
    [
        (np.zeros((0, 1), np.float32), "too-short"),
        (np.zeros((RATE // 5, 2), np.float32), "too-short"),
        (np.zeros((RATE * 8, 2), np.float32), "silence"),
        (np.full((RATE * 8, 1), 0.5, np.float32), "silence"),
        (np.full((RATE * 8, 1), np.nan, np.float32), "not-finite"),
        (np.eye(RATE * 8, 1, -RATE * 4, dtype=np.float32), "silence"),
        (np.random.default_rng(0).standard_normal((RATE * 8, 1)).astype(np.float32) * 0.1, "noise"),
    ],
)
def test_what_is_no_music_is_refused_by_name(clip: np.ndarray, code: str) -> None:
    answer = find_loop(clip, RATE, LengthWish(seconds=2.0))
    assert isinstance(answer, Rejection)
    assert answer.code == code
    assert answer.figures or code == "not-finite"
