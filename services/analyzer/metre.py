"""Beats, bars and downbeats of a loop.

A loop that was found holds a whole number of beats, so that its own length gives the tempo more exactly than any comb.
Which beats are downbeats is told by changes of harmony first (they fall on bar lines far more often than drums do, as
S. Durand et al. found too: "Robust downbeat tracking using an ensemble of convolutional networks", IEEE/ACM TASLP
25(1), 2017), then by the bass drum and by the hats that rest there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.analyzer.features import Features, Onsets
from services.analyzer.harmony import pitch_classes
from services.analyzer.opening import opening
from services.analyzer.records import Metre
from services.analyzer.sound import Doubles, Floats, Sound
from services.analyzer.tempo import Pulse

BAR_LENGTHS: Final = {4: 0.9, 3: 0.3, 6: 0.3, 5: 0.0, 7: 0.0}
"""Beats in a bar, and how much each is expected before anything was heard."""
TOLERANCE: Final = 0.04
LEAST_CLARITY: Final = 0.08
MOST_BEATS: Final = 48
"""Beats that are listened to; a long clip's first ones tell enough."""
OFFBEAT: Final = 1.1
"""By how much the strongest onsets are expected to be the beats and not the offbeats."""
DOUBLED_BPM: Final = (138.0, 172.0)
"""Between these tempi a slow piece may have been counted twice; faster ones are drum and bass."""
BEGINS: Final = 2.0
"""What it is worth, in standard deviations of the accents, that the music begins with a beat."""
BEGINS_WITHIN: Final = 0.12
"""Of a beat: how far from it the music may begin."""
BEGINS_AT: Final = 0.4
"""Of the strongest onsets: those that come where the music begins are the beats, if they are as strong as this."""
BUSY: Final = 0.55
"""Onsets between the beats over onsets on them: what a fast piece has and a slow one counted twice has not."""


@dataclass(frozen=True)
class Span:
    """A stretch of the clip in feature frames, with fractions."""

    start: float
    length: float


@dataclass(frozen=True)
class _Grid:
    """Beats heard at one phase: when, in feature frames, and how each stands out."""

    times: Doubles
    accents: Doubles
    change: Doubles
    begin: int | None
    """The number of the beat, which may be negative, with which the music begins; nothing if it is none of them."""


@dataclass(frozen=True)
class _Bars:
    score: float
    grid: _Grid
    per_bar: int
    offset: int
    lead: float


