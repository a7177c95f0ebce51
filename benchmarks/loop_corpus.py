"""Synthetic clips for ``benchmarks/loops.py`` whose tempo, bars, pattern and steady region are known.

Sequenced and performed grooves (jitter, swing, velocity, reverb, noise) in several metres, with intros, outros, fades,
pauses and defects; music without drums; drones and pads that repeat nothing. Deterministic by seed; numpy alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]
PROGRESSIONS = ((0, 5, 7, 5), (0, 9, 5, 7), (0, 3, 10, 5), (0, 8, 3, 10), (0, 2, 5, 7))


@dataclass(frozen=True)
class Spec:
    """What a clip is to be; times in bars unless they say seconds."""

    name: str
    seed: int
    bpm: float
    seconds: float
    rate: int = 32_000
    channels: int = 1
    per_bar: int = 4
    pattern: int = 1
    parts: str = "dbcl"
    """Drums, bass, chords, lead."""
    jitter_s: float = 0.0
    velocity: float = 0.0
    swing: float = 0.0
    reverb_s: float = 0.0
    noise: float = 0.0
    offset_s: float = 0.0
    intro: int = 0
    outro: int = 0
    fade_in_s: float = 0.0
    fade_out_s: float = 0.0
    tail_s: float = 0.0
    pause_s: tuple[float, float] | None = None
    clip: float = 0.0
    dc: float = 0.0
    texture: str = ""
    """``pad`` over or instead of the groove, or ``drone``: neither repeats."""


@dataclass(frozen=True)
class Clip:
    """Samples ``(frames, channels)`` and what is true of them, in seconds; ``None`` where there is no truth."""

    spec: Spec
    samples: NDArray[np.float32]
    beat_s: float | None
    bar_s: float | None
    pattern_s: float | None
    steady_s: tuple[float, float]

    @property
    def min_loop_s(self) -> float:
        return round(float(np.clip(0.25 * self.spec.seconds, 2.0 if self.spec.seconds < 7 else 2.6, 8)), 2)


def specs(seed: int) -> list[Spec]:
    """Forty clips."""
    rng = np.random.default_rng(77_000 + seed)
    out: list[Spec] = []

    def add(name: str, bpm: tuple[float, float], seconds: float, **more: object) -> None:
        tempo = round(float(rng.uniform(*bpm)), 2)
        wide = {"rate": 44_100, "channels": 2} if len(out) % 3 == 1 else {}
        out.append(Spec(name, 10_000 * seed + len(out), tempo, seconds, **{**wide, **more}))  # type: ignore[arg-type]

    for number, (pattern, seconds) in enumerate(
        ((1, 8), (1, 13), (2, 11), (2, 17), (2, 21), (4, 25), (4, 30), (4, 29))
    ):
        add(
            f"sequenced-{number}",
            (90, 165) if pattern < 4 else (108, 168),
            seconds,
            pattern=pattern,
            offset_s=float(rng.uniform(0, 0.7)) if number % 2 else 0.0,
        )
    for number in range(12):
        pattern = (1, 2, 2, 4)[number % 4]
        add(
            f"performed-{number}",
            ({1: 72.0, 2: 86.0, 4: 120.0}[pattern], 168),
            {1: (7, 10, 14), 2: (15, 20, 27), 4: (27, 28, 30)}[pattern][number // 4],
            pattern=pattern,
            jitter_s=float(rng.choice([0.002, 0.004, 0.007])),
            velocity=0.12,
            swing=float(rng.choice([0, 0.15, 0.33])),
            reverb_s=float(rng.choice([0, 0.9, 1.7])),
            noise=float(rng.choice([0, 0.01, 0.03])),
            offset_s=float(rng.uniform(0, 1)),
        )
    loose = {"jitter_s": 0.003, "velocity": 0.1}
    add("intro", (115, 140), 25, intro=2, pattern=2, **loose)
    add("intro-outro", (110, 130), 26, intro=1, outro=1, pattern=2, reverb_s=1.1, **loose)
    add("fade-out", (125, 150), 18, pattern=2, fade_out_s=4, **loose)
    add("fades", (95, 115), 15, fade_in_s=2, fade_out_s=3, **loose)
    add("stops", (120, 140), 20, pattern=2, tail_s=4, reverb_s=1.9, **loose)
    add("pause", (112, 130), 20, pause_s=(12.0, 14.2))
    add("three-four", (140, 165), 20, per_bar=3, pattern=4, **loose)
    add("six-eight", (150, 175), 20, per_bar=6, pattern=2, **loose)
    add("five-four", (130, 160), 20, per_bar=5, pattern=2, **loose)
    add("seven-eight", (155, 175), 17, per_bar=7, **loose)
    add("slow", (68, 76), 13, reverb_s=1.4, **loose)
    add("short", (108, 120), 5, **loose)
    add("arpeggio", (112, 128), 18, parts="cl", pattern=2, reverb_s=1.4, **loose)
    add("bass-and-chords", (115, 130), 30, parts="bc", pattern=4, reverb_s=1.9, **loose)
    add("clipped", (125, 140), 16, pattern=2, clip=4.0, **loose)
    add("offset", (95, 105), 12, dc=0.25, **loose)
    add("noisy", (100, 115), 20, pattern=2, noise=0.25, **loose)
    add("pad-over-drums", (110, 120), 20, parts="d", texture="pad", **loose)
    add("drone", (60, 61), 24, parts="", texture="drone")
    add("pad", (60, 61), 20, parts="", texture="pad", reverb_s=1.9)
    return out


def make(spec: Spec) -> Clip:
    """Render one clip."""
    rate, beat = spec.rate, 60 / spec.bpm
    bar = beat * spec.per_bar
    pattern = np.random.default_rng(spec.seed + 5)
    chance = np.random.default_rng(spec.seed + 6)
    count = round(spec.seconds * rate)
    out = np.zeros(count + 3 * rate)
    ends = spec.seconds - spec.tail_s
    bars = [_write_bar(spec, number, pattern) for number in range(spec.pattern)]
    number = 0
    while spec.parts and (begin := spec.offset_s + number * bar) < ends:
        quiet = number < spec.intro or (spec.outro > 0 and begin >= ends - spec.outro * bar - 1e-6)
        for part, step, note, level in bars[number % spec.pattern]:
            if part not in spec.parts or (quiet and part in "db"):
                continue
            when = begin + step / 4 * beat + (spec.swing * beat / 4 if step % 2 else 0)
            when += chance.standard_normal() * spec.jitter_s if part != "c" else 0
            if when < ends:
                shifted = note + (4 if quiet else 0) if part in "cl" else note
                loud = level * (1 + spec.velocity * chance.standard_normal())
                _add(out, round(when * rate), loud * _sound(part, shifted, spec, chance))
        number += 1
    if spec.texture:
        out[:count] += _texture(spec, chance)[:count]
    out = _finish(out, spec, chance)[:count]
    steady = [spec.offset_s + spec.intro * bar, ends - spec.outro * bar]
    steady = [max(steady[0], spec.fade_in_s), min(steady[1], spec.seconds - spec.fade_out_s)]
    if spec.pause_s is not None:
        steady[1] = spec.pause_s[0]
    pulse = bool(spec.parts)
    samples = np.stack([out, 0.8 * out + 0.2 * np.roll(out, rate // 90)], axis=1)[:, : spec.channels]
    return Clip(
        spec=spec,
        samples=samples.astype(np.float32),
        beat_s=beat if pulse else None,
        bar_s=bar if pulse else None,
        pattern_s=bar * spec.pattern if pulse and not spec.texture else None,
        steady_s=(steady[0], steady[1]),
    )


def _write_bar(spec: Spec, number: int, rng: np.random.Generator) -> list[tuple[str, int, float, float]]:
    """One bar's notes: part, sixteenth, note, level."""
    root = 40 + spec.seed % 9 + PROGRESSIONS[spec.seed % 5][number % 4]
    notes: list[tuple[str, int, float, float]] = []
    for step in range(spec.per_bar * 4):
        if step == 0 or (step % 8 == 0 and spec.per_bar % 2 == 0) or rng.random() < 0.08:
            notes.append(("d", step, 36, 0.9))
        if step % 8 == 4:
            notes.append(("d", step, 38, 0.5))
        if step % 2 == 0 or rng.random() < 0.15:
            notes.append(("d", step, 42, 0.25 if step % 4 else 0.4))
        if step == 0 or (step % 2 == 0 and rng.random() < 0.5):
            notes.append(("b", step, root - 12 + float(rng.choice([0, 0, 7, 12])), 0.4))
        if rng.random() < 0.28:
            notes.append(("l", step, root + 24 + float(rng.choice([0, 3, 7, 10, 12])), 0.18))
    notes += [("c", 0, root + 12 + third, 0.09) for third in (0, 3, 7)]
    if number == spec.pattern - 1 and spec.pattern > 1:
        notes += [("d", spec.per_bar * 4 - back, 38, 0.5 / back) for back in (1, 2, 3)]
    return notes


