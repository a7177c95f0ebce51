"""Which lengths, and which starts for each: the coarse search, a feature frame (25 ms) wide.

A length earns by how well the whole clip repeats after it; a start by how well the music *around* it agrees with the
music around the end, near (±1 s) and far (±2.5 s). Sound that is not there costs nearly as much as a bad match, so
that the whole clip is never a loop for free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from services.analyzer.features import Features, ranked
from services.analyzer.sound import Doubles, Floats
from services.analyzer.tempo import Pulse

LAGS: Final = 32
NEAR_S: Final = 1.0
FAR_S: Final = 2.5
NEAR: Final = 0.6
FAR: Final = 0.5
"""What the surroundings near and far count; together they make up a distance."""
UNHEARD: Final = 0.9
"""Distance of a moment beyond the clip's ends: almost a random one."""
ALIKE: Final = 2.0
"""What it counts, for where to start, how unlike the music near start and end is: mean of the distance, and level."""
ALIKE_AT_SEAM: Final = 5.0
"""What it counts once the length is known."""
CLOSE_S: Final = 0.05
CLOSE: Final = 0.4
"""What the same counts, besides, right at the seam, where a change that is not the music's own is heard most."""
LEVEL: Final = 0.06
"""What a decibel's difference of level adds to it."""
GAP_DB: Final = 40.0
LIGHT: Final = 0.25
"""Of a strong onset; how strong one is that hides a seam best."""
ONSET: Final = 0.07
"""What a full onset right after the seam is worth, in the units of distance."""
STEP_S: Final = 0.4
STEP: Final = 0.06
"""What a decibel's difference of level is worth, in the units of distance."""
LONGER: Final = 0.08
"""What a doubling of the length is worth, in the units of distance."""


Lags: TypeAlias = np.ndarray[tuple[int], np.dtype[np.intp]]


@dataclass(frozen=True)
class Candidate:
    """A start and a length in feature frames, and what is against them (lower is better)."""

    start: int
    """Where the length is judged."""
    seam: int
    """Where a loop of this length had best start."""
    lag: int
    cost: float
    distance: float
    """Of the music around the seam from the music around the end: 0 the same, 1 random."""


def lag_merits(features: Features, repetition: Doubles, rhythm: Doubles, pulse: Pulse | None) -> Doubles:
    """How good each length is by itself: repetition, rhythm, whole beats, and a little for being longer.

    The preference for 2, 4, 8 and 16 beats is soft, so that 3/4 and 7/8 survive it. ``repetition`` and ``rhythm`` are
    the autocorrelations of the vectors and of the flux.
    """
    lags = np.arange(len(features))
    merits = 0.8 * repetition + 0.5 * rhythm + LONGER * np.log2(np.maximum(lags, 1) / features.rate)
    if pulse is not None:
        beats = lags / pulse.period
        whole = np.round(beats)
        off = np.abs(beats - whole) * pulse.period / features.rate
        uneven = np.select(
            [whole % 16 == 0, whole % 8 == 0, whole % 4 == 0, whole % 2 == 0], [0, 0.02, 0.05, 0.14], 0.2
        )
        merits -= pulse.clarity * (uneven + 0.3 * np.minimum(off / 0.06, 1))
    return np.asarray(merits)


