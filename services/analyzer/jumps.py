"""Jump points: bar lines of a loop between which the music may pass without a seam, so that one clip plays as a form.

Two bar lines are a pair where the music around one is like the music around the other, near and far, as around the
loop's own start and end; each pair is then fitted to the sample and must pass the same bars as the loop's seam.
"""

from __future__ import annotations

from itertools import combinations
from typing import Final

import numpy as np

from services.analyzer.candidates import FAR_S, NEAR_S
from services.analyzer.finder import SEAMS_S, Study
from services.analyzer.records import FoundLoop, JumpPoint
from services.analyzer.refinement import align, match, settle
from services.analyzer.seam import best_crossfade, measure

MOST: Final = 4
TRIED: Final = 10
LIKE_ENOUGH: Final = 0.45
"""Distance of the music around both bar lines: 0 the same, 1 any two moments."""
WORSE_THAN_LOOP: Final = 0.15
EXCESS_DB: Final = 1.0
STEP_DB: Final = 2.0


def find_jumps(study: Study, found: FoundLoop) -> tuple[JumpPoint, ...]:
    """Up to four pairs of bar lines inside the loop, the likest first, as frames of the clip; rising or falling.

    A jump lies wholly within the loop and clear of its baked crossfade. It goes back first: that makes a piece longer.
    Where one pair serves, going forward over it does as well.
    """
    if found.metre is None:
        return ()
    chosen: list[JumpPoint] = []
    sources: set[int] = set()
    for first, second in _likest(study, found):
        if first in sources or second in sources:
            continue
        jump = _fitted(study, found, first, second)
        if jump is not None:
            sources |= {first, second}
            chosen += [jump, JumpPoint(source=jump.target, target=jump.source, crossfade=jump.crossfade)]
        if len(chosen) >= MOST:
            break
    return tuple(chosen[:MOST])


def _likest(study: Study, found: FoundLoop) -> list[tuple[int, int]]:
    """Pairs of downbeats whose surroundings are alike enough, best first."""
    features = study.features
    lines = found.metre.downbeats if found.metre is not None else ()
    limit = min(LIKE_ENOUGH, found.score + WORSE_THAN_LOOP)
    frames = np.round(np.array(lines) / features.hop).astype(int)
    pairs = []
    for one, other in combinations(range(len(lines)), 2):
        distance = _distance(study, int(frames[one]), int(frames[other]))
        if distance <= limit:
            pairs.append((distance, lines[one], lines[other]))
    return [(first, second) for _, first, second in sorted(pairs)[:TRIED]]


def _distance(study: Study, one: int, other: int) -> float:
    features = study.features
    total = 0.0
    for seconds, weight in ((NEAR_S, 0.6), (FAR_S, 0.5)):
        span = int(seconds * features.rate)
        low, high = max(-span, -one), min(span, len(features) - other)
        gap = features.vectors[one + low : one + high] - features.vectors[other + low : other + high]
        heard = np.minimum(np.einsum("ij,ij->i", gap, gap) / features.typical, 2)
        # What lies beyond the clip's ends is unknown, which is nearly as bad as unlike.
        total += weight * (float(heard.sum()) + 0.9 * (2 * span - len(heard))) / (2 * span)
    return total / 1.1


def _fitted(study: Study, found: FoundLoop, first: int, second: int) -> JumpPoint | None:
    sound = study.sound
    aligned = match(sound, align(sound, study.onsets, first, second - first, 1), 1)
    start, end = settle(sound, study.onsets, aligned, 1)
    room = min(start - found.start, end - start)
    if room <= 0 or end > found.end - found.crossfade or start >= end:
        return None
    lengths = [min(round(seconds * sound.rate), room) for seconds in SEAMS_S[:-1]]
    crossfade = best_crossfade(sound, start, end, lengths, measure(sound, start, end, lengths[0]).natural_db)
    excess = measure(sound, start, end, crossfade)
    if excess.change_db > EXCESS_DB or excess.step_db > STEP_DB:
        return None
    return JumpPoint(source=end, target=start, crossfade=crossfade)