def _sound(part: str, note: float, spec: Spec, rng: np.random.Generator) -> Signal:
    rate, beat = spec.rate, 60 / spec.bpm
    bar = beat * spec.per_bar
    if part == "d":
        t = np.arange(int(0.25 * rate)) / rate
        if note == 36:
            return np.asarray(np.sin(2 * np.pi * (48 * t + 2.2 * (1 - np.exp(-t / 0.03)))) * np.exp(-t / 0.09))
        hiss = rng.standard_normal(len(t))
        if note == 42:
            return np.asarray(np.diff(hiss, n=2, prepend=[0, 0]) * np.exp(-t / 0.02))
        return np.asarray((np.diff(hiss, prepend=0) + 0.5 * np.sin(2 * np.pi * 190 * t)) * np.exp(-t / 0.055))
    seconds = {"b": 0.48 * beat, "c": 0.97 * bar, "l": 0.6 * beat}[part]
    t = np.arange(int(seconds * rate)) / rate
    frequency = 440 * 2 ** ((note - 69) / 12)
    phase = rng.uniform(0, 2 * np.pi)
    if part == "l":
        tone = np.sin(2 * np.pi * frequency * t + phase + 1.5 * np.exp(-t / 0.08) * np.sin(4 * np.pi * frequency * t))
        return np.asarray(tone * np.minimum(t / 0.003, 1) * np.exp(-t / (0.22 * beat)))
    partials = range(1, max(2, min(12 if part == "c" else 6, int(0.4 * rate / frequency))))
    tone = sum((np.sin(2 * np.pi * frequency * k * t + phase * k) / k for k in partials), np.zeros(len(t)))
    shape = np.minimum(t / 0.03, 1) * np.minimum((seconds - t) / 0.05, 1) if part == "c" else np.exp(-t / (0.3 * beat))
    return np.asarray(tone * shape * np.minimum(t / 0.004, 1))


