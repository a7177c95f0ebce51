"""Renders a planned change to the samples that the player splices in between two loops.

The first sample follows the first loop's at the exit, the last one leads into the second loop's at the entry: both
loops are left untouched, sample for sample. Nothing goes over −1 dBTP.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.analyzer.loudness import k_weighted, true_peak
from services.analyzer.transitions.plan import Plan
from services.analyzer.transitions.stretch import stretched
from shared.audio_files import snap_to_grid
from shared.music import Loop
from shared.transform import fast_size, samples_of, spectrum
from shared.units import STATION_RATE, Audio

CEILING: Final = 10 ** (-1.0 / 20.0)
_BASS_HZ: Final = 160.0
_TAPS: Final = 4_097
_LEVEL_STEP: Final = STATION_RATE // 4
_MOST_DB: Final = 4.0
_CONTROL: Final = STATION_RATE // 50
_JOIN: Final = STATION_RATE // 20
_TAIL_S: Final = 1.6

Column = NDArray[np.float32]


def render_transition(plan: Plan, first_audio: Audio, second: Loop, second_audio: Audio) -> Audio:
    """The change, shape=(plan.frames, 2), on the 24-bit grid."""
    leaving = _Circle(first_audio, plan.low, plan.high)
    section = second.sections[0] if second.sections else None
    low, high = (section.start, section.end) if section is not None else (0, second.frames)
    entering = _Circle(second_audio, low, high)
    if plan.kind == "cut":
        mixed = _cut(plan, leaving, entering)
    elif plan.kind == "blend":
        mixed = _blend(plan, leaving, entering)
    else:
        mixed = _fade(plan, leaving, entering)
    return snap_to_grid(_under(mixed, CEILING))


class _Circle:
    """The frames ``low … high`` of a loop, going round."""

    def __init__(self, audio: Audio, low: int, high: int) -> None:
        self._audio, self._low, self._high = audio, low, high

    def read(self, start: int, count: int) -> Audio:
        at = np.arange(start - self._low, start - self._low + count) % (self._high - self._low) + self._low
        return self._audio[at]


def _fade(plan: Plan, leaving: _Circle, entering: _Circle) -> Audio:
    frames = plan.frames
    fall, rise = _equal_power(frames)
    first, second = leaving.read(plan.exit_frame, frames), entering.read(plan.begin, frames)
    return _levelled(first * fall + second * rise, first, second, fall, rise)


def _blend(plan: Plan, leaving: _Circle, entering: _Circle) -> Audio:
    """Both loops at the tempo that the plan moves along; highs by equal power, the bass handed over in the middle."""
    frames = plan.frames
    lines = np.concatenate([[0.0], np.cumsum(plan.beats)])
    numbers = np.arange(len(lines), dtype=np.float64)

    def source(beat: float, at: int) -> Audio:
        read = leaving.read if at == 0 else entering.read
        origin = plan.exit_frame if at == 0 else plan.begin
        if not plan.stretched:
            return read(origin, frames)

        def times(when: NDArray[np.float64]) -> NDArray[np.float64]:
            inside = np.interp(when, lines, numbers) * beat
            before = np.minimum(when, 0.0) * (beat / plan.beats[0])
            after = np.maximum(when - lines[-1], 0.0) * (beat / plan.beats[-1])
            return np.asarray(origin + inside + before + after, np.float64)

        return stretched(read, times, frames)

    first, second = source(plan.first_beat, 0), source(plan.second_beat, 1)
    if plan.stretched:
        # The last beat is unstretched already; from its middle on it is the loop's own samples.
        original = entering.read(plan.entry_frame - frames, frames)
        half = max(_JOIN, int(plan.beats[-1] / 2))
        share = _ramp(frames, frames - half, frames - half + _JOIN)
        second = second * (1 - share) + original * share
    fall, rise = _equal_power(frames)
    low_first, low_second = _bass(first), _bass(second)
    middle, beat = lines[len(lines) // 2], plan.beats[len(plan.beats) // 2]
    handed = _ramp(frames, int(middle - beat / 4), int(middle + beat / 4))
    # At both ends only one loop is heard, its bass included.
    mixed = (first - low_first) * fall + (second - low_second) * rise
    mixed += low_first * np.sqrt(1 - handed) + low_second * np.sqrt(handed)
    return _levelled(mixed, first, second, fall, rise)


def _cut(plan: Plan, leaving: _Circle, entering: _Circle) -> Audio:
    """The second loop from its downbeat, over what the first one leaves in the room."""
    frames = plan.frames
    before = leaving.read(plan.exit_frame - STATION_RATE // 2, STATION_RATE // 2)
    drawn = np.random.default_rng(7).standard_normal((round(_TAIL_S * STATION_RATE), 2))
    fall = np.exp(-np.arange(len(drawn)) * (6.9 / len(drawn)))[:, None]
    tail = _convolved(before, (drawn * fall).astype(np.float32))[len(before) : len(before) + frames]
    tail *= 0.35 * _rms(before) / max(_rms(tail[: STATION_RATE // 4]), 1e-9)
    mixed = entering.read(plan.begin, frames).astype(np.float32, copy=True)
    mixed[: len(tail)] += (tail * _ramp(len(tail), len(tail), len(tail) // 2)).astype(np.float32)
    join = min(_JOIN // 10, frames)
    way = np.linspace(0.0, 1.0, join, dtype=np.float32)[:, None]
    mixed[:join] = mixed[:join] * way + leaving.read(plan.exit_frame, join) * (1 - way)
    mixed[frames - join :] = mixed[frames - join :] * (1 - way) + entering.read(plan.entry_frame - join, join) * way
    return mixed


def _equal_power(frames: int) -> tuple[Column, Column]:
    angle = (np.arange(frames, dtype=np.float64)[:, None] + 0.5) * (np.pi / 2 / frames)
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def _ramp(frames: int, start: int, end: int) -> Column:
    """0 up to ``start``, 1 from ``end`` on, a raised cosine between; from 1 to 0 where ``end`` comes first."""
    way = (np.arange(frames) - start) / (end - start) if end != start else (np.arange(frames) >= start).astype(float)
    risen: NDArray[np.float64] = 0.5 - 0.5 * np.cos(np.pi * np.clip(way, 0.0, 1.0))
    return risen.astype(np.float32)[:, None]


def _bass(audio: Audio) -> Audio:
    """What lies below 160 Hz, in phase: a windowed sinc, the signal mirrored at its ends."""
    at = np.arange(_TAPS) - _TAPS // 2
    taps = np.sinc(2 * _BASS_HZ / STATION_RATE * at) * np.blackman(_TAPS)
    half = _TAPS // 2
    padded = np.pad(audio, ((half, half), (0, 0)), mode="reflect")
    return _convolved(padded, (taps / taps.sum()).astype(np.float32)[:, None])[_TAPS - 1 : len(padded)]


def _convolved(audio: Audio, response: Audio) -> Audio:
    """Each channel of ``audio`` convolved with its own of ``response`` or with its only one, to the last echo."""
    frames = len(audio) + len(response) - 1
    size = fast_size(frames)
    bins = spectrum(audio, size, axis=0) * spectrum(response, size, axis=0)
    return np.asarray(samples_of(bins, size, axis=0)[:frames] * np.float32(np.sqrt(size)), np.float32)


def _levelled(mixed: Audio, first: Audio, second: Audio, fall: Column, rise: Column) -> Audio:
    """Bring the overlap to the level that lies between the two loops', within ±4 dB, quarter second by quarter second.

    Two sounds that resemble each other add up to more than their powers, two that cancel to less; what the ear follows
    is the K-weighted level (ITU-R BS.1770-4).
    """
    power = _power(mixed)
    wish = _power(first) * np.square(fall[:, 0], dtype=np.float64) + _power(second) * np.square(rise[:, 0])
    edges = np.arange(0, len(mixed), _LEVEL_STEP)
    got, wished = (np.add.reduceat(curve, edges) for curve in (power, wish))
    # Seconds, not beats: the correction must follow the mix and not the music.
    kernel = np.hanning(9)[1:-1] / np.hanning(9).sum()
    smooth = [np.convolve(np.pad(curve, 3, mode="edge"), kernel, mode="valid") for curve in (got, wished)]
    decibels = 10 * np.log10((smooth[1] + 1e-12) / (smooth[0] + 1e-12))
    decibels = np.clip(decibels, -_MOST_DB, _MOST_DB)
    middles = edges + _LEVEL_STEP // 2
    inner = middles < len(mixed) - _LEVEL_STEP // 2  # the last one leaves time to come back to nothing at the join
    points = np.concatenate([[0], middles[inner], [len(mixed)]])
    gains = np.concatenate([[0.0], decibels[inner], [0.0]])
    gain = 10 ** (np.interp(np.arange(len(mixed)), points, gains) / 20)
    return np.asarray(mixed * gain[:, None], np.float32)


def _power(audio: Audio) -> NDArray[np.float64]:
    total = np.zeros(len(audio))
    for channel in range(audio.shape[1]):
        total += np.square(k_weighted(np.ascontiguousarray(audio[:, channel]), STATION_RATE), dtype=np.float64)
    return total


def _under(audio: Audio, ceiling: float) -> Audio:
    """Hold the true peak under ``ceiling`` by a gain that moves within 20 ms and is 1 where nothing is over it."""
    for _ in range(4):
        if true_peak(audio) <= ceiling:
            return audio
        edges = np.arange(0, len(audio), _CONTROL)
        peaks = np.array([true_peak(audio[max(0, start - 64) : start + _CONTROL + 64]) for start in edges])
        need = np.minimum(1.0, 0.995 * ceiling / np.maximum(peaks, 1e-9))
        held = np.ones(len(edges) + 1)
        for number, (one, other) in enumerate(pairwise([1.0, *need])):
            held[number] = min(one, other)
        held[-1] = need[-1]
        points = np.minimum(np.arange(len(held)) * _CONTROL, len(audio))
        audio = (audio * np.interp(np.arange(len(audio)), points, held)[:, None]).astype(np.float32)
    return audio


def _rms(audio: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) if len(audio) else 0.0
