"""Small pieces of music whose beats, bars and repeats are known."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from shared.units import Audio

RATE = 22_050


@lru_cache(maxsize=32)
def groove(
    *, bpm: float = 120.0, bars: int = 8, per_bar: int = 4, rate: int = RATE, seed: int = 1, pattern: int = 2
) -> Audio:
    """Kick on the one, snare, hats, a bass note and a chord for each bar; repeats after ``pattern`` bars; read only."""
    rng = np.random.default_rng(seed)
    beat = 60 / bpm
    count = round(bars * per_bar * beat * rate)
    out = np.zeros(count + rate)
    roots = rng.choice([40, 43, 45, 47, 48, 50, 52], size=pattern, replace=False)
    melody = rng.choice([0, 3, 7, 10, 12], size=(pattern, per_bar * 2))
    for bar in range(bars):
        root = roots[bar % pattern]
        for step in range(per_bar * 2):
            at = round((bar * per_bar + step / 2) * beat * rate)
            _add(out, at, _hat(rate, rng) * (0.25 if step % 2 else 0.15))
            if step == 0 or (step == per_bar and per_bar % 2 == 0):
                _add(out, at, _kick(rate) * (1.0 if step == 0 else 0.7))
            if step % 4 == 2:
                _add(out, at, _snare(rate, rng) * 0.5)
            _add(out, at, tone(root + 24 + melody[bar % pattern, step], 0.4 * beat, rate) * 0.15)
        for third in (0, 3, 7):
            _add(out, round(bar * per_bar * beat * rate), tone(root + 12 + third, per_bar * beat * 0.95, rate) * 0.08)
        _add(out, round(bar * per_bar * beat * rate), tone(root - 12, beat, rate) * 0.4)
    return _finished(out[:count], np.abs(out).max())


def _finished(out: np.ndarray, peak: float) -> Audio:
    audio = (0.6 * out / peak).astype(np.float32)[:, None]
    audio.setflags(write=False)
    return audio


def _add(out: np.ndarray, at: int, sound: np.ndarray) -> None:
    count = min(len(sound), len(out) - at)
    if count > 0:
        out[at : at + count] += sound[:count]


@lru_cache(maxsize=4)
def _kick(rate: int) -> np.ndarray:
    t = np.arange(int(0.25 * rate)) / rate
    return np.sin(2 * np.pi * (50 * t + 2 * (1 - np.exp(-t / 0.03)))) * np.exp(-t / 0.08)


def _snare(rate: int, rng: np.random.Generator) -> np.ndarray:
    t = np.arange(int(0.2 * rate)) / rate
    return rng.standard_normal(len(t)) * np.exp(-t / 0.05)


def _hat(rate: int, rng: np.random.Generator) -> np.ndarray:
    t = np.arange(int(0.06 * rate)) / rate
    return np.diff(rng.standard_normal(len(t) + 1)) * np.exp(-t / 0.015)


@lru_cache(maxsize=256)
def tone(note: float, seconds: float, rate: int) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    shape = np.minimum(t / 0.005, 1) * np.minimum((seconds - t) / 0.02, 1)
    frequency = 440 * 2 ** ((note - 69) / 12)
    made: np.ndarray = sum(np.sin(2 * np.pi * frequency * k * t) / k for k in (1, 2, 3)) * shape
    made.setflags(write=False)
    return made


@lru_cache(maxsize=4)
def crossed(*, bpm: float, bars: int = 12, rate: int = RATE, seed: int = 1) -> Audio:
    """Chords and a melody in bars of four beats, over strokes every one and a half beats all through."""
    rng = np.random.default_rng(seed)
    beat = 60 / bpm
    count = round(bars * 4 * beat * rate)
    out = np.zeros(count + rate)
    roots = rng.choice([40, 43, 45, 48], size=2, replace=False)
    melody = rng.choice([0, 3, 7, 10, 12], size=8)
    for number in range(int(bars * 4 / 1.5)):
        _add(out, round(number * 1.5 * beat * rate), _kick(rate) * 0.5)
    for bar in range(bars):
        begin = bar * 4 * beat
        for step, note in enumerate(melody):
            _add(out, round((begin + step / 2 * beat) * rate), tone(roots[bar % 2] + 24 + note, 0.4 * beat, rate) * 0.1)
        for third in (0, 3, 7):
            _add(out, round(begin * rate), tone(roots[bar % 2] + 12 + third, 3.8 * beat, rate) * 0.08)
    return _finished(out[:count], np.abs(out).max())
