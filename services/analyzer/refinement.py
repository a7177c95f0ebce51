"""From a feature frame to the sample: the end is fitted to the start, then both move together.

Three steps. Onset curves at 1 ms fix the length within the contexts' rhythm (±30 ms). The waveform fixes it to the
sample: over ±30 ms where the music repeats exactly, within ±2.5 ms otherwise. Then start and end move *together*, the
length unchanged, to where both copies agree sample by sample: a cut is heard least there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from services.analyzer.click import AROUND_S, cut_ratios
from services.analyzer.features import Onsets
from services.analyzer.sound import Doubles, Floats, Sound
from shared.transform import fast_size, spectrum

CONTEXT_S: Final = 2.5
WIDE_CONTEXT_S: Final = 8.0
VAGUE: Final = 0.4
"""Agreement of the onsets below which the whole clip's beat is asked, or a wider context where it has none."""
WHOLE: Final = 0.25
"""Of a beat: a length that is further from a whole number of them has another reason."""
CLIP_SHARE: Final = 0.8
"""Of the clip: lags up to here have pairs enough to tell of the beat."""
REACH_S: Final = 0.03
CLOSE_S: Final = 0.0025
CLOSE_CONTEXTS_S: Final = (0.03, 0.12, 0.5)
FAINT: Final = 0.05
"""Of the whole clip's level: below, a context counts as a pause."""
LIKENESS_S: Final = 0.12
SHIFT_S: Final = 0.04
ONSET_S: Final = 0.045
LEAD_S: Final = 0.014
"""How long before an onset's steepest point a seam is put."""
INAUDIBLE: Final = 0.5
"""Of the prediction error around a cut: below, nobody hears a click."""
BROAD: Final = 0.3
"""Correlation of the thinned waveforms above which the whole ones are worth a look."""
FEW: Final = 16
"""Shifts either way, in samples, that are compared faster one by one than by transforms."""
EXACT: Final = 0.98
"""Correlation above which a repeat counts as the same recording."""


@dataclass(frozen=True)
class Aligned:
    """A loop whose length fits the rhythm to about a millisecond, in frames of the clip."""

    start: int
    length: int
    agreement: float
    """Correlation of the onset curves around start and end, −1–1; 0 where there is no context."""
    likeness: float = 0.0
    """Correlation of the waveforms there: 1 where the same recording comes back."""


def align(
    sound: Sound, onsets: Onsets, start: int, length: int, shortest: int, *, beat: float | None = None
) -> Aligned:
    """Fit a coarse length to the onsets around start and end; all in frames of the clip.

    ``beat`` is about how long a beat is, where one is clear: then a length that so few onsets leave open stays as
    coarse as it is, for ``keep_time``.
    """
    fitted, agreement = _fit_onsets(sound, onsets, start, length, CONTEXT_S)
    if agreement < VAGUE and beat is not None:
        fitted = length
    elif agreement < VAGUE:
        fitted, agreement = _fit_onsets(sound, onsets, start, length, WIDE_CONTEXT_S)
    return Aligned(start, min(max(fitted, shortest), sound.frames - start), agreement)


def keep_time(sound: Sound, onsets: Onsets, aligned: Aligned, shortest: int, beat: float) -> Aligned:
    """Fit a length that the onsets around it leave open to a whole number of beats, as the whole clip keeps them.

    Soft onsets, such as those of pads, are too few around one place; all over the clip each beat tells of all others.
    """
    beats = round(aligned.length / beat)
    if aligned.agreement >= VAGUE or not beats or abs(aligned.length / beat - beats) > WHOLE:
        return aligned
    fitted = _fit_beats(sound, onsets, aligned.length, beats)
    return replace(aligned, length=min(max(fitted, shortest), sound.frames - aligned.start))


