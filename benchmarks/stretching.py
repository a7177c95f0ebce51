"""The station's own time-stretch beside Signalsmith Stretch, where `python-stretch` is installed.

    python benchmarks/stretching.py [--percent 4]

A drum-like train of strokes over a chord, slowed by some percent: how far the strokes are from where they belong, how
much sounds before a stroke that should not (pre-echo), how far the chord's partials are from theirs, and the speed.
One JSON object per figure.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import click
import numpy as np

from services.analyzer.transitions.stretch import stretched
from shared.units import STATION_RATE, Audio

SECONDS = 20
BEAT = STATION_RATE // 2
CHORD = (220.0, 277.2, 329.6)


def say(**figure: object) -> None:
    print(json.dumps(figure, ensure_ascii=False), flush=True)


def music() -> tuple[Audio, np.ndarray]:
    """Strokes of noise every half second over a soft chord, and their frames."""
    at = np.arange(SECONDS * STATION_RATE)
    out = sum(0.03 * np.sin(2 * np.pi * pitch * at / STATION_RATE) for pitch in CHORD)
    drawn = np.random.default_rng(0).standard_normal(4_800) * np.exp(-np.arange(4_800) / 500) * 0.3
    strokes = np.arange(BEAT, len(at) - BEAT, BEAT)
    for stroke in strokes:
        out[stroke : stroke + 4_800] += drawn
    return np.stack([out, out], axis=1).astype(np.float32), strokes


def own(audio: Audio, factor: float) -> Audio:
    padded = np.pad(audio, ((STATION_RATE, STATION_RATE), (0, 0)))

    def read(start: int, count: int) -> Audio:
        return padded[start + STATION_RATE : start + STATION_RATE + count]

    return stretched(read, lambda when: when / factor, round(len(audio) * factor))


def signalsmith(audio: Audio, factor: float) -> Audio:
    import python_stretch

    stretch = python_stretch.Signalsmith.Stretch()
    stretch.preset(2, STATION_RATE)
    stretch.timeFactor = 1.0 / factor
    return np.ascontiguousarray(stretch.process(np.ascontiguousarray(audio.T)).T)


def measure(name: str, stretch: Callable[[Audio, float], Audio], factor: float) -> None:
    audio, strokes = music()
    began = time.process_time()
    result = stretch(audio, factor)
    took = time.process_time() - began
    mono = np.diff(result.mean(axis=1, dtype=np.float64), prepend=0.0)  # above the chord
    power = np.convolve(np.square(mono), np.ones(96) / 96, mode="same")
    errors, echoes = [], []
    for stroke in strokes[2:-2] * factor:
        near = slice(round(stroke) - 2_400, round(stroke) + 2_400)
        rise = np.flatnonzero(power[near] > 0.1 * power[near].max())[0] + near.start
        errors.append(1000 * (rise - stroke) / STATION_RATE)
        before = power[rise - 1_440 : rise - 240].mean()
        echoes.append(10 * np.log10(before / power[rise : rise + 1_200].mean()))
    offset = float(np.median(errors))
    spectrum = np.abs(np.fft.rfft(result[:, 0] * np.hanning(len(result))))
    cents = [_cents(spectrum, pitch, len(result)) for pitch in CHORD]
    say(
        figure=name,
        frames_wrong=len(result) - round(len(audio) * factor),
        strokes_late_ms=round(offset, 2),
        strokes_off_ms_most=round(float(np.abs(np.array(errors) - offset).max()), 2),
        before_a_stroke_db=round(float(np.median(echoes)), 1),
        pitch_off_cents_most=round(max(cents), 2),
        times_real_time=round(SECONDS / took, 1),
    )


def _cents(spectrum: np.ndarray, pitch: float, frames: int) -> float:
    bins = np.arange(len(spectrum)) * STATION_RATE / frames
    near = np.flatnonzero(np.abs(bins / pitch - 1) < 0.02)
    return float(abs(1200 * np.log2(bins[near[np.argmax(spectrum[near])]] / pitch)))


@click.command()
@click.option("--percent", default=4.0)
def main(percent: float) -> None:
    """Compare both."""
    factor = 1.0 + percent / 100.0
    measure("own_stretch", own, factor)
    try:
        measure("signalsmith_stretch", signalsmith, factor)
    except ImportError:
        say(figure="signalsmith_stretch", note="not installed: pip install python-stretch")


if __name__ == "__main__":
    main()
