"""The seam: how the end of a loop passes into its beginning, and how much of it can be heard.

The gain law follows the correlation ``r`` of what is mixed: linear where both sides are the same (r = 1), equal power
where they are strangers (r = 0); in between, the sum keeps its power (M. Fink, M. Holters, U. Zölzer, "Signal-matched
power-complementary cross-fading and dry-wet mixing", DAFx 2016).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from services.analyzer.click import AROUND_S, seam_ratio
from services.analyzer.features import mel_weights
from services.analyzer.sound import Floats, Sound, windows
from shared.transform import spectrum
from shared.units import Audio

BANDS: Final = 40
BEFORE_S: Final = 0.032
UNNOTICED_DB: Final = 0.2
HEARD_DB: Final = 1.0
"""What is noticed of a seam that somebody may hear."""
AUDIBLE_CLICK: Final = 0.8
"""Of the largest prediction error around a seam: above, somebody may hear it."""
STRIKING_DB: Final = 6.0
"""A change of sound as an attack makes it."""
UNKNOWN_DB: Final = 6.0
"""The change of sound that music is taken to have where the clip does not tell."""
AFTER_S: Final = 0.064
"""Seconds around a seam in which its change of sound is measured: what comes later is the music's own."""

HEARD: Final = 1e-8
"""Power of a band below which its changes count little, of a full-scale tone's window: 60 dB below a loud band."""


@dataclass(frozen=True)
class Excess:
    """How much more the sound changes at a seam than the music changes there by itself, in decibels per band."""

    natural_db: float
    """The change that the untouched clip has at start or end."""
    change_db: float
    step_db: float
    """Difference of level between what follows the end in the clip and what follows it in the loop, over 400 ms."""


@dataclass(frozen=True)
class Crossfade:
    """How long a seam is blended, and what is heard of it all the same."""

    frames: int
    noticed_db: float
    """Change of sound beyond the music's own, in decibels per band; a click and a smear count as such too."""

    @property
    def heard(self) -> bool:
        return self.noticed_db > HEARD_DB


def crossfade(outgoing: Audio, incoming: Audio, last: int | None = None) -> Audio:
    """Blend two passages of one length, float32 ``(frames, channels)``, so that the power of their mixture holds.

    Of a long blend only the ``last`` frames may be wanted.
    """
    count = len(outgoing)
    if count == 0:
        return outgoing.copy()
    begin = 0 if last is None else max(0, count - last)
    rise = ((np.arange(begin, count, dtype=np.float32) + np.float32(0.5)) / np.float32(count))[:, None]
    strength = math.sqrt(np.vdot(outgoing, outgoing) * np.vdot(incoming, incoming))
    alike = min(max(float(np.vdot(outgoing, incoming)) / strength, 0.0), 1.0) if strength > 0 else 1.0
    fall = 1 - rise
    scale = 1 / np.sqrt(rise**2 + fall**2 + (2 * alike) * (rise * fall))
    return np.asarray(outgoing[begin:] * (fall * scale) + incoming[begin:] * (rise * scale), np.float32)


def bake(audio: Audio, start: int, end: int, frames: int) -> Audio:
    """The loop ``start … end`` with its last ``frames`` blended into what comes before ``start``: it wraps as it is."""
    body = np.array(audio[start:end], np.float32)
    frames = min(frames, start, end - start)
    if frames > 0:
        body[-frames:] = crossfade(body[-frames:], audio[start - frames : start])
    return body


def measure(sound: Sound, start: int, end: int, frames: int) -> Excess:
    """What a listener would notice at this seam, rendered with a crossfade of ``frames``."""
    natural = natural_change(sound, start, end, frames)
    return Excess(natural, join_change(sound, start, end, frames) - natural, _level_step(sound, start, end))


def natural_change(sound: Sound, start: int, end: int, frames: int) -> float:
    """The greater change of sound that the untouched clip has at start and end.

    Cut like the seam is, around the same place: a repeat that is exact has no excess at all. At the very edges of the
    clip, which do not tell, it is the seam's own, up to `UNKNOWN_DB`.
    """
    frames = min(frames, start, end - start)
    places = [at for at in (start, end) if at + _after(sound) <= sound.frames]
    if not places:
        return min(join_change(sound, start, end, frames), UNKNOWN_DB)
    return max(change_at(sound, at, frames) for at in places)