def find_metre(
    sound: Sound, features: Features, onsets: Onsets, pulse: Pulse | None, loop: Span
) -> tuple[Metre | None, Floats]:
    """The beats and bars of a loop as frames of the clip, and its pitch classes over time, ``(moments, 12)`` from C.

    There is no metre where nothing pulses clearly enough: a guess is never sent as a fact.
    """
    count = max(1, round(loop.length / pulse.period)) if pulse is not None else 0
    beat = loop.length / count if count else features.rate / 2
    clear = pulse is not None and pulse.clarity >= LEAST_CLARITY and abs(beat / pulse.period - 1) <= TOLERANCE
    began = opening(sound)
    begin = began / features.hop if began is not None else None
    first = _beat_phase(onsets, beat * features.hop, began) / features.hop if clear else 0.0
    # From just before the loop on, over at most so many beats: what follows it tells its bars as well.
    first += beat * np.floor((loop.start - first) / beat)
    first += beat * np.ceil(max(0.0, -first) / beat)
    halves = min(2 * MOST_BEATS, int((len(features) - 1 - first) / beat * 2))
    if halves < 4:
        return None, features.chroma
    scale = features.hop / sound.factor
    classes = pitch_classes(sound.low, sound.rate / sound.factor, first * scale, beat * scale / 2, halves)
    if not clear or pulse is None:
        return None, classes
    grids = [_grid(features, classes, Span(first, beat), half, begin=begin) for half in (0, 1)]
    again = _again(features, beat)
    bars = max(
        (_bars(grid, again, count) for grid in _begun(grids)),
        key=lambda found: found.score + (OFFBEAT if found.grid is grids[0] else 0.0),
    )
    period = beat
    if _counted_twice(features, bars, 60 * features.rate / beat):
        parity = 0 if bars.grid is grids[0] else 1
        slower = [_grid(features, classes, Span(first, beat), parity + shift, fold=2, begin=begin) for shift in (0, 2)]
        again = _again(features, 2 * beat)
        bars = max((_bars(grid, again, count // 2) for grid in _begun(slower)), key=lambda found: found.score)
        period = 2 * beat
    per_bar, offset, times = bars.per_bar, bars.offset, bars.grid.times
    beats, downbeats = _inside(times, period, per_bar, offset, loop)
    return (
        Metre(
            bpm=round(float(60 * features.rate / period), 4),
            beats_per_bar=per_bar,
            beats=tuple(round(float(at * features.hop)) for at in beats),
            downbeats=tuple(round(float(at * features.hop)) for at in downbeats),
            confidence=round(float(pulse.clarity * bars.lead), 3),
        ),
        classes,
    )


def _inside(times: Doubles, beat: float, per_bar: int, offset: int, loop: Span) -> tuple[list[float], list[float]]:
    """Beats and downbeats within the loop; a beat up to 20 ms before its start belongs to its start."""
    anchor = float(times[0])
    slack = 0.02 * beat
    number = int(np.ceil((loop.start - slack - anchor) / beat))
    beats, downbeats = [], []
    while (at := anchor + number * beat) < loop.start + loop.length - slack:
        at = min(max(at, loop.start), loop.start + loop.length)
        beats.append(at)
        if (number - offset) % per_bar == 0:
            downbeats.append(at)
        number += 1
    return beats, downbeats


def _beat_phase(onsets: Onsets, beat: float, began: int | None) -> float:
    """The frame of the clip at which beats fall, from the onsets folded over the beat, and from where music begins."""
    points = beat / onsets.step
    strong = onsets.values.sum(axis=0)
    count = max(1, int(len(strong) / points))
    grid = np.arange(0, points, 4.0)
    at = grid[:, None] + np.arange(count) * points
    # Smoothed by a Hann window over five places: twenty milliseconds.
    folded = strong[np.minimum(at.astype(int), len(strong) - 1)].mean(axis=1)
    strength = np.convolve(np.concatenate([folded[-2:], folded, folded[:2]]), np.hanning(7)[1:-1], "valid")
    best = float(strength.max())
    if began is not None:
        near = (grid * onsets.step - began + beat / 2) % beat - beat / 2
        close = np.where(np.abs(near) <= BEGINS_WITHIN * beat, strength, -np.inf)
        if float(close.max()) >= BEGINS_AT * best:
            strength = close
    return float(grid[int(strength.argmax())]) * onsets.step


def _grid(
    features: Features, classes: Floats, span: Span, half: int, *, fold: int = 1, begin: float | None = None
) -> _Grid:
    """How each beat stands out as the first of a bar, from ``half`` half beats on, every ``fold`` beats.

    ``span`` starts with the first half beat and is as long as a beat; ``begin`` is the frame where the music begins.
    """
    first, beat = span.start, span.length
    wide = 2 * fold
    count = (len(classes) - half) // wide
    sounding = classes[half : half + wide * count].reshape(count, wide, 12).sum(axis=1)
    times = np.asarray(first + beat * (fold * np.arange(count) + half / 2), np.float64)
    change = _turn(sounding, 1)
    low, high = (_onset(features, times, bands) for bands in ((0, 1), (4, 6)))
    accents = _standard(change) + 0.5 * _standard(_turn(sounding, 2)) + 0.3 * _standard(low) - 0.3 * _standard(high)
    number = None
    if begin is not None:
        beats = (begin - times[0]) / (fold * beat)
        number = round(beats) if abs(beats - round(beats)) * fold <= BEGINS_WITHIN else None
    return _Grid(times, np.asarray(accents), change, number)


def _begun(grids: list[_Grid]) -> list[_Grid]:
    """Those on whose beats the music begins, or all where it begins on none."""
    return [grid for grid in grids if grid.begin is not None] or grids


def _turn(rows: Floats, width: int) -> Doubles:
    """Cosine distance of the ``width`` rows from each on to as many before it; where there are fewer, the mean."""
    sums = np.concatenate([np.zeros((1, 12)), np.cumsum(rows, axis=0, dtype=np.float64)])
    spans = sums[width:] - sums[:-width]
    spans /= np.linalg.norm(spans, axis=1, keepdims=True) + 1e-9
    if len(spans) <= width:
        return np.zeros(len(rows))
    turned = 1 - np.einsum("ij,ij->i", spans[width:], spans[:-width])
    out = np.full(len(rows), turned.mean())
    out[width : width + len(turned)] = turned
    return out


def _onset(features: Features, times: Doubles, bands: tuple[int, int]) -> Doubles:
    flux = features.flux[:, bands[0] : bands[1]].sum(axis=1)
    at = np.clip(np.round(times).astype(int)[:, None] + np.arange(-1, 3), 0, len(flux) - 1)
    return np.asarray(flux[at].max(axis=1), np.float64)


def _bars(grid: _Grid, again: dict[int, float], count: int) -> _Bars:
    """The length of a bar and the first downbeat at which accents gather most."""
    accents = grid.accents
    found = []
    for per_bar, expected in BAR_LENGTHS.items():
        if len(accents) < 2 * per_bar:
            continue
        means = _means(accents, per_bar)
        likely = means.copy()
        if grid.begin is not None:
            likely[grid.begin % per_bar] += BEGINS
        second, offset = (int(at) for at in likely.argsort(kind="stable")[-2:])
        lead = min(max(0.4 + float(likely[offset] - likely[second]), 0.0), 1.0)
        others = (means.sum() - means[offset]) / (per_bar - 1)
        gathered = max(0.0, float(means[offset] - others)) * np.sqrt(min(8.0, len(accents) / per_bar))
        whole = 0.0 if count % per_bar == 0 else -3.0
        score = gathered + 3 * again[per_bar] + whole + expected
        found.append(_Bars(score, grid, per_bar, offset, lead))
    return max(found, key=lambda bars: bars.score, default=_Bars(-np.inf, grid, 4, 0, 0.4))


def _again(features: Features, beat: float) -> dict[int, float]:
    """How much the clip repeats after a bar of each length: mean cosine of the feature vectors."""
    rows = features.vectors
    energy = float(np.vdot(rows, rows)) / len(rows) + 1e-9
    lags = {per_bar: round(per_bar * beat) for per_bar in BAR_LENGTHS}
    return {
        per_bar: float(np.vdot(rows[lag:], rows[:-lag])) / (len(rows) - lag) / energy if lag < len(rows) - 2 else 0.0
        for per_bar, lag in lags.items()
    }


def _counted_twice(features: Features, bars: _Bars, bpm: float) -> bool:
    """Whether too little happens between the beats for so fast a tempo, and harmony does not move with its bars."""
    if not DOUBLED_BPM[0] <= bpm <= DOUBLED_BPM[1] or bars.per_bar not in (4, 6) or len(bars.grid.times) < 16:
        return False
    step = float(bars.grid.times[1] - bars.grid.times[0])
    on, between = (float(_onset(features, bars.grid.times + shift, (0, 6)).mean()) for shift in (0, step / 2))
    if min(on, between) > BUSY * max(on, between):
        return False
    bar = bars.per_bar
    cycle = np.roll(_means(bars.grid.change, 2 * bar), -bars.offset)
    strong, weak = max(cycle[0], cycle[bar]), min(cycle[0], cycle[bar])
    rest = float(cycle.sum() - strong - weak) / (2 * bar - 2)
    return not (weak > 0.5 * strong and rest < 0.5 * weak)


def _means(values: Doubles, period: int) -> Doubles:
    """Mean of every ``period``-th value, from each of the first ``period`` on; 0 where there is none."""
    rows = -(-len(values) // period)
    padded = np.zeros(rows * period)
    padded[: len(values)] = values
    last = len(values) - (rows - 1) * period
    return np.asarray(
        padded.reshape(rows, period).sum(axis=0) / np.where(np.arange(period) < last, rows, max(1, rows - 1))
    )


def _standard(values: Doubles) -> Doubles:
    centred = values - values.mean()
    spread = float(np.sqrt(centred @ centred / len(values)))
    return centred / spread if spread > 1e-9 else np.zeros(len(values))
