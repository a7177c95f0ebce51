"""Struck and plucked sounds: pianos, bars, bells and strings, by partials; electric pianos by frequency modulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.composer.sound.gate import onset
from services.generator.backends.composer.sound.modal import partials, stiff
from services.generator.backends.composer.sound.tone import Mono, Tone, mono, noise, sine, stereo
from shared.units import Audio


@dataclass(frozen=True)
class Piano:
    """Two strings a note, a hair apart, each with a fast and a slow decay; the hammer softens when played softly."""

    softness: float = 0.0
    """0 bright concert grand, 1 felt."""

    def __call__(self, tone: Tone) -> Audio:
        f, loud = tone.hertz, tone.velocity
        count = max(1, min(40, int((9000.0 - 5000.0 * self.softness) / f)))
        h = np.arange(1, count + 1)
        tuned = stiff(f, count, 3.5e-4 * 2.0 ** ((tone.pitch - 60) / 14.0))
        slope = 1.75 - 0.75 * loud + 1.1 * self.softness
        level = h**-slope * (0.25 + np.abs(np.sin(np.pi * h / 7.6)))
        long = 3.4 * 2.0 ** (-(tone.pitch - 48) / 18.0) / (1.0 + 0.16 * h)
        sides = []
        for side, drift in enumerate((-0.11, 0.13)):
            apart = drift * h**0.25
            phases = 2.4 * h + 0.7 * side
            sides.append(
                partials(tuned + apart, 0.74 * level, long * 0.42, tone.frames, tone.rate, phases=phases)
                + partials(tuned - apart, 0.30 * level, long * 1.9, tone.frames, tone.rate, phases=phases)
            )
        body = _knock(tone, 0.011, 0.10 + 0.25 * loud * (1.0 - 0.5 * self.softness), 700.0)
        rise = onset(tone.frames, tone.rate, 0.0015 + 0.006 * self.softness)
        return stereo((sides[0] + body) * rise, (sides[1] + body) * rise)


@dataclass(frozen=True)
class Modal:
    """A bar, a bell or a plate: partials as ``(ratio, level, decay in seconds at middle C)``."""

    rows: tuple[tuple[float, float, float], ...]
    knock: float = 0.0
    tremolo: float = 0.0
    shrink: float = 24.0
    """Semitones over which the decay halves."""

    def __call__(self, tone: Tone) -> Audio:
        ratio, level, seconds = np.array(self.rows).T
        level = level * np.where(ratio > 1.0, 0.45 + 0.75 * tone.velocity, 1.0)
        shorter = 2.0 ** (-(tone.pitch - 60) / self.shrink)
        sound = partials(tone.hertz * ratio, level, seconds * shorter, tone.frames, tone.rate)
        sound *= onset(tone.frames, tone.rate, 0.001)
        if self.knock:
            sound = sound + _knock(tone, 0.006, self.knock, 2500.0)
        if not self.tremolo:
            return mono(sound)
        sway = np.float32(self.tremolo) * sine(4.6 * tone.times)
        return stereo(sound * (1.0 - sway), sound * (1.0 + sway))


@dataclass(frozen=True)
class Plucked:
    """A plucked string: its place shapes the spectrum, its losses the decay (Fletcher & Rossing, ch. 9)."""

    bright: float = 0.5
    ring_s: float = 1.8
    """Decay of the fundamental at E3."""
    place: float = 0.18
    """Where along the string: 0.5 the middle."""
    stiffness: float = 4e-5
    pick: float = 0.12
    body: tuple[tuple[float, float], ...] = ((100.0, 0.5), (210.0, 0.4))
    """Resonances of the box, hertz and strength, sounding briefly under each note."""
    courses: int = 1
    """2 for doubled strings."""
    buzz: float = 0.0
    """A curved bridge: upper partials that swell after the pluck."""

    def __call__(self, tone: Tone) -> Audio:
        f = tone.hertz
        count = max(1, min(56, int(12_000.0 / f)))
        h = np.arange(1, count + 1)
        slope = 2.0 - 1.0 * self.bright - 0.5 * tone.velocity
        level = np.abs(np.sin(np.pi * h * self.place)) / h**slope + 1e-3
        ring = self.ring_s * 2.0 ** (-(tone.pitch - 52) / 20.0) / (1.0 + (0.30 - 0.24 * self.bright) * (h - 1) ** 1.15)
        tuned = stiff(f, count, self.stiffness)
        phases = np.random.default_rng((tone.pitch, 5)).random(count) * 0.8
        sound = partials(tuned, level, ring, tone.frames, tone.rate, phases=phases)
        if self.courses == 2:
            sound = sound + 0.7 * partials(
                tuned * 1.0022, level, ring * 0.9, tone.frames, tone.rate, phases=phases + 1.0
            )
        if self.buzz:
            slow = partials(tuned, level * h**0.8, ring * 0.8, tone.frames, tone.rate, phases=phases)
            fast = partials(
                tuned, level * h**0.8, ring * 0.8 / (1.0 + ring * 0.8 / 0.09), tone.frames, tone.rate, phases=phases
            )
            sound = sound + self.buzz * (slow - fast)
        for resonance, strength in self.body:
            sound = sound + partials(resonance, strength * 0.25, 0.05, tone.frames, tone.rate)
        sound *= onset(tone.frames, tone.rate, 0.0012)
        return mono(sound + _knock(tone, 0.005, self.pick * (0.4 + tone.velocity), 2200.0))


def electric_piano(tone: Tone) -> Audio:
    """A tine and a bar before a pickup: the harder it is struck, the more it barks; the tremolo swings across."""
    t, f, loud = tone.times, tone.hertz, tone.velocity
    key = float(np.clip((92 - tone.pitch) / 52, 0.2, 1.0))
    turns = f * t
    bark = fading(tone, 0.9) * np.float32((1.0 + 1.8 * loud * loud) * key / (2.0 * np.pi))
    sound = sine(turns + bark * sine(turns)) * fading(tone, 0.7 + 2.3 * key)
    pickup = np.float32(0.45) * sine(2.0 * turns) + np.float32(0.25) * sine(3.0 * turns)
    sound += (pickup + np.float32(0.14) * sine(5.0 * turns)) * fading(tone, 0.6 + 1.4 * key)
    ratio = 7.0 if f * 14.0 > 14_000.0 else 14.0
    sound += np.float32(0.30 * loud) * sine(ratio * turns) * fading(tone, 0.16)
    sound *= onset(tone.frames, tone.rate, 0.002)
    sway = np.float32(0.30) * sine(4.4 * t)
    return stereo(sound * (1 - sway), sound * (1 + sway))


def electric_piano_fm(tone: Tone) -> Audio:
    """The glassy electric piano of the eighties: two pairs of operators, one a bell at fourteen times the note."""
    t, f, loud = tone.times, tone.hertz, tone.velocity
    turns = f * t
    index = fading(tone, 0.9) * np.float32((0.5 + 0.9 * loud) / (2.0 * np.pi))
    body = sine(turns + index * sine(turns)) * fading(tone, 1.9)
    ratio = 14.0 if f * 15.0 < 14_000.0 else 5.0
    index = fading(tone, 0.22) * np.float32((0.5 + 1.2 * loud) / (2.0 * np.pi))
    bell = sine(1.0006 * turns + index * sine(1.0006 * ratio * turns)) * fading(tone, 1.1)
    shimmer = np.float32(0.12) * sine(0.9 * t)
    rise = onset(tone.frames, tone.rate, 0.0015)
    bell *= np.float32(0.7)
    return stereo((body * (1 + shimmer) + bell) * rise, (body * (1 - shimmer) + bell) * rise)


def fading(tone: Tone, seconds: float) -> Mono:
    """Falling to 1/e in ``seconds``."""
    frames = np.arange(tone.frames, dtype=np.float32)
    return np.asarray(np.exp(frames * np.float32(-1.0 / (seconds * tone.rate))), np.float32)


def _knock(tone: Tone, seconds: float, level: float, cutoff: float) -> NDArray[np.float32]:
    """The thump of a hammer or a pick: noise, smoothed and gone in a moment."""
    frames = min(tone.frames, round(seconds * 8 * tone.rate))
    out = np.zeros(tone.frames, np.float32)
    width = max(1, round(tone.rate / cutoff / 2))
    burst = np.convolve(noise(frames + width, tone.pitch, 17), np.ones(width) / width, "same")[:frames]
    out[:frames] = burst * np.sqrt(width) * level * 0.5 * np.exp(-np.arange(frames) / (seconds * tone.rate))
    return out
