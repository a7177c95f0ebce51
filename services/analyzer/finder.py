"""The best loop in a clip: pure, deterministic, a few milliseconds for a clip of twenty seconds.

``Sound`` → features → lengths → starts → refinement → the seam, judged as it will be rendered → metre, key, jumps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from services.analyzer.candidates import Candidate, find_candidates, lag_merits
from services.analyzer.features import Features, Onsets, describe, onset_curves
from services.analyzer.key import find_key
from services.analyzer.length import LengthWish
from services.analyzer.metre import Span, find_metre
from services.analyzer.records import FoundLoop, Rejection
from services.analyzer.refinement import EXACT, Aligned, align, keep_time, match, settle
from services.analyzer.seam import Crossfade, best_crossfade, clicks, measure
from services.analyzer.sound import Doubles, Sound, listen
from services.analyzer.tempo import Pulse, autocorrelation, find_pulse
from shared.units import Audio

ALIGNED: Final = 10
"""Candidates whose length is fitted to the onsets."""
CLEAR_BEAT: Final = 0.4
"""Clarity of a pulse from which a length may be fitted to it alone."""
MATCHED: Final = 5
"""Of these, how many are compared by their waveforms too."""
JUDGED: Final = 2
"""Of these, how many are taken to the sample and judged by their seam."""
WORST_SEAM: Final = 0.09
"""The most that a seam can speak against a candidate: less than half a bar does (``candidates.lag_merits``)."""
RHYTHM: Final = 0.3
"""What it is worth that the onsets around start and end agree wholly."""
WAVEFORM: Final = 0.3
UNRELATED: Final = 0.4
"""Likeness of the waveforms from which it counts, in proportion."""
SAME_RECORDING: Final = 0.3
"""What it is worth that the very same samples come back."""
MOST_ALIKE: Final = WAVEFORM * (1 - UNRELATED) + SAME_RECORDING
SHORT_SEAM_S: Final = 0.015
SEAMS_S: Final = (0.015, 0.024, 0.006, 0.06)
UNLIKE: Final = 0.4
"""Score from which a repeat differs enough for a blend longer than that to be no smear."""
LONGER_SEAM_S: Final = 0.2
BESIDE_S: Final = (0.0, -0.004, 0.004, -0.008, 0.008, -0.012, 0.012, -0.016, 0.016, -0.02, 0.02)
"""Where else a seam is tried that is heard where it was fitted."""
LONG_SEAMS: Final = ((0.75, 1.0), (1.1, 1.0), (1.4, 2.0))
"""Score of a repeat too unlike for a short crossfade, and how many seconds of blending it takes instead."""
HOPELESS: Final = 1.6
NOISE_FLATNESS: Final = 0.7


@dataclass(frozen=True)
class Study:
    """What was measured on the way, for plots and for those who describe the loop further."""

    sound: Sound
    features: Features
    onsets: Onsets
    pulse: Pulse | None
    likeness: Doubles
    """Of the clip to itself, by lag in feature frames: 1 where it repeats."""
    merits: Doubles


def find_loop(audio: Audio, sample_rate: int, wish: LengthWish | None = None) -> FoundLoop | Rejection:
    """The best loop in a clip.

    Parameters
    ----------
    audio : float32 array [shape=(frames, channels)]
    sample_rate : frames per second
    wish : how long the loop should be; by default eight bars, four at the least

    Returns
    -------
    A loop whose positions are frames of ``audio``, or the reason why there is none.
    """
    study = study_clip(audio, sample_rate)
    return study if isinstance(study, Rejection) else search(study, wish or LengthWish())


def study_clip(audio: Audio, sample_rate: int) -> Study | Rejection:
    """Everything that does not depend on how long the loop should be."""
    sound = listen(audio, sample_rate)
    if isinstance(sound, Rejection):
        return sound
    features = describe(sound)
    onsets = onset_curves(sound)
    rhythm = autocorrelation(features.flux - features.flux.mean(axis=0), features.rate)
    likeness = autocorrelation(features.vectors, features.rate)
    pulse = find_pulse(rhythm, likeness, features.rate)
    return Study(sound, features, onsets, pulse, likeness, lag_merits(features, likeness, rhythm, pulse))


def search(study: Study, wish: LengthWish) -> FoundLoop | Rejection:
    """The best loop of a clip that was studied."""
    features = study.features
    reach = _bounds(study, wish)
    if isinstance(reach, Rejection):
        return reach
    merits = study.merits + reach.bonus
    candidates = find_candidates(features, merits, reach.shortest, reach.longest)
    if not candidates:
        return Rejection("Nothing in this clip repeats: it holds no loop.", "no-loop")
    ranked = _rank(study, candidates[:ALIGNED], reach.frames)
    best = _judge(study, *ranked[0], reach.frames)
    for one in ranked[1:JUDGED]:
        # A seam can only be held against a candidate: one that costs more already is not worth the look.
        if one[0] < best.score:
            best = min(best, _judge(study, *one, reach.frames), key=lambda judged: judged.score)
    if features.flatness > NOISE_FLATNESS and best.candidate.distance > LONG_SEAMS[0][0]:
        return Rejection(
            "This clip is noise: nothing in it repeats.", "noise", {"flatness": features.flatness, "score": best.score}
        )
    if best.candidate.distance > HOPELESS:
        return Rejection(
            "Nothing in this clip comes back closely enough to loop.", "no-loop", {"distance": best.candidate.distance}
        )
    return _describe(study, best)


@dataclass(frozen=True)
class _Reach:
    shortest: int
    longest: int
    """In feature frames, inclusive."""
    frames: int
    """The least length in frames of the clip."""
    bonus: Doubles


@dataclass(frozen=True)
class _Judged:
    candidate: Candidate
    start: int
    end: int
    agreement: float
    natural_db: float
    """The change of sound that the music has there by itself."""
    score: float


def _bounds(study: Study, wish: LengthWish) -> _Reach | Rejection:
    """From the wish to bounds of the search, and what lengths within them are worth more."""
    features, pulse = study.features, study.pulse
    count, rate = len(features), features.rate
    seconds = study.sound.frames / study.sound.rate
    bonus = np.zeros(count)
    bar = 4 * pulse.period if pulse is not None else 2 * rate
    if wish.seconds is not None:
        least = wish.seconds * rate
    elif wish.bars is not None:
        least = wish.bars * bar * 0.97
    else:
        wanted = 4 * bar if pulse is not None else 12 * rate
        least = wanted * 0.97
        while least > 0.8 * count and least > rate:
            least /= 2
        bonus[np.arange(count) >= 8 * bar * 0.97] = 0.12
    shortest, longest = int(np.ceil(least)), count - 2
    if (wish.seconds is not None and seconds < wish.seconds) or shortest >= longest - 2:
        asked = f"{wish.bars} bars" if wish.bars is not None else f"{least / rate:.1f} s"
        return Rejection(
            f"This clip is {seconds:.1f} s long: too short for a loop of {asked}.", "too-short", {"seconds": seconds}
        )
    return _Reach(shortest, longest, int(np.ceil(least / rate * study.sound.rate)), bonus)


def _rank(study: Study, candidates: list[Candidate], shortest: int) -> list[tuple[float, Candidate, Aligned]]:
    """Candidates with their lengths fitted, best first: how alike the rhythm and the waveform are counts now too."""
    hop, pulse = study.features.hop, study.pulse
    beat = pulse.period * hop if pulse is not None and pulse.clarity >= CLEAR_BEAT else None
    # Both loops end where nothing that is still unknown could bring a candidate back to the best one.
    fitted, least = [], np.inf
    for candidate in candidates:
        if candidate.cost - RHYTHM - MOST_ALIKE > least + WORST_SEAM:
            break
        start, length = round(candidate.start * hop), round(candidate.lag * hop)
        aligned = align(study.sound, study.onsets, start, length, shortest, beat=beat)
        fitted.append((candidate.cost - RHYTHM * aligned.agreement, candidate, aligned))
        least = min(least, fitted[-1][0])
    ranked, least = [], np.inf
    for cost, candidate, aligned in sorted(fitted, key=lambda one: one[0])[:MATCHED]:
        if cost - MOST_ALIKE > least + WORST_SEAM:
            break
        timed = aligned if beat is None else keep_time(study.sound, study.onsets, aligned, shortest, beat)
        matched = match(study.sound, timed, shortest)
        worth = WAVEFORM * max(0.0, matched.likeness - UNRELATED)
        worth += SAME_RECORDING if matched.likeness > EXACT else 0.0
        ranked.append((cost - worth, candidate, matched))
        least = min(least, cost - worth)
    return sorted(ranked, key=lambda one: one[0])


def _judge(study: Study, cost: float, candidate: Candidate, aligned: Aligned, shortest: int) -> _Judged:
    place = min(round(candidate.seam * study.features.hop), study.sound.frames - aligned.length)
    start, end = settle(study.sound, study.onsets, replace(aligned, start=place), shortest)
    excess = measure(study.sound, start, end, round(SHORT_SEAM_S * study.sound.rate))
    # A bad seam speaks against a candidate, but not for one that is no whole number of bars.
    worse = 0.05 * max(0.0, excess.change_db - 1.0) + 0.04 * max(0.0, excess.step_db - 0.5)
    score = cost + min(WORST_SEAM, worse)
    return _Judged(candidate, start, end, aligned.agreement, excess.natural_db, score)


def _describe(study: Study, best: _Judged) -> FoundLoop:
    sound, features = study.sound, study.features
    start, crossfade = _seam(study, best)
    length = best.end - best.start
    span = Span(start / features.hop, length / features.hop)
    metre, classes = find_metre(sound, features, study.onsets, study.pulse, span)
    bars = None
    if metre is not None:
        bars = max(1, round(len(metre.beats) / metre.beats_per_bar))
    confidence = float(np.clip(1 - best.candidate.distance, 0, 1) * np.clip(0.5 + best.agreement / 2, 0, 1))
    return FoundLoop(
        start=start,
        end=start + length,
        crossfade=crossfade,
        score=best.candidate.distance,
        confidence=round(confidence, 3),
        metre=metre,
        bars=bars,
        key=find_key(classes),
    )


def _seam(study: Study, best: _Judged) -> tuple[int, int]:
    """Where a loop begins and how many frames are blended: as it was fitted, or a little beside, where less is heard.

    The fit found the place where a cut is heard least. What is rendered is a crossfade, and it may fall into an attack.
    """
    sound, length = study.sound, best.end - best.start
    shifted = (best.start + round(shift * sound.rate) for shift in BESIDE_S)
    starts = [start for start in shifted if 0 <= start <= sound.frames - length]
    if (blend := _blend(study, best.candidate, length)) is not None:
        for start in starts:
            if not clicks(sound, start, start + length, min(blend, start)):
                return start, min(blend, start)
    seams = (*SEAMS_S, LONGER_SEAM_S) if best.candidate.distance > UNLIKE else SEAMS_S
    lengths = [round(seconds * sound.rate) for seconds in seams]
    tried: list[tuple[int, Crossfade]] = []
    for start in starts:
        fitting = [min(frames, start, length // 2) for frames in lengths]
        tried.append((start, best_crossfade(sound, start, start + length, fitting, best.natural_db)))
        if not tried[-1][1].heard:
            break
        # What was best there is the length to try elsewhere: all of them everywhere would cost more than the search.
        lengths = [tried[0][1].frames]
    start, crossfade = min(tried, key=lambda one: one[1].noticed_db)
    return start, crossfade.frames


def _blend(study: Study, candidate: Candidate, length: int) -> int | None:
    """Frames of a beat or two over which a repeat that is not good enough for a short seam becomes a change."""
    scores, blends = zip(*LONG_SEAMS, strict=True)
    if candidate.distance <= scores[0]:
        return None
    beat = study.pulse.period / study.features.rate if study.pulse is not None else 0.5
    wanted = float(np.interp(candidate.distance, scores, blends))
    seconds = min(beat * max(1, round(wanted / beat)), blends[-1])
    return min(round(seconds * study.sound.rate), length // 2)
