"""The working copy of a clip: mono, without offset, at a level that does not depend on the clip's gain.

Conventions
-----------
- The gain is a power of two, so that a clip and its louder copy give the same numbers bit for bit.
- ``low`` is the mono signal at about 10.6 kHz, by averaging neighbours: what aliases keeps the drums' energy in view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.analyzer.records import Rejection
from shared.units import Audio

Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]

WORKING_RATE: Final = 10_600
SILENCE_DBFS: Final = -70.0
SHORTEST_S: Final = 0.5
SOUNDING_S: Final = 0.25
"""A clip that sounds for less than this, all in all, holds a click and no music."""
A_FEW: Final = 20_000
"""Frames, spread evenly, that stand for a clip where every one would take too long."""
SOUNDING_DB: Final = 60.0
"""Below the loudest hundredth of a second: what is quieter is silence."""


def windows(samples: Floats, size: int, hop: int = 1) -> Floats:
    """Every ``hop``-th stretch of ``size`` samples, ``(stretches, size)``: a view, ten times sooner than numpy's."""
    samples = np.ascontiguousarray(samples)
    step = samples.itemsize
    return np.ndarray(((len(samples) - size) // hop + 1, size), samples.dtype, samples, 0, (hop * step, step))


@dataclass(frozen=True)
class Sound:
    """A clip as the search sees it."""

    audio: Audio
    """The clip itself, float32 ``(frames, channels)``."""
    rate: int
    mix: Floats
    """Weight of each channel in mono, the gain included, ``(channels,)``."""
    gain: np.float32
    """The power of two that brings the clip to the working level."""
    offsets: Floats
    """Of each channel, before the gain, ``(channels,)``."""
    offset: np.float32
    """What is left of an offset in the mono signal, after the gain."""
    low: Floats
    spread: float
    """Root mean square of ``low``."""
    factor: int
    """Frames of the clip per sample of ``low``."""

    @property
    def frames(self) -> int:
        return len(self.audio)

    def mono(self, start: int, end: int) -> Floats:
        """The mono signal from ``start`` to ``end``, at the clip's own rate."""
        return np.asarray(self.audio[start:end] @ self.mix - self.offset, np.float32)

    def sides(self, start: int, end: int) -> list[Floats]:
        """What reaches either ear from ``start`` to ``end``: two channels one by one, any other number as mono."""
        if self.audio.shape[1] != 2:
            return [self.mono(start, end)]
        return [(self.audio[start:end, side] - self.offsets[side]) * self.gain for side in (0, 1)]


def listen(audio: Audio, rate: int) -> Sound | Rejection:
    """Prepare a clip for the search, or say why there is nothing to search.

    Parameters
    ----------
    audio : float32 array [shape=(frames, channels)]
    rate : frames per second
    """
    frames = len(audio)
    if frames < SHORTEST_S * rate:
        return Rejection(
            f"This clip is {frames / rate:.2f} s long: a loop needs half a second or more.",
            "too-short",
            {"seconds": frames / rate},
        )
    factor = max(1, rate // WORKING_RATE)
    with np.errstate(invalid="ignore", over="ignore"):
        some = np.ascontiguousarray(audio[:: max(1, frames // A_FEW)].T)
        mix = _mixture(some)
        low = _average(audio, mix, factor)
        # A sum over every sample of every channel: one number that is none shows in it.
        finite = np.isfinite(float(np.dot(low, low))) and np.isfinite(float(audio[-factor:].sum()))
    if not finite or ((mix == 0).any() and not np.isfinite(audio).all()):
        return Rejection("This clip holds samples that are no numbers: make or export it again.", "not-finite")
    offset = low.mean()
    low -= offset
    peak = float(np.abs(low).max())
    if peak < 10 ** (SILENCE_DBFS / 20):
        level = 20 * np.log10(max(peak, 1e-10))
        return Rejection(f"This clip is silent ({level:.0f} dBFS at its loudest).", "silence", {"peak_dbfs": level})
    gain = np.float32(2.0 ** -np.floor(np.log2(peak)))
    low *= gain
    heard = _sounding(low, rate / factor)
    if heard < SOUNDING_S:
        return Rejection(f"This clip is silent but for {heard:.2f} s of sound.", "silence", {"sounding_s": heard})
    spread = float(np.sqrt(np.dot(low, low) / len(low)))
    return Sound(
        audio=audio,
        rate=rate,
        mix=mix * gain,
        gain=gain,
        offsets=some.mean(axis=1),
        offset=offset * gain,
        low=low,
        spread=spread,
        factor=factor,
    )


def _sounding(low: Floats, rate: float) -> float:
    """For how many seconds there is any sound, by hundredths of a second."""
    hop = max(1, round(0.01 * rate))
    rows = low[: len(low) // hop * hop].reshape(-1, hop)
    power = np.einsum("ij,ij->i", rows, rows)
    return float((power > float(power.max()) * 10 ** (-SOUNDING_DB / 10)).sum()) * hop / rate


def _average(audio: Audio, mix: Floats, factor: int) -> Floats:
    """Mono at ``rate / factor``: the mean of ``factor`` neighbours, as one product of matrix and vector."""
    whole = len(audio) // factor * factor
    weights = np.tile(mix / np.float32(factor), factor).astype(np.float32)
    flat = np.ascontiguousarray(audio[:whole]).reshape(-1, factor * audio.shape[1])
    return np.asarray(flat @ weights, np.float32)


def _mixture(some: Floats) -> Floats:
    """Equal weights, unless the channels cancel in the sum: then the loudest stands for the clip.

    ``some`` are frames of it, ``(channels, frames)``.
    """
    count = len(some)
    mix = np.full(count, 1 / count, np.float32)
    if count == 1:
        return mix
    strengths = some.var(axis=1)
    if float((mix @ some).var()) >= 0.02 * float(strengths.max()):
        return mix
    alone = np.zeros(count, np.float32)
    alone[int(strengths.argmax())] = 1
    return alone