def match(sound: Sound, aligned: Aligned, shortest: int) -> Aligned:
    """Compare the waveforms there too, and let them fix the length where the same recording comes back."""
    found = _match(sound.low, aligned.start // sound.factor, aligned.length // sound.factor, sound.rate / sound.factor)
    if found is None:
        return aligned
    moved, likeness = found
    length = aligned.length + moved * sound.factor
    if BROAD < likeness <= EXACT:
        # A period is no whole number of the thinned samples: noise, bright to the last octave, tells so loudest.
        length, likeness = _match_closely(sound, aligned.start, length, likeness)
    if likeness <= EXACT:
        length = aligned.length
    elif not shortest <= length <= sound.frames - aligned.start:
        # The same recording comes back, but at no length that was asked for: that is not this one's merit.
        return aligned
    return replace(aligned, length=length, likeness=likeness)


def settle(sound: Sound, onsets: Onsets, aligned: Aligned, shortest: int) -> tuple[int, int]:
    """Start and end to the sample: the length by the waveform, then both together to where the copies agree best."""
    start, length = aligned.start, aligned.length
    reach = round(CLOSE_S * sound.rate)
    for seconds in CLOSE_CONTEXTS_S:
        around = round(seconds * sound.rate)
        first = max(0, start - around, reach - length)
        last = min(start + around, sound.frames - length - reach)
        if last - first < max(16, around // 2):
            break
        here = sound.mono(first, last)
        if float(here.std()) < FAINT * sound.spread:
            # A pause tells nothing about the length: look further around.
            continue
        moved, likeness = _correlate(here, sound.mono(first + length - reach, last + length + reach), reach)
        if likeness > 0.4 and length + moved >= shortest:
            length += _exactly(sound, first, last, length, moved) if likeness > EXACT else moved
        break
    start, (low, high) = _before_onset(sound, onsets, start, length)
    start += _best_shift(sound, start, start + length, low, high)
    return start, start + length


def _before_onset(sound: Sound, onsets: Onsets, start: int, length: int) -> tuple[int, tuple[int, int]]:
    """The place just before the strongest onset nearby that both copies have, and how far it may be moved from there.

    An onset masks what happens in the twenty milliseconds before it, and the ear expects a change there (H. Fastl and
    E. Zwicker, "Psychoacoustics", 4.4: premasking).
    """
    rate, step = sound.rate, onsets.step
    around = (-round(SHIFT_S * rate), round(SHIFT_S * rate))
    reach, lag, at = round(ONSET_S * rate / step), round(length / step), round(start / step)
    first, last = max(0, at - reach), min(at + reach, onsets.values.shape[1] - lag)
    if last - first < reach:
        return start, around
    here, there = (onsets.values[:, low : low + last - first].sum(axis=0) for low in (first, first + lag))
    both = np.convolve(np.minimum(here, there), np.full(7, 1 / 7, np.float32), "same")
    best = int(both.argmax())
    if both[best] < 2 * float(onsets.values.sum(axis=0).std()):
        return start, around
    place = round((first + best) * step) - round(LEAD_S * rate)
    return max(0, place), (-round(0.02 * rate), round(0.008 * rate))


def _fit_onsets(sound: Sound, onsets: Onsets, start: int, length: int, context_s: float) -> tuple[int, float]:
    step, values = onsets.step, onsets.values
    reach = round(REACH_S * sound.rate / step)
    lag = round(length / step)
    at = round(start / step)
    context = round(context_s * sound.rate / step)
    first = max(0, at - context, reach - lag)
    last = min(at + context, values.shape[1] - lag - reach)
    if last - first < round(0.3 * sound.rate / step):
        return length, 0.0
    here = values[:, first:last]
    there = values[:, first + lag - reach : last + lag + reach]
    cross = np.correlate(there[0], here[0], "valid") + np.correlate(there[1], here[1], "valid")
    energy, width = onsets.energy[first + lag - reach : last + lag + reach + 1], last - first
    own = float(onsets.energy[last] - onsets.energy[first])
    score = cross / np.sqrt(own * (energy[width:] - energy[:-width]) + 1e-12)
    score -= 0.02 * (np.arange(-reach, reach + 1) / reach) ** 2
    best = int(score.argmax())
    peak = float(score[best])
    if peak <= 0.1:
        return length, peak
    return round((lag + best - reach + _vertex(score, best)) * step), peak


def _fit_beats(sound: Sound, onsets: Onsets, length: int, beats: int) -> int:
    """The length of so many beats at which the onsets come back best, at every multiple of a beat."""
    reach = round(REACH_S * sound.rate / onsets.step)
    lengths = length / onsets.step + np.arange(-reach, reach + 1)
    likeness = onsets.repetition
    multiples = np.arange(1, int(CLIP_SHARE * len(likeness) / lengths[-1] * beats) + 1)
    lags = lengths[:, None] / beats * multiples
    below = lags.astype(np.intp)
    score = (likeness[below] + (lags - below) * (likeness[below + 1] - likeness[below])).sum(axis=1)
    best = int(score.argmax())
    return round(float(lengths[best] + _vertex(score, best)) * onsets.step)


def _match(low: Floats, start: int, length: int, rate: float) -> tuple[int, float] | None:
    reach, context = round(REACH_S * rate), round(LIKENESS_S * rate)
    first = max(0, start - context, reach - length)
    last = min(start + context, len(low) - length - reach)
    if last - first < context // 2:
        return None
    moved, likeness = _correlate(low[first:last], low[first + length - reach : last + length + reach], reach)
    return moved, likeness


def _match_closely(sound: Sound, start: int, length: int, likeness: float) -> tuple[int, float]:
    """The same at the clip's own rate, within a thinned sample of what they told: a length, and the likeness there."""
    context, reach = round(LIKENESS_S * sound.rate), sound.factor
    first, last = max(0, start - context, reach - length), min(start + context, sound.frames - length - reach)
    if last - first < context // 2:
        return length, likeness
    there = sound.mono(first + length - reach, last + length + reach)
    moved, close = _correlate(sound.mono(first, last), there, reach)
    return (length + moved, close) if close > likeness else (length, likeness)


def _correlate(here: Floats, there: Floats, reach: int) -> tuple[int, float]:
    """The shift, within ±``reach`` samples, at which ``here`` fits ``there`` best, and the correlation."""
    width = len(here)
    cross = _shifted(here, there, reach)
    # From shift to shift, the energy of what is compared gains a sample at its end and loses one at its beginning.
    begin, end = there[: 2 * reach], there[width : width + 2 * reach]
    energy = np.zeros(2 * reach + 1)
    np.cumsum(end * end - begin * begin, out=energy[1:])
    energy += float(there[:width] @ there[:width])
    score = cross / (np.sqrt(float(here @ here) * np.maximum(energy, 0)) + 1e-9)
    # Of shifts that agree alike (a steady tone), the one nearest to where the onsets put it.
    score -= 1e-4 * np.abs(np.arange(-reach, reach + 1)) / reach
    best = int(score.argmax())
    return best - reach, float(score[best])


def _shifted(here: Floats, there: Floats, reach: int) -> Doubles | Floats:
    """The products of ``here`` with ``there``, by shift."""
    if reach < FEW:
        return np.correlate(there, here, "valid")
    size = fast_size(len(there))
    both = spectrum(there, size) * np.conj(spectrum(here, size))
    return np.asarray(size * np.fft.irfft(both, size)[: 2 * reach + 1])


def _exactly(sound: Sound, first: int, last: int, length: int, moved: int) -> int:
    """Of the neighbours of a shift, the one that leaves the least difference: rounding blurs a correlation's crest."""
    here = sound.mono(first, last)
    near = [shift for shift in range(moved - 2, moved + 3) if last + length + shift <= sound.frames]
    gaps = [here - sound.mono(first + length + shift, last + length + shift) for shift in near]
    return min(zip(near, gaps, strict=True), key=lambda one: float(np.dot(one[1], one[1])))[0]


def _vertex(score: Doubles, best: int) -> float:
    """Where between its neighbours a sampled maximum lies, −½–½."""
    if not 0 < best < len(score) - 1:
        return 0.0
    before, middle, after = (float(value) for value in score[best - 1 : best + 2])
    return 0.5 * (before - after) / (before - 2 * middle + after - 1e-12)


def _best_shift(sound: Sound, start: int, end: int, low: int, high: int) -> int:
    """How far start and end may move together, within bounds, to the place where a cut is heard least."""
    around = int(AROUND_S * sound.rate) + 1
    reach = max(-low, high)
    low = max(around - start, low)
    high = min(sound.frames - end - around, high)
    if high - low < 64:
        return max(0, min(low, sound.frames - end)) if low > 0 else min(0, sound.frames - end)
    here = sound.mono(start + low - around, start + high + around)
    there = sound.mono(end + low - around, end + high + around)
    sides = zip(
        sound.sides(start + low - around, start + high + around),
        sound.sides(end + low - around, end + high + around),
        strict=True,
    )
    ratios = np.max([cut_ratios(*side, sound.rate)[around:-around] for side in sides], axis=0)
    gap = (here - there).astype(np.float64)
    unlike = _moving_mean(gap * gap, 2 * around)[around:-around]
    loud = _moving_mean(here.astype(np.float64) ** 2, 2 * around)[around:-around]
    # Below what the ear can find, a softer click is no better; then the likeness of both copies decides.
    cost = np.log2(np.maximum(ratios, INAUDIBLE)) + 0.5 * np.sqrt(unlike / (loud + 1e-7))
    cost += 0.3 * np.abs(np.arange(low, high)) / reach
    return int(cost.argmin()) + low


def _moving_mean(values: Doubles, width: int) -> Doubles:
    """Mean over ``width`` values around each, fewer at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    low, high = np.maximum(at - width // 2, 0), np.minimum(at + width - width // 2, len(values))
    return np.asarray((sums[high] - sums[low]) / (high - low))
