"""A composed loop's wrap is compared with the music's own notes, on the beats and between them."""

from __future__ import annotations

import numpy as np
import pytest

from services.analyzer.records import Rejection
from services.analyzer.sound import Sound, listen
from services.analyzer.verification import verify
from shared.music import BeatGrid, Truth

RATE = 48_000
BEAT = RATE // 2
BEATS = 16


def syncopated(*, between: float, first: float) -> Sound:
    """Four bars of a soft tone with weak beats, struck a quarter beat behind each of them and where the loop begins."""
    frames = BEATS * BEAT
    tone = 0.05 * np.sin(2 * np.pi * 220 * np.arange(frames) / RATE)
    stroke = np.random.default_rng(3).normal(0, 1, BEAT // 4) * np.exp(-np.arange(BEAT // 4) / 900)
    for beat in range(BEATS):
        at = beat * BEAT + BEAT // 4
        tone[at : at + len(stroke)] += between * stroke
    tone[: len(stroke)] += first * stroke
    heard = listen(np.repeat(tone[:, None], 2, axis=1).astype(np.float32), RATE)
    assert isinstance(heard, Sound)
    return heard


def truth() -> Truth:
    beats = tuple(range(0, BEATS * BEAT, BEAT))
    return Truth(
        loop_start=0,
        loop_end=BEATS * BEAT,
        bpm=120.0,
        beats_per_bar=4,
        bars=4,
        grid=BeatGrid(beats=beats, downbeats=beats[::4]),
    )


@pytest.mark.parametrize(("between", "passes"), [(0.2, True), (0.0, False)])
def test_a_wrap_may_be_struck_as_hard_as_the_notes_between_the_beats_and_no_harder(
    between: float, passes: bool
) -> None:
    fault = verify(syncopated(between=between, first=0.2), truth())
    assert (fault is None) is passes
    assert passes or (isinstance(fault, Rejection) and fault.code == "seam")
