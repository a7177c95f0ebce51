"""Jump points: bar lines between which the music may pass without a seam, so that one clip plays as a form.

Two bar lines are a pair where the music around one is like the music around the other, near and far, as around the
loop's own start and end; each pair is then fitted to the sample and must pass the same bars as the loop's seam.
"""

from __future__ import annotations

from itertools import combinations
from typing import Final

import numpy as np

from services.analyzer.candidates import FAR, FAR_S, NEAR, NEAR_S
from services.analyzer.finder import SEAMS_S, Study
from services.analyzer.records import FoundLoop, JumpPoint
from services.analyzer.refinement import align, match, settle
from services.analyzer.seam import best_crossfade, measure, natural_change

MOST: Final = 4
TRIED: Final = 10
LIKE_ENOUGH: Final = 0.45
"""Distance of the music around both bar lines: 0 the same, 1 any two moments."""
WORSE_THAN_LOOP: Final = 0.15
EXCESS_DB: Final = 1.0
STEP_DB: Final = 2.0


def find_jumps(study: Study, found: FoundLoop) -> tuple[JumpPoint, ...]:
    """Up to four jumps inside the loop, the likest first, as frames of the clip; rising or falling.

    A jump lies wholly within the loop and clear of its baked crossfade. It goes back first: that makes a piece longer.
    Where one pair serves, going forward over it does as well.
    """
    if found.metre is None:
        return ()
    lines = found.metre.downbeats
    return _passing(study, found, list(combinations(lines, 2)), (found.start, found.end - found.crossfade))


def find_jumps_beyond(study: Study, found: FoundLoop) -> tuple[JumpPoint, ...]:
    """Up to four jumps that leave the loop for the rest of the clip or return from it, found as those inside it are.

    The loop's bars are counted on in both directions; where the music keeps no such time, nothing there is like it.
    """
    if found.metre is None or not found.metre.downbeats:
        return ()
    metre = found.metre
    bar = metre.beats_per_bar * 60 / metre.bpm * study.sound.rate
    first = metre.downbeats[0]
    before, after = int(first / bar), int((study.sound.frames - first) / bar)
    counted = (round(first + number * bar) for number in range(-before, after))
    outside = [line for line in counted if all(abs(line - inner) > bar / 2 for inner in metre.downbeats)]
    pairs = [(min(inner, outer), max(inner, outer)) for inner in metre.downbeats for outer in outside]
    return _passing(study, found, pairs, (0, study.sound.frames))


def _passing(
    study: Study, found: FoundLoop, pairs: list[tuple[int, int]], within: tuple[int, int]
) -> tuple[JumpPoint, ...]:
    """The first jumps, by likeness, that pass the seam's bars and share no bar line; both ways over each pair."""
    chosen: list[JumpPoint] = []
    used: set[int] = set()
    for first, second in _likest(study, found, pairs):
        if first in used or second in used:
            continue
        jump = _fitted(study, (first, second), within)
        if jump is not None:
            used |= {first, second}
            chosen += [jump, JumpPoint(source=jump.target, target=jump.source, crossfade=jump.crossfade)]
        if len(chosen) >= MOST:
            break
    return tuple(chosen[:MOST])


def _likest(study: Study, found: FoundLoop, pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pairs of bar lines whose surroundings are alike enough, best first."""
    hop = study.features.hop
    limit = min(LIKE_ENOUGH, found.score + WORSE_THAN_LOOP)
    judged = ((_distance(study, round(one / hop), round(other / hop)), one, other) for one, other in pairs)
    return [(one, other) for distance, one, other in sorted(judged) if distance <= limit][:TRIED]


def _distance(study: Study, one: int, other: int) -> float:
    features = study.features
    total = 0.0
    for seconds, weight in ((NEAR_S, NEAR), (FAR_S, FAR)):
        span = int(seconds * features.rate)
        low, high = max(-span, -one), min(span, len(features) - other)
        gap = features.vectors[one + low : one + high] - features.vectors[other + low : other + high]
        heard = np.minimum(np.einsum("ij,ij->i", gap, gap) / features.typical, 2)
        # What lies beyond the clip's ends is unknown, which is nearly as bad as unlike.
        total += weight * (float(heard.sum()) + 0.9 * (2 * span - len(heard))) / (2 * span)
    return total / (NEAR + FAR)


def _fitted(study: Study, pair: tuple[int, int], within: tuple[int, int]) -> JumpPoint | None:
    """The jump between two bar lines, to the sample, if it stays between two frames and is not heard."""
    sound = study.sound
    aligned = match(sound, align(sound, study.onsets, pair[0], pair[1] - pair[0], 1), 1)
    start, end = settle(sound, study.onsets, aligned, 1)
    room = min(start - within[0], end - start)
    if room <= 0 or end > within[1]:
        return None
    lengths = [min(round(seconds * sound.rate), room) for seconds in SEAMS_S[:-1]]
    crossfade = best_crossfade(sound, start, end, lengths, natural_change(sound, start, end, lengths[0])).frames
    excess = measure(sound, start, end, crossfade)
    if excess.change_db > EXCESS_DB or excess.step_db > STEP_DB:
        return None
    return JumpPoint(source=end, target=start, crossfade=crossfade)
