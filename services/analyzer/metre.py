"""Beats, bars and downbeats of a loop.

A loop that was found holds a whole number of beats, so that its own length gives the tempo more exactly than any comb.
Which beats are downbeats is told by the bass drum and bass, and by changes of harmony.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.analyzer.features import Features, Onsets
from services.analyzer.records import Metre
from services.analyzer.sound import Doubles
from services.analyzer.tempo import Pulse

BAR_LENGTHS: Final = {4: 0.10, 3: 0.04, 6: 0.02, 5: 0.0, 7: 0.0, 2: 0.0}
"""Beats in a bar, and how much each is expected before anything was heard."""
TOLERANCE: Final = 0.04
LEAST_CLARITY: Final = 0.08


@dataclass(frozen=True)
class Span:
    """A stretch of the clip in feature frames, with fractions."""

    start: float
    length: float


def find_metre(features: Features, onsets: Onsets, pulse: Pulse | None, loop: Span) -> Metre | None:
    """The beats and bars of a loop, as frames of the clip; ``None`` where nothing pulses clearly enough."""
    if pulse is None or pulse.clarity < LEAST_CLARITY:
        return None
    count = max(1, round(loop.length / pulse.period))
    beat = loop.length / count
    if abs(beat / pulse.period - 1) > TOLERANCE:
        return None
    phase = _beat_phase(onsets, beat * features.hop)
    # Every beat of the clip, not of the loop alone: what surrounds it tells the bars as well.
    first = phase / features.hop
    first -= beat * np.floor(first / beat)
    times = np.arange(first, len(features) - 1, beat)
    accents = _accents(features, times, beat)
    per_bar, offset, confidence = _bars(accents, count)
    inside = np.arange(len(times))
    frames = np.round(times * features.hop).astype(int)
    lo, hi = round(loop.start * features.hop), round((loop.start + loop.length) * features.hop)
    slack = round(0.02 * features.hop * features.rate)
    kept = [int(i) for i in inside if lo - slack <= frames[i] < hi - slack]
    beats = tuple(int(min(max(frames[i], lo), hi - 1)) for i in kept)
    downbeats = tuple(beat_at for i, beat_at in zip(kept, beats, strict=True) if (i - offset) % per_bar == 0)
    bpm = 60 * features.rate / beat
    return Metre(round(float(bpm), 4), per_bar, beats, downbeats, round(pulse.clarity * confidence, 3))


def _beat_phase(onsets: Onsets, beat: float) -> float:
    """The frame of the clip at which beats fall, from the onsets folded over the beat."""
    points = beat / onsets.step
    smooth = np.convolve(onsets.values.sum(axis=0), np.hanning(23), "same")
    count = max(1, int(len(smooth) / points))
    grid = np.arange(0, points, 4.0)
    at = grid[:, None] + np.arange(count) * points
    strength = smooth[np.minimum(at.astype(int), len(smooth) - 1)].mean(axis=1)
    return float(grid[int(strength.argmax())]) * onsets.step


def _accents(features: Features, times: Doubles, beat: float) -> Doubles:
    """How much each beat stands out as the first of a bar: low onsets and a change of harmony, ``(beats,)``."""
    count = len(features)
    at = np.clip(np.round(times).astype(int), 0, count - 1)
    low = features.flux[:, :2].sum(axis=1)
    peak = np.maximum.reduce([low[np.clip(at + shift, 0, count - 1)] for shift in (-1, 0, 1, 2)])
    sums = np.concatenate([np.zeros((1, 12)), np.cumsum(features.chroma, axis=0, dtype=np.float64)])
    span = max(1, round(beat))
    after = sums[np.minimum(at + span, count)] - sums[at]
    before = sums[at] - sums[np.maximum(at - span, 0)]
    after /= np.linalg.norm(after, axis=1, keepdims=True) + 1e-9
    before /= np.linalg.norm(before, axis=1, keepdims=True) + 1e-9
    change = 1 - (after * before).sum(axis=1)
    change[at < span] = change.mean() if len(change) else 0.0
    return _standard(peak) + 1.5 * _standard(change)


def _bars(accents: Doubles, count: int) -> tuple[int, int, float]:
    """Beats per bar, the first downbeat's index, and how clearly it leads (0–1)."""
    best = (-np.inf, 4, 0, 0.0)
    for per_bar, expected in BAR_LENGTHS.items():
        if len(accents) < 2 * per_bar:
            continue
        means = np.array([accents[offset::per_bar].mean() for offset in range(per_bar)])
        order = np.sort(means)
        lead = float(order[-1] - order[-2])
        divides = 0.0 if count % per_bar == 0 else -0.6
        score = float(order[-1] - order.mean()) / np.sqrt(per_bar) + 5 * expected + divides
        if score > best[0]:
            best = (score, per_bar, int(means.argmax()), float(np.clip(0.4 + lead, 0, 1)))
    return best[1], best[2], best[3]


def _standard(values: Doubles) -> Doubles:
    spread = float(values.std())
    return (values - values.mean()) / spread if spread > 1e-9 else np.zeros(len(values))