def find_candidates(features: Features, merits: Doubles, shortest: int, longest: int) -> list[Candidate]:
    """The best start for each of the best lengths between two bounds (frames, inclusive), best first."""
    lags = _peaks(merits, shortest, longest)
    if not len(lags):
        return []
    count = len(features)
    near, far = int(NEAR_S * features.rate), int(FAR_S * features.rate)
    vectors = features.vectors * np.float32(features.typical**-0.5)
    squares, twice = np.einsum("ij,ij->i", vectors, vectors), 2 * vectors
    rows = count - int(lags.min())
    apart = np.full((len(lags), 1 + rows + 2 * far), UNHEARD, np.float32)
    apart[:, 0] = 0  # where the running sums begin
    for row, lag in zip(apart, lags, strict=True):
        gaps = row[1 + far : 1 + far + count - lag]
        np.add(squares[lag:], squares[:-lag], out=gaps)
        gaps -= np.einsum("ij,ij->i", twice[lag:], vectors[:-lag])
    np.clip(apart, 0, 2, out=apart)
    sums = np.cumsum(apart, axis=1)
    distance = NEAR * _around(sums, near, far, rows) + FAR * _around(sums, far, far, rows)
    steps = _steps(features, lags, rows)
    cost = distance + _holes(features, lags, rows) + STEP * steps - merits[lags][:, None]
    cost -= ONSET * _shared_onsets(features, lags, rows)
    cost[:, :2] += 1
    cost[np.arange(rows)[None, :] >= (count - lags)[:, None]] = np.inf
    # Which length is best, the squares tell; of its starts, the one where the ear finds least that differs.
    plain, close = np.cumsum(np.sqrt(apart), axis=1), max(1, round(CLOSE_S * features.rate))
    unlike = _around(plain, near, far, rows) + LEVEL * steps
    starts = (cost + ALIKE * unlike).argmin(axis=1)
    seams = (cost + ALIKE_AT_SEAM * unlike + CLOSE * _around(plain, close, far, rows)).argmin(axis=1)
    found = [
        Candidate(int(start), int(seam), int(lag), float(cost[row, start]), float(distance[row, seam]) / (NEAR + FAR))
        for row, (start, seam, lag) in enumerate(zip(starts, seams, lags, strict=True))
    ]
    return sorted(found, key=lambda candidate: candidate.cost)


def _around(sums: Floats, span: int, first: int, rows: int) -> Floats:
    """Mean within ``span`` frames of each of ``rows`` places from ``first`` on, of what ``sums`` is the running sum."""
    low, high = first - span, first + span
    return np.asarray((sums[:, high : high + rows] - sums[:, low : low + rows]) / (2 * span))


def _peaks(merits: Doubles, shortest: int, longest: int) -> Lags:
    """The lags of the highest local maxima, best first."""
    inside = merits[shortest : longest + 1]
    padded = np.full(len(inside) + 4, -np.inf)
    padded[2:-2] = inside
    crest = np.max([padded[shift : shift + len(inside)] for shift in range(5)], axis=0)
    peaks = np.flatnonzero(inside == crest)
    return shortest + peaks[np.argsort(-inside[peaks], kind="stable")[:LAGS]]


def _holes(features: Features, lags: Lags, rows: int) -> Doubles:
    """Seconds of silence inside each possible loop, in pauses of half a second and more, 0–1; ``(lags, rows)``."""
    quiet = features.power < features.power.mean() * 10 ** (-GAP_DB / 10)
    width = max(2, round(0.5 * features.rate))
    run = np.convolve(quiet, np.ones(width), "valid") >= width
    pause = np.convolve(run, np.ones(width), "full") > 0
    if not pause.any():
        return np.zeros((len(lags), 1))
    held = np.concatenate([[0], np.cumsum(pause)])
    ends = np.minimum(np.arange(rows)[None, :] + lags[:, None], len(features))
    return np.asarray(np.clip((held[ends] - held[np.arange(rows)]) / features.rate, 0, 1))


def _shared_onsets(features: Features, lags: Lags, rows: int) -> Doubles:
    """How well an onset that start and end share hides a seam just before it, 0–1.

    A light one does it best: it masks the seam, and draws no attention to it as the one of a bar does.
    """
    strength = features.flux.sum(axis=1)
    strength = np.minimum(strength / (ranked(strength, 0.97) + 1e-9), 1)
    ends = np.minimum(np.arange(rows)[None, :] + lags[:, None], len(features) - 1)
    shared = np.minimum(strength[:rows][None, :], strength[ends])
    return np.asarray(np.maximum(0, 1 - np.abs(shared - LIGHT) / LIGHT))


def _steps(features: Features, lags: Lags, rows: int) -> Doubles:
    """Decibels by which the level after the start differs from the level after the end, beyond half a decibel."""
    count, span = len(features), max(2, round(STEP_S * features.rate))
    sums = np.concatenate([[0.0], np.cumsum(features.power)])
    floor = 1e-6 * sums[-1] / count
    at = np.arange(count)
    # After the clip's end there is nothing to compare with: then the level before it has to do.
    first = np.minimum(at, count - span)
    levels = (10 * np.log10((sums[first + span] - sums[first]) / span + floor)).astype(np.float32)
    ends = np.minimum(np.arange(rows)[None, :] + lags[:, None], count - 1)
    return np.asarray(np.clip(np.abs(levels[:rows][None, :] - levels[ends]) - 0.5, 0, 4))
