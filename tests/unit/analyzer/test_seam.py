"""A seam is judged as it is rendered: it lies beside an attack, not in one."""

from __future__ import annotations

import numpy as np
import pytest

from services.analyzer.finder import find_loop
from services.analyzer.length import LengthWish
from services.analyzer.records import FoundLoop
from services.analyzer.seam import bake
from shared.units import Audio
from tests.unit.analyzer.music import RATE, tone

ORDER = 20


def plucked(seed: int) -> Audio:
    """Ten seconds of notes with hard attacks at random, nothing of which comes back."""
    rng = np.random.default_rng(seed)
    out = np.zeros(11 * RATE)
    second = 0.0
    while second < 10:
        note = tone(rng.integers(45, 75), 0.8, RATE)
        note = note * np.exp(-np.arange(len(note)) / RATE / 0.2) * rng.uniform(0.1, 0.4)
        stroke = rng.standard_normal(200) * np.exp(-np.arange(200) / 30) * rng.uniform(0.1, 0.5)
        at = round(second * RATE)
        out[at : at + len(note)] += note[: len(out) - at]
        out[at : at + 200] += stroke
        second += rng.uniform(0.05, 0.25)
    return (0.7 * out[: 10 * RATE] / np.abs(out).max()).astype(np.float32)[:, None]


def surprise(audio: Audio, loop: FoundLoop) -> float:
    """Greatest linear prediction error across the rendered seam over the greatest within 25 ms, weights from there."""
    body = bake(audio, loop.start, loop.end, loop.crossfade)[:, 0].astype(np.float64)
    around = round(0.025 * RATE)
    windows = np.lib.stride_tricks.sliding_window_view(np.concatenate([body[-around:], body[:around]]), ORDER + 1)
    place = np.arange(ORDER, 2 * around)
    across = (place >= around - loop.crossfade) & (place < around + ORDER)
    weights = np.linalg.lstsq(windows[~across][:, :-1], windows[~across][:, -1], rcond=1e-6)[0]
    errors = np.abs(windows[:, -1] - windows[:, :-1] @ weights)
    return float(errors[across].max() / (errors[~across].max() + 1e-3))


@pytest.mark.parametrize("seed", [9, 10, 14, 15])
def test_no_attack_falls_into_a_seam_that_could_lie_beside_it(seed: int) -> None:
    clip = plucked(seed)
    loop = find_loop(clip, RATE, LengthWish(seconds=3.0))
    assert isinstance(loop, FoundLoop), loop
    assert surprise(clip, loop) <= 1.0
