"""The gentle moves of a mix: bass out, filter sweep, echo tail. Each is worked out ahead, and neutral at both ends.

A move is made of the last bars of a pass and replaces them. It is a pure function of samples, so that the programme of
a render and of the station are the same. Filters are linear phase (windowed sinc, overlap-save): what is taken away
leaves no trace in what stays, and fading the difference in and out cannot comb.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from services.player.form import Move
from services.player.mixer import Part
from services.player.samples import Pool, Samples
from services.player.schedule import LONGEST_FADE
from shared.units import STATION_RATE, Audio

_TAPS = 4_097
_BLOCK = 16_384
_CEILING = 0.88
_KEPT = 2
"""Moves in memory: two bars at 60 bpm and what follows them are 3.5 MB."""


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """A move over frames ``start … end`` of a loop, which goes on at ``end`` within ``low … high``."""

    loop_id: str
    samples: Samples
    start: int
    end: int
    low: int
    high: int
    move: Move
    beat: int

    @property
    def key(self) -> tuple[str, int, int, Move]:
        return self.loop_id, self.start, self.end, self.move

    def make(self, pool: Pool | None = None) -> Samples:
        """The bars with the move made, and 4 s of what follows, for a fade that begins at their end."""
        audio = np.empty((self.end - self.start + LONGEST_FADE, 2), np.float32)
        Part(self.samples, self.start, self.low, self.high).read_into(audio, 0)
        frames = self.end - self.start
        return Samples.of(move_audio(self.move, audio[:frames], audio[frames:], self.beat), pool)


class MoveShop:
    """Makes moves in the background and keeps the last few.

    Parameters
    ----------
    later
        Has a piece of work done in another thread.
    pool
        Memory for the moves.
    """

    def __init__(self, later: Callable[[Callable[[], None]], object], pool: Pool | None = None) -> None:
        self._later = later
        self._pool = pool
        self._made: dict[tuple[str, int, int, Move], Samples | None] = {}

    def ask(self, request: MoveRequest) -> Samples | None:
        """The move if it is made; else it is begun, and None."""
        key = request.key
        if key not in self._made:
            while len(self._made) >= _KEPT:
                self._made.pop(next(iter(self._made)))
            self._made[key] = None
            self._later(lambda: self._made.update({key: request.make(self._pool)}))
        return self._made[key]


def move_audio(move: Move, body: Audio, tail: Audio, beat: int) -> Audio:
    """The bars ``body`` [shape=(frames, 2)] with ``move`` made in them, followed by ``tail`` as it is.

    Parameters
    ----------
    tail
        What follows, for as long as something may fade over it: untouched, and context for the filters.
    beat
        Frames of a beat (half a second where there is no grid).
    """
    moved = _MOVES[move](body, tail, beat)
    peak = float(np.abs(moved).max(initial=0.0))
    own = float(np.abs(body).max(initial=0.0))
    limit = max(_CEILING, own)
    if peak > limit:  # a filter's ringing may rise above what it filtered; the difference is made smaller, not clipped
        moved = body + (moved - body) * max(0.0, (limit - own) / (peak - own + 1e-9))
    return np.concatenate([moved, tail]).astype(np.float32, copy=False)


def _bass_out(body: Audio, tail: Audio, beat: int) -> Audio:
    """Without what lies below 160 Hz until the downbeat brings it back."""
    low = _filtered(body, tail, 160.0)
    return body - low * _window(len(body), beat, beat // 4)


def _sweep(body: Audio, tail: Audio, beat: int) -> Audio:
    """Darker towards the middle, open again at the end: a crossfade through low-passes of 4, 1.6 and 0.7 kHz."""
    del beat
    depth = np.sin(np.linspace(0.0, np.pi, len(body), dtype=np.float64)) ** 2 * 2.4
    moved = body.astype(np.float32, copy=True)
    for at, stages in _lowpassed(body, tail, 4_000.0, 1_600.0, 700.0):
        previous = body[at]
        for number, darker in enumerate(stages):
            share = np.clip(depth[at] - number, 0.0, 1.0).astype(np.float32)[:, None]
            moved[at] += (darker - previous) * share
            previous = darker
    return moved


def _echo(body: Audio, tail: Audio, beat: int) -> Audio:
    """The last beat falls silent under dotted echoes of what came before it, darker each time, gone by the downbeat."""
    del tail
    step = beat * 3 // 4
    length = min(len(body), 2 * beat)
    start = len(body) - length
    fall = np.ones((len(body), 1), np.float32)
    fall[start:] = (np.cos(np.linspace(0.0, np.pi, length)) * 0.4 + 0.6).astype(np.float32)[:, None]
    sound = body[max(0, start - step) : start]
    moved = body * fall
    at, gain = start, 0.45
    while at < len(body) and len(sound):
        sound = _filtered(sound, sound[:0], 2_500.0)
        part = sound[: len(body) - at]
        moved[at : at + len(part)] += part * _window(len(part), 240, 240) * np.float32(gain)
        at, gain = at + step, gain * 0.6
    edge = min(beat // 8, len(body))
    back = np.linspace(0.0, 1.0, edge, dtype=np.float32)[:, None]
    moved[len(body) - edge :] = moved[len(body) - edge :] * (1 - back) + body[len(body) - edge :] * back
    return moved


_MOVES: dict[Move, Callable[[Audio, Audio, int], Audio]] = {"bass-out": _bass_out, "sweep": _sweep, "echo": _echo}


def _window(frames: int, rise: int, fall: int) -> NDArray[np.float32]:
    """0 … 1 … 0 along raised cosines, shape=(frames, 1)."""
    window = np.ones(frames, np.float32)
    rise, fall = min(rise, frames // 2), min(fall, frames // 2)
    window[:rise] = 0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, rise, endpoint=False))
    window[frames - fall :] = 0.5 + 0.5 * np.cos(np.linspace(0.0, np.pi, fall))
    return window[:, None]


@cache
def _lowpass(cutoff: float) -> NDArray[np.complex64]:
    """The spectrum of a Blackman-windowed sinc of unit gain at 0 Hz, shape=(bins, 1).

    Smith, The Scientist and Engineer's Guide to DSP, ch. 16.
    """
    at = np.arange(_TAPS) - _TAPS // 2
    taps: NDArray[np.float64] = np.sinc(2.0 * cutoff / STATION_RATE * at) * np.blackman(_TAPS)
    unit: NDArray[np.float64] = taps / taps.sum()
    return np.fft.rfft(unit.astype(np.float32), _BLOCK)[:, None].astype(np.complex64, copy=False)


def _filtered(body: Audio, tail: Audio, cutoff: float) -> Audio:
    """``body`` without what lies above ``cutoff``, as `_lowpassed`."""
    out = np.empty_like(body)
    for at, (part,) in _lowpassed(body, tail, cutoff):
        out[at] = part
    return out


def _lowpassed(body: Audio, tail: Audio, *cutoffs: float) -> Iterator[tuple[slice, list[Audio]]]:
    """``body`` stretch by stretch through each of these low-passes, without delay.

    Past its end the filters hear ``tail``, before its start its mirror image.
    """
    half = _TAPS // 2
    before = body[1 : half + 1][::-1]
    after = tail[:half]
    short = np.zeros((half - len(after), body.shape[1]), np.float32)
    lead = np.zeros((half - len(before), body.shape[1]), np.float32)
    padded = np.concatenate([lead, before, body, after, short])
    step = _BLOCK - _TAPS + 1
    for start in range(0, len(body), step):
        at = slice(start, min(start + step, len(body)))
        spectrum = np.fft.rfft(padded[start : start + _BLOCK], _BLOCK, axis=0)
        blocks = (np.fft.irfft(spectrum * _lowpass(cutoff), _BLOCK, axis=0) for cutoff in cutoffs)
        heard = slice(_TAPS - 1, _TAPS - 1 + at.stop - start)
        yield at, [block[heard].astype(np.float32, copy=False) for block in blocks]
