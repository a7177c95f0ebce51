"""Time-stretch along any map of times: a phase vocoder whose phases are locked to the peaks of the spectrum.

J. Laroche and M. Dolson, "Improved phase vocoder time-scale modification of audio", IEEE Trans. Speech and Audio
Processing 7(3), 1999, section IV (identity phase locking). The advance of the phase is measured between two analysis
frames exactly one synthesis hop apart, so nothing has to be unwrapped (ibid., section III-C); both channels are turned
alike, so the image does not move; and an attack resets the phases, so that it stays an attack (A. Röbel, "A new
approach to transient processing in the phase vocoder", DAFx 2003).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.units import Audio

SIZE: Final = 4_096
HOP: Final = SIZE // 4
_ATTACK: Final = 2.0
"""A frame with this much more energy above 1 kHz than the one before it is an attack."""

Times = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def stretched(read: Callable[[int, int], Audio], times: Times, frames: int) -> Audio:
    """``frames`` of sound whose frame ``n`` is what lies at ``times(n)`` of the source.

    Parameters
    ----------
    read
        ``read(start, count)`` gives frames ``start … start + count`` of the source, shape=(count, 2); it must answer
        for a window before the first time and after the last.
    times
        From frames of the result to frames of the source, rising.
    """
    window = np.hanning(SIZE + 1)[:SIZE].astype(np.float32)
    centres = np.arange(-HOP, frames + SIZE // 2 + HOP, HOP)
    starts = np.rint(times(centres.astype(np.float64))).astype(np.int64) - SIZE // 2
    lowest = int(starts.min()) - HOP
    # Channels are rows here: summing frame by frame over columns took a third of the time.
    source = np.ascontiguousarray(read(lowest, int(starts.max()) + SIZE - lowest).T)
    both = source.sum(axis=0)
    out = np.zeros((len(source), len(centres) * HOP + SIZE), np.float32)
    turned: NDArray[np.complexfloating] | None = None
    before = 0.0
    for number, start in enumerate(starts):
        at = int(start) - lowest
        here: NDArray[np.complexfloating] = np.fft.rfft(source[:, at : at + SIZE] * window)
        middle: NDArray[np.complexfloating] = here.sum(axis=0)
        size = np.abs(middle)
        energy = float((size[SIZE // 48 :] ** 2).sum())
        if turned is None or energy > _ATTACK * before + 1e-9:
            spun = here
        else:
            back: NDArray[np.complexfloating] = np.fft.rfft(both[at - HOP : at - HOP + SIZE] * window)
            spun = here * _locked(size, back, turned)
        before = energy
        turned = spun.sum(axis=0)
        out[:, number * HOP : number * HOP + SIZE] += np.fft.irfft(spun, SIZE).astype(np.float32) * window
    # Four Hann windows, each used twice, add up to one and a half.
    lead = SIZE // 2 + HOP
    return np.ascontiguousarray((out[:, lead : lead + frames] / np.float32(1.5)).T)


def _locked(
    size: NDArray[np.floating], back: NDArray[np.complexfloating], turned: NDArray[np.complexfloating]
) -> NDArray[np.complex128]:
    """The rotation of each bin: that of the peak of the spectrum in whose region it lies."""
    peaks = np.flatnonzero(
        (size[2:-2] > size[1:-3]) & (size[2:-2] > size[:-4]) & (size[2:-2] >= size[3:-1]) & (size[2:-2] >= size[4:])
    )
    if not len(peaks):
        return np.ones(len(size), np.complex128)
    peaks += 2
    # The phase to have: the last one sounded, and the advance that the source made over one hop.
    phase = turned[peaks] * np.conj(back[peaks])
    turn = phase / np.maximum(np.abs(phase), 1e-20)
    borders = (peaks[1:] + peaks[:-1] + 1) // 2
    return np.repeat(turn.astype(np.complex128), np.diff(borders, prepend=0, append=len(size)))