def best_crossfade(sound: Sound, start: int, end: int, lengths: list[int], natural_db: float) -> Crossfade:
    """Of some lengths of the crossfade, in frames and by preference: the first that is not noticed, or the least.

    ``natural_db`` is the change of sound that the music has there by itself. Where it is small there are no attacks,
    and a long crossfade smears nothing.
    """
    attacks = min(1.0, natural_db / STRIKING_DB)
    best = Crossfade(lengths[0], np.inf)
    for frames in lengths:
        seconds = frames / sound.rate
        noticed = attacks * (10 * max(0.0, min(seconds, 0.06) - 0.025) + 2 * max(0.0, seconds - 0.06))
        # Each is looked for only as long as what is known does not speak against this length already.
        if noticed < best.noticed_db:
            noticed += max(0.0, join_change(sound, start, end, frames) - natural_db)
        if noticed < best.noticed_db:
            noticed += 4 * max(0.0, _click(sound, start, end, frames) - AUDIBLE_CLICK)
        if noticed < best.noticed_db:
            best = Crossfade(frames, noticed)
        if best.noticed_db <= UNNOTICED_DB:
            break
    return best


def clicks(sound: Sound, start: int, end: int, frames: int) -> bool:
    """Whether a rendered seam stands out of the sound around it as a click does."""
    return _click(sound, start, end, frames) > AUDIBLE_CLICK


def _click(sound: Sound, start: int, end: int, frames: int) -> float:
    """How far the seam stands out, at either ear."""
    around = round(AROUND_S * sound.rate)
    ears = zip(
        sound.sides(max(start, end - max(frames, around)), end),
        sound.sides(start - frames, start),
        sound.sides(start, min(start + around, end)),
        strict=True,
    )
    return max(seam_ratio(_spliced(*ear, around), min(around, end - start), frames, sound.rate) for ear in ears)


def join_change(sound: Sound, start: int, end: int, frames: int = 0) -> float:
    """The strongest change of sound where ``end`` passes into ``start``, decibels; ``frames`` is the crossfade."""
    frames = min(frames, start, end - start)
    return _change(_joined(sound, (start, end, frames), _before(sound) + frames, _after(sound)), sound.rate)


def _joined(sound: Sound, seam: tuple[int, int, int], before: int, after: int) -> Floats:
    """The mono signal around a rendered seam (start, end, crossfade), ``before`` and ``after`` samples of it."""
    start, end, frames = seam
    head, lead = sound.mono(max(start, end - before), end), sound.mono(start - frames, start)
    return _spliced(head, lead, sound.mono(start, min(start + after, end)))


def _spliced(head: Floats, lead: Floats, tail: Floats, before: int | None = None) -> Floats:
    """``head``, whose end passes into ``lead``, and ``tail`` after it; mono. ``before``: at most so much before it."""
    if not len(lead):
        return np.concatenate([head, tail])
    blend = crossfade(head[-len(lead) :, None], lead[:, None], before)[:, 0]
    return np.concatenate([head[: -len(lead)], blend, tail])


def change_at(sound: Sound, at: int, frames: int = 0) -> float:
    """The strongest change of sound around one place of the untouched clip, decibels."""
    return _change(sound.mono(max(0, at - _before(sound) - frames), at + _after(sound)), sound.rate)


def _before(sound: Sound) -> int:
    return round(BEFORE_S * sound.rate)


def _after(sound: Sound) -> int:
    return round(AFTER_S * sound.rate)


def _change(samples: Floats, rate: int) -> float:
    """The strongest change of the log spectrum over 16 ms, in decibels, mean over bands."""
    size = 1 << round(np.log2(0.032 * rate))
    hop = max(1, round(0.008 * rate))
    if len(samples) < size + 3 * hop:
        return 0.0
    weights, window = _bands(size, rate)
    bins = spectrum(windows(samples, size, hop) * window)
    bands = 10 * np.log10((bins.real**2 + bins.imag**2) @ weights + HEARD * size * size)
    return float(np.abs(bands[2:] - bands[:-2]).mean(axis=1).max())


def _level_step(sound: Sound, start: int, end: int) -> float:
    """Decibels between what follows the end in the clip and what follows it in the loop, over 400 ms."""
    span = int(0.4 * sound.rate)
    after = sound.mono(start, start + span)
    other = sound.mono(end, end + span) if end + span <= sound.frames else sound.mono(max(start, end - span), end)
    power = float(np.dot(after, after)) / max(1, len(after)) + 1e-7
    return abs(10 * float(np.log10(power / (float(np.dot(other, other)) / max(1, len(other)) + 1e-7))))


@lru_cache(maxsize=8)
def _bands(size: int, rate: int) -> tuple[Floats, Floats]:
    """Mel bands, ``(bins, 40)``, and the window."""
    mel = mel_weights(size, rate, BANDS, (40.0, 14_000.0))
    return mel.T.astype(np.float32, order="C"), (np.sqrt(size) * np.hanning(size)).astype(np.float32)
