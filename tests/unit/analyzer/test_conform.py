"""Brought to the tempo that was asked for: the right tempo, the same pitch, a seam that wraps, and honesty about it."""

from __future__ import annotations

import numpy as np
import pytest

from services.analyzer.asked import Measured, measure_clip
from services.analyzer.conform import distance, stretched_loop
from services.analyzer.length import LengthWish
from services.analyzer.making import FinishedLoop, make_loop
from services.analyzer.records import Rejection
from shared.music import Recipe
from shared.units import Audio
from tests.unit.analyzer.music import RATE, groove

WISH = LengthWish(seconds=4.0)


@pytest.fixture(scope="module")
def clip() -> Audio:
    return groove(bpm=120.0, bars=5)


@pytest.fixture(scope="module")
def plain(clip: Audio) -> FinishedLoop:
    return loop_of(clip)


def loop_of(clip: Audio, **asked: float | bool) -> FinishedLoop:
    loop = make_loop(clip, RATE, wish=WISH, **asked)  # type: ignore[arg-type]
    assert isinstance(loop, FinishedLoop), loop
    return loop


@pytest.mark.parametrize(("asked", "becomes"), [(125.0, 125.0), (62.0, 124.0), (230.0, 115.0)])
def test_a_loop_near_the_asked_tempo_is_brought_to_it(
    clip: Audio, plain: FinishedLoop, asked: float, becomes: float
) -> None:
    loop = loop_of(clip, asked_bpm=asked)
    assert loop.bpm == pytest.approx(becomes, rel=1e-3)
    assert len(loop.samples) == pytest.approx(len(plain.samples) * 120 / becomes, abs=60)
    assert loop.bars == plain.bars
    assert loop.grid is not None
    assert plain.grid is not None
    spacing = np.diff(loop.grid.beats)
    assert np.abs(spacing - 48_000 * 60 / becomes).max() < 400
    assert loop.lufs == pytest.approx(-16, abs=0.5)
    assert loop.true_peak_dbtp <= -1.0
    assert loop.jumps == ()
    recipe = loop.record("l", "j", 1, "/l.wav", Recipe(prompt="p", backend="b")).recipe
    assert recipe is not None
    assert recipe.options["stretched"] == pytest.approx(120 / becomes, rel=1e-3)


def test_the_stretch_leaves_the_pitch_and_wraps() -> None:
    # Exactly 300 and 301 periods, so that the tone is its own loop.
    count = 96_000
    tone = np.sin(2 * np.pi * np.arange(count)[:, None] * np.array([[300, 301]]) / count).astype(np.float32)
    longer = stretched_loop(tone, round(count * 1.05))
    assert len(longer) == round(count * 1.05)
    spectrum = np.abs(np.fft.rfft(longer[:, 0] * np.hanning(len(longer))))
    assert spectrum.argmax() * 48_000 / len(longer) == pytest.approx(150, abs=0.6)
    twice = np.concatenate([longer, longer])
    step = np.abs(np.diff(twice[:, 0], n=2))
    assert step[len(longer) - 4 : len(longer) + 4].max() <= np.quantile(step, 0.9999) * 1.05
    assert np.sqrt(np.mean(longer**2)) == pytest.approx(np.sqrt(np.mean(tone**2)), rel=0.05)


def test_a_loop_that_has_the_tempo_already_is_not_touched(clip: Audio, plain: FinishedLoop) -> None:
    assert np.array_equal(loop_of(clip, asked_bpm=120.1).samples, plain.samples)


def test_another_tempo_is_refused_with_its_figures_or_taken_as_it_is(clip: Audio, plain: FinishedLoop) -> None:
    refused = make_loop(clip, RATE, wish=WISH, asked_bpm=80.0)
    assert isinstance(refused, Rejection)
    assert refused.code == "wrong-tempo"
    assert refused.figures["bpm"] == pytest.approx(120, rel=0.01)
    assert "120" in refused.reason
    assert "80" in refused.reason
    assert np.array_equal(loop_of(clip, asked_bpm=80.0, insist=()).samples, plain.samples)


def test_a_whole_clip_is_measured_and_brought_to_the_tempo(clip: Audio) -> None:
    near = measure_clip(clip, RATE, 117.0, None)
    assert isinstance(near, Measured)
    assert near.bpm == pytest.approx(117, rel=1e-3)
    assert len(near.samples) == pytest.approx(len(clip) * 120 / 117, abs=60)
    far = measure_clip(clip, RATE, 95.0, None)
    assert isinstance(far, Rejection)
    assert far.code == "wrong-tempo"


def test_halving_and_doubling_count_as_near() -> None:
    assert distance(120, 60) == 0
    assert distance(120, 126) == pytest.approx(0.05)
    assert distance(60, 126) == pytest.approx(0.05)
    assert abs(distance(120, 87)) > 0.06
