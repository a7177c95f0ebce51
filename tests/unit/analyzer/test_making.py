"""A finished loop: the station's format and level, a seam that wraps, a composed clip left as it was written."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from services.analyzer import loudness
from services.analyzer.finder import Study, search, study_clip
from services.analyzer.jumps import find_jumps_beyond
from services.analyzer.length import LengthWish
from services.analyzer.making import FinishedLoop, make_loop
from services.analyzer.records import FoundLoop, Rejection
from services.analyzer.seam import bake
from shared.music import BeatGrid, Section, Truth
from tests.unit.analyzer.music import RATE, groove


@pytest.fixture(scope="module")
def finished() -> FinishedLoop:
    clip = np.repeat(groove(bpm=118.3, bars=9), 2, axis=1)
    loop = make_loop(clip, RATE, wish=LengthWish(seconds=4.0))
    assert isinstance(loop, FinishedLoop), loop
    return loop


def test_format_and_level(finished: FinishedLoop) -> None:
    samples = finished.samples
    assert samples.dtype == np.float32
    assert samples.shape[1] == 2
    assert np.array_equal(np.round(samples * 2.0**23), samples * 2.0**23)
    assert loudness.integrated(loudness.power_curve(samples, 48_000), 48_000) == pytest.approx(-16, abs=0.5)
    assert finished.true_peak_dbtp <= -1.0
    assert np.abs(samples.mean(axis=0)).max() < 1e-4


def test_the_seam_is_no_outlier_when_tiled(finished: FinishedLoop) -> None:
    twice = np.concatenate([finished.samples, finished.samples]).mean(axis=1)
    step = np.abs(np.diff(twice, n=2))
    seam = step[len(finished.samples) - 4 : len(finished.samples) + 4].max()
    assert seam <= np.quantile(step, 0.999)


def test_the_grid_fits_the_file(finished: FinishedLoop) -> None:
    grid = finished.grid
    assert grid is not None
    assert finished.bpm == pytest.approx(118.3, rel=0.002)
    assert finished.bars is not None
    assert len(grid.beats) == finished.bars * 4
    assert set(grid.downbeats) <= set(grid.beats)
    assert all(0 <= beat < len(finished.samples) for beat in grid.beats)
    assert len(finished.energy) == len(grid.downbeats)
    loop = finished.record("loop-1", "job-1", 1, "/tmp/x.wav")
    assert loop.frames == len(finished.samples)


@cache
def composed(rate: int = 48_000) -> tuple[np.ndarray, Truth]:
    # A piece that is its own circle: four bars laid end to end twice, as a composer renders them.
    clip = np.repeat(groove(rate=rate, bpm=180, bars=12, pattern=4), 2, axis=1)
    bar = 4 * rate // 3
    body = clip[4 * bar : 12 * bar]
    sections = (
        Section(label="A", start=0, end=4 * bar, bars=4),
        Section(label="A'", start=4 * bar, end=8 * bar, bars=4),
    )
    beats = tuple(range(0, 8 * bar, bar // 4))
    truth = Truth(
        loop_start=0,
        loop_end=8 * bar,
        bpm=180.0,
        beats_per_bar=4,
        bars=8,
        key="Am",
        grid=BeatGrid(beats=beats, downbeats=beats[::4]),
        sections=sections,
    )
    return body, truth


def test_a_composed_clip_keeps_every_sample() -> None:
    body, truth = composed()
    loop = make_loop(body, 48_000, truth=truth)
    assert isinstance(loop, FinishedLoop), loop
    assert loop.exact
    assert loop.crossfade == 0
    assert len(loop.samples) == len(body)
    gain = np.vdot(loop.samples, body) / np.vdot(body, body)
    np.testing.assert_allclose(loop.samples, gain * body, atol=2e-6)
    assert loop.sections == truth.sections
    assert loop.grid == truth.grid


def test_a_composed_clip_of_another_rate_keeps_its_proportions() -> None:
    body, truth = composed(24_000)
    loop = make_loop(body, 24_000, truth=truth)
    assert isinstance(loop, FinishedLoop), loop
    assert len(loop.samples) == 2 * len(body)
    assert loop.sections[1].start == 2 * truth.sections[1].start


def test_tempo_counts_quarters_whatever_the_metre() -> None:
    body, _ = composed()
    # Ten seconds and two thirds at 180 quarters a minute: 32 quarters, or eight bars of eight eighths.
    told = {"loop_start": 0, "loop_end": len(body), "bpm": 180.0, "beats_per_bar": 8, "bars": 8}
    assert isinstance(make_loop(body, 48_000, truth=Truth(**told, meter="8/8")), FinishedLoop)
    answer = make_loop(body, 48_000, truth=Truth(**told, meter="8/4"))
    assert isinstance(answer, Rejection)
    assert answer.code == "wrong-truth"


def test_a_truth_that_lies_is_refused() -> None:
    body, truth = composed()
    for bad in (
        Truth(loop_start=0, loop_end=len(body) + 1),
        Truth(loop_start=0, loop_end=len(body), bpm=97.0, beats_per_bar=4, bars=8),
        Truth(loop_start=0, loop_end=len(body), sections=(Section(label="A", start=0, end=4800, bars=4),)),
    ):
        answer = make_loop(body, 48_000, truth=bad)
        assert isinstance(answer, Rejection)
        assert answer.code == "wrong-truth"
    assert truth.loop_end == len(body)


def test_asked_tempo_that_was_not_made_is_refused() -> None:
    clip = groove(bpm=120.0, bars=10)
    answer = make_loop(clip, RATE, wish=LengthWish(seconds=4.0), asked_bpm=87.0)
    assert isinstance(answer, Rejection)
    assert (answer.code, answer.figures["asked_bpm"]) == ("wrong-tempo", 87.0)


def test_asked_key_that_was_not_made_is_refused() -> None:
    t = np.arange(RATE * 2) / RATE
    bars = [
        sum(np.sin(2 * np.pi * 220 * 2 ** ((root + step) / 12) * t) for step in (0, 4, 7)) for root in (3, 8, 10, 3)
    ]
    clip = (0.2 * np.tile(np.concatenate(bars), 2) * (1 - 0.9 * (t % 0.5 / 0.5))[np.arange(16 * RATE) % len(t)])[
        :, None
    ]
    kept = make_loop(clip.astype(np.float32), RATE, wish=LengthWish(seconds=7.0), asked_key="C")
    assert isinstance(kept, FinishedLoop), kept
    answer = make_loop(clip.astype(np.float32), RATE, wish=LengthWish(seconds=7.0), asked_key="F#")
    assert isinstance(answer, Rejection)
    assert (answer.code, bool(answer.figures)) == ("wrong-key", True)


def test_faults_of_a_generated_clip_have_names() -> None:
    music = groove(bars=8)
    faded = music * np.linspace(1, 0, len(music), dtype=np.float32)[:, None] ** 6
    hung = np.tile(music[:2_205], (120, 1))
    clipped = np.clip(music * 60, -0.9, 0.9)
    for clip, code in ((faded, "dies-away"), (clipped, "clipping"), (hung, "stuck")):
        answer = make_loop(clip, RATE, wish=LengthWish(seconds=3.0))
        assert isinstance(answer, Rejection), code
        assert (answer.code, bool(answer.figures)) == (code, True)


def test_jump_points_pass_from_bar_line_to_bar_line() -> None:
    finished = make_loop(groove(bpm=118.3, bars=9), RATE, wish=LengthWish(seconds=10.0))
    assert isinstance(finished, FinishedLoop), finished
    assert 1 <= len(finished.jumps) <= 4
    bar = len(finished.samples) / (finished.bars or 1)
    mono = finished.samples.mean(axis=1)
    step = np.quantile(np.abs(np.diff(mono, n=2)), 0.999)
    for jump in finished.jumps:
        bars = (jump.source - jump.target) / bar
        assert abs(bars - round(bars)) < 0.01
        assert min(jump.source, jump.target) >= jump.crossfade
        played = bake(finished.samples, *sorted((jump.target, jump.source)), jump.crossfade).mean(axis=1)
        if jump.source > jump.target:
            joined = np.concatenate([played[-8:], mono[jump.target : jump.target + 8]])
            assert np.abs(np.diff(joined, n=2)).max() <= step


def test_jump_points_beyond_the_loop_leave_it_and_return() -> None:
    clip = groove(bpm=118.3, bars=16)
    study = study_clip(clip, RATE)
    assert isinstance(study, Study)
    loop = search(study, LengthWish(bars=4))
    assert isinstance(loop, FoundLoop)
    jumps = find_jumps_beyond(study, loop)
    assert 1 <= len(jumps) <= 4
    bar = 4 * 60 / 118.3 * RATE
    for jump in jumps:
        bars = (jump.source - jump.target) / bar
        assert abs(bars - round(bars)) < 0.01
        inside = [loop.start - bar / 4 <= place <= loop.end - bar / 4 for place in (jump.source, jump.target)]
        assert not all(inside)
        assert min(jump.source, jump.target) >= jump.crossfade
        assert max(jump.source, jump.target) <= len(clip)
