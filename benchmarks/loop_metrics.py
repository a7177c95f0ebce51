"""What a listener would notice of a loop, measured on its answer alone: start, end, crossfade.

``bar_ms``         distance of the length from the nearest multiple of the true bar
``pattern``        the length is a multiple of the true pattern and the loop lies inside the steady region
``outlier``        the seam changes the sound more than 99 % of the loop's moments, and 1 dB more than start and end do
``click``          linear prediction error across the seam over the largest within 25 ms; above 1.5 it clicks
``continuity``     log-mel distance of the second around the start from the second around the end; 1 is a random pair
``step_db``        K-weighted level of 400 ms after the start against 400 ms after the end
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

Samples = NDArray[np.float64]
CLICK = 1.5
ORDER = 20


@dataclass(frozen=True)
class Answer:
    start: int
    end: int
    crossfade: int = 0


@dataclass(frozen=True)
class Figures:
    seconds: float
    outlier: bool
    excess_db: float | None
    click: float
    continuity: float | None
    step_db: float


def bar_error_ms(answer: Answer, rate: int, bar_s: float) -> float:
    seconds = (answer.end - answer.start) / rate
    return 1000 * abs(seconds - max(1, round(seconds / bar_s)) * bar_s)


def in_steady(answer: Answer, rate: int, steady_s: tuple[float, float]) -> bool:
    return answer.start / rate >= steady_s[0] - 0.05 and answer.end / rate <= steady_s[1] + 0.05


def measure(audio: NDArray[np.float32], rate: int, answer: Answer) -> Figures:
    """All figures that need no truth."""
    mono = audio.mean(axis=1).astype(np.float64)
    outlier, excess = _seam(mono, rate, answer)
    return Figures(
        seconds=(answer.end - answer.start) / rate,
        outlier=outlier,
        excess_db=excess,
        click=max(_click(audio[:, channel].astype(np.float64), rate, answer) for channel in range(audio.shape[1])),
        continuity=_continuity(mono, rate, answer),
        step_db=_step(mono, rate, answer),
    )


def rendered(signal: Samples, answer: Answer, before: int, after: int) -> Samples:
    """The looped signal around its seam, the crossfade baked so that the power of the mixture holds."""
    body = signal[answer.start : answer.end].copy()
    count = min(answer.crossfade, answer.start, len(body))
    if count:
        fall_in, fade_out = signal[answer.start - count : answer.start], body[-count:]
        rise = (np.arange(count) + 0.5) / count
        scale = float(np.sqrt(np.dot(fade_out, fade_out) * np.dot(fall_in, fall_in))) + 1e-12
        alike = float(np.clip(np.dot(fade_out, fall_in) / scale, 0, 1))
        body[-count:] = (fade_out * (1 - rise) + fall_in * rise) / np.sqrt(
            rise**2 + (1 - rise) ** 2 + 2 * alike * rise * (1 - rise)
        )
    tiled = np.tile(body, 1 + max(before, after) // len(body) + 1)
    return np.concatenate([tiled[-before:], tiled[:after]])


def _seam(mono: Samples, rate: int, answer: Answer) -> tuple[bool, float | None]:
    hop = max(1, round(0.008 * rate))
    span = 100 * hop
    crossfade = min(answer.crossfade, answer.start, answer.end - answer.start, span // 2)
    novelty = _novelty(rendered(mono, answer, span, span), rate)
    first = (span - crossfade - round(0.016 * rate)) // hop
    last = (span + round(0.04 * rate)) // hop
    change = float(novelty[first : last + 1].max())
    whole = _novelty(mono, rate)
    inside = whole[answer.start // hop + 4 : max(answer.end // hop - 4, answer.start // hop + 5)]
    width = min(last - first + 1, len(inside))
    usual = np.lib.stride_tricks.sliding_window_view(inside, width).max(axis=1)
    natural = [
        float(whole[max(0, (at - crossfade) // hop - 2) : (at + round(0.04 * rate)) // hop + 1].max())
        for at in (answer.start, answer.end)
        if 0.1 * rate < at < len(mono) - 0.1 * rate
    ]
    excess = change - max(natural) if natural else None
    strange = float((usual <= change).mean()) >= 0.99
    return strange and (excess is None or excess > 1.0), excess


def _novelty(signal: Samples, rate: int) -> Samples:
    bands = _log_mel(signal, rate)
    out = np.zeros(len(bands))
    out[2:] = np.abs(bands[2:] - bands[:-2]).mean(axis=1)
    return out


def _log_mel(signal: Samples, rate: int) -> Samples:
    size, hop = 1 << round(np.log2(0.032 * rate)), max(1, round(0.008 * rate))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(signal, size // 2), size)[::hop]
    power = np.abs(np.fft.rfft(windows * np.hanning(size), axis=1)) ** 2 @ _mel(size, rate)
    level = 10 * np.log10(power + 1e-12)
    return np.asarray(np.maximum(level, 10 * np.log10(size * size / 16) - 75))


@lru_cache(maxsize=4)
def _mel(size: int, rate: int) -> Samples:
    bins = np.fft.rfftfreq(size, 1 / rate)
    low, top = (2595 * np.log10(1 + hz / 700) for hz in (40.0, min(14_000, rate / 2)))
    edges = 700 * (10 ** (np.linspace(low, top, 42) / 2595) - 1)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - left) / (centre - left)
    weights = np.maximum(0, np.minimum(rising, (right - bins[:, None]) / (right - centre)))
    nearest = np.abs(bins[:, None] - centre).argmin(axis=0)
    empty = np.flatnonzero(weights.sum(axis=0) == 0)
    weights[nearest[empty], empty] = 1
    return np.asarray(weights / weights.sum(axis=0))


def _click(channel: Samples, rate: int, answer: Answer) -> float:
    around = round(0.025 * rate)
    crossfade = min(answer.crossfade, answer.start, answer.end - answer.start)
    joined = rendered(channel, answer, around, around)
    index = np.arange(ORDER, len(joined))
    return surprise(joined, (index >= around - crossfade) & (index < around + ORDER))


def surprise(joined: Samples, across: NDArray[np.bool_]) -> float:
    """The largest linear prediction error (order 20) where ``across``, one flag for each sample from the 21st on, over
    the largest elsewhere, from where the weights are too; above `CLICK` it clicks."""
    if joined.std() < 1e-5 or (~across).sum() < 4 * ORDER:
        return 0.0
    windows = np.lib.stride_tricks.sliding_window_view(joined, ORDER + 1)
    past, now = windows[:, :-1], windows[:, -1]
    gram = past[~across].T @ past[~across]
    gram += 1e-6 * np.trace(gram) / ORDER * np.eye(ORDER)
    error = np.abs(now - past @ np.linalg.solve(gram, past[~across].T @ now[~across]))
    return float(error[across].max() / (error[~across].max() + 1e-3))


def _continuity(mono: Samples, rate: int, answer: Answer) -> float | None:
    after = min(rate, len(mono) - answer.end)
    before = min(rate, answer.start)
    after, before = (span if span >= rate // 4 else 0 for span in (after, before))
    if not after and not before:
        return None
    here, there = (_log_mel(mono[at - before : at + after], rate) for at in (answer.start, answer.end))
    whole = _log_mel(mono, rate)
    rng = np.random.default_rng(0)
    size = len(here)
    pairs = rng.integers(0, max(1, len(whole) - size), (60, 2))
    random = [np.abs(whole[a : a + size] - whole[b : b + size]).mean() for a, b in pairs if abs(a - b) > 38]
    return float(np.abs(here - there).mean() / (np.median(random) + 1e-3)) if random else None


def _step(mono: Samples, rate: int, answer: Answer) -> float:
    weighted = sosfilt(butter(2, 60, "high", fs=rate, output="sos"), mono)
    weighted = weighted + 0.58 * sosfilt(butter(1, min(1500, rate / 4), "high", fs=rate, output="sos"), weighted)
    span = round(0.4 * rate)
    after = weighted[answer.start : answer.start + span]
    if answer.end + span <= len(mono):
        other = weighted[answer.end : answer.end + span]
    else:
        other = weighted[max(answer.start, answer.end - span) : answer.end]
    levels = [10 * np.log10(np.mean(part**2) + 1e-10) for part in (after, other)]
    return float(abs(levels[0] - levels[1]))