def _texture(spec: Spec, rng: np.random.Generator) -> Signal:
    rate, count = spec.rate, round(spec.seconds * spec.rate)
    t = np.arange(count) / rate
    out = np.zeros(count + 8 * rate)
    if spec.texture == "drone":
        for _ in range(10):
            note = 33 + float(rng.choice([0, 7, 12, 19, 24, 31])) + rng.normal(0, 0.05)
            swell = 0.5 + 0.5 * np.sin(2 * np.pi * (rng.uniform(0.03, 0.2) * t + rng.random()))
            out[:count] += 0.06 * swell * np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * t + rng.uniform(0, 6))
        return out
    begin = 0.0
    while begin < spec.seconds:
        length = float(rng.uniform(1.4, 4.5))
        note = 50 + float(rng.integers(-5, 8))
        span = np.arange(int((length + 0.8) * rate)) / rate
        shape = np.minimum(span / 0.7, 1) * np.minimum((length + 0.8 - span) / 0.7, 1)
        for third in (0, 5, 7, 14):
            frequency = 440 * 2 ** ((note + third - 69) / 12)
            tone = sum(np.sin(2 * np.pi * frequency * k * span + rng.uniform(0, 6)) / k**1.5 for k in range(1, 6))
            _add(out, round(begin * rate), 0.03 * tone * shape)
        begin += length
    return out


def _finish(out: Signal, spec: Spec, rng: np.random.Generator) -> Signal:
    rate = spec.rate
    if spec.reverb_s:
        t = np.arange(int(1.5 * spec.reverb_s * rate)) / rate
        room = rng.standard_normal(len(t)) * np.exp(-6.9 * t / spec.reverb_s)
        size = 1 << (len(out) + len(room)).bit_length()
        wet = np.fft.irfft(np.fft.rfft(out, size) * np.fft.rfft(room / np.linalg.norm(room), size), size)
        out = out + 0.35 * wet[: len(out)]
    count = round(spec.seconds * rate)
    out = out[:count] + spec.noise * float(np.std(out[:count])) * rng.standard_normal(count)
    for seconds, edge in ((spec.fade_in_s, 1), (spec.fade_out_s, -1)):
        fade = np.linspace(0, 1, int(seconds * rate)) ** 1.5
        out[::edge][: len(fade)] *= fade
    if spec.pause_s is not None:
        out[int(spec.pause_s[0] * rate) : int(spec.pause_s[1] * rate)] = 0
    out = 0.7 * out / max(1e-9, float(np.abs(out).max()))
    if spec.clip:
        out = np.clip(out * spec.clip, -0.98, 0.98)
    return np.asarray(out * (1 - spec.dc) + spec.dc)


def _add(out: Signal, at: int, sound: Signal) -> None:
    sound, at = (sound[-at:], 0) if at < 0 else (sound, at)
    count = min(len(sound), len(out) - at)
    if count > 0:
        out[at : at + count] += sound[:count]
