"""Electronic voices: basses, leads, saws and stabs on swept wave tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.composer.sound.gate import decay, onset
from services.generator.backends.composer.sound.tone import Tone, mono, noise, sine, stereo
from services.generator.backends.composer.sound.waves import falling, oscillator, vibrato
from shared.units import Audio


@dataclass(frozen=True)
class SynthBass:
    """One oscillator through a plucked filter, over a sine at the fundamental."""

    wave: str = "saw"
    cutoff: float = 800.0
    sweep_s: float = 0.18
    resonance: float = 0.7
    sub: float = 0.5
    drive: float = 1.2
    fade_s: float = 2.5

    def __call__(self, tone: Tone) -> Audio:
        open_to = self.cutoff * (0.8 + 1.7 * tone.velocity)
        cutoff = falling(tone.frames, tone.rate, open_to, self.cutoff * 0.4, self.sweep_s)
        sound = oscillator(self.wave, tone.pitch, tone.frames, tone.rate, cutoff, resonance=self.resonance)
        deep = np.float32(self.sub) * sine(tone.hertz * tone.times)
        shaped = (sound + deep) * (0.6 + 0.4 * decay(tone.times, self.fade_s / 5))
        return mono(np.tanh(self.drive * shaped) * onset(tone.frames, tone.rate, 0.003))


def sub_bass(tone: Tone) -> Audio:
    """A sine with just enough overtones to be heard on small loudspeakers."""
    turns = tone.hertz * tone.times
    sound = sine(turns) + np.float32(0.20) * sine(2.0 * turns) + np.float32(0.08) * sine(3.0 * turns)
    return mono(np.tanh(np.float32(1.3) * sound) * onset(tone.frames, tone.rate, 0.006))


def acid_bass(tone: Tone) -> Audio:
    """A squelching saw: the resonance follows the envelope, accents open it."""
    high = 500.0 + 2600.0 * tone.velocity**2
    cutoff = falling(tone.frames, tone.rate, high, 240.0, 0.10 + 0.10 * tone.velocity)
    sound = oscillator("saw", tone.pitch, tone.frames, tone.rate, cutoff, resonance=4.0)
    return mono(np.tanh(1.1 * sound) * onset(tone.frames, tone.rate, 0.002))


def reese_bass(tone: Tone) -> Audio:
    """Saws beating against each other behind a slowly moving filter, and a steady sub."""
    cutoff = 420.0 + 220.0 * np.sin(2.0 * np.pi * 0.37 * tone.times + tone.pitch)
    sound = np.zeros(tone.frames, np.float32)
    for cents in (-16.0, 0.0, 13.0):
        sound += oscillator("saw", tone.pitch, tone.frames, tone.rate, cutoff, cents=cents, phase=cents / 50.0 % 1.0)
    sub = sine(tone.hertz * tone.times)
    return mono(np.tanh(np.float32(0.5) * sound + np.float32(0.8) * sub) * onset(tone.frames, tone.rate, 0.006))


def organ_bass(tone: Tone) -> Audio:
    """A plucked bass of few harmonics, short and round: two operators."""
    turn = 2.0 * np.pi * tone.hertz * tone.times
    index = (0.6 + 1.4 * tone.velocity) * decay(tone.times, 0.12) + 0.25
    sound = np.sin(turn + index * np.sin(2.0 * turn)) + 0.4 * np.sin(turn)
    return mono(sound * onset(tone.frames, tone.rate, 0.003))


@dataclass(frozen=True)
class Saws:
    """Several saws, a few cents apart and spread from left to right, behind one filter."""

    count: int = 7
    cents: float = 13.0
    cutoff: float = 4200.0
    floor: float = 0.35
    sweep_s: float = 0.6
    resonance: float = 0.0
    fade_s: float = 0.0
    wave: str = "saw"

    def __call__(self, tone: Tone) -> Audio:
        high = self.cutoff * (0.55 + 0.75 * tone.velocity)
        cutoff = falling(tone.frames, tone.rate, high, high * self.floor, self.sweep_s)
        sides = np.zeros((2, tone.frames), np.float32)
        for index, place in enumerate(np.linspace(-1.0, 1.0, self.count)):
            saw = oscillator(
                self.wave,
                tone.pitch,
                tone.frames,
                tone.rate,
                cutoff,
                cents=float(place) * self.cents,
                phase=(index * 0.618034 + tone.pitch * 0.11) % 1.0,
                resonance=self.resonance,
            )
            pan = float(place) * (0.7 if index % 2 else -0.7)
            sides[0] += saw * np.float32(np.sqrt(0.5 * (1.0 - pan)))
            sides[1] += saw * np.float32(np.sqrt(0.5 * (1.0 + pan)))
        shape = onset(tone.frames, tone.rate, 0.004)
        if self.fade_s:
            shape = shape * decay(tone.times, self.fade_s).astype(np.float32)
        return stereo(sides[0] * shape, sides[1] * shape)


@dataclass(frozen=True)
class Lead:
    """Two oscillators that sway together after a moment."""

    wave: str = "saw"
    cutoff: float = 2800.0
    cents: float = 6.0
    resonance: float = 0.3
    sway: float = 14.0
    sweep_s: float = 0.4

    def __call__(self, tone: Tone) -> Audio:
        high = self.cutoff * (0.6 + 0.7 * tone.velocity)
        cutoff = falling(tone.frames, tone.rate, high, high * 0.6, self.sweep_s)
        bend = vibrato(tone.frames, tone.rate, self.sway)
        one, two = (
            oscillator(
                self.wave,
                tone.pitch,
                tone.frames,
                tone.rate,
                cutoff,
                cents=cents,
                phase=phase,
                resonance=self.resonance,
                bend=bend,
            )
            for cents, phase in ((-self.cents, 0.1), (self.cents, 0.6))
        )
        rise = onset(tone.frames, tone.rate, 0.008)
        return stereo((one + 0.4 * two) * rise, (two + 0.4 * one) * rise)


@dataclass(frozen=True)
class Chip:
    """A pulse of a sound chip, with its quick vibrato; nothing filtered."""

    wave: str = "square"
    sway: float = 9.0

    def __call__(self, tone: Tone) -> Audio:
        bend = vibrato(tone.frames, tone.rate, self.sway, 6.0, 0.25)
        sound = oscillator(self.wave, tone.pitch, tone.frames, tone.rate, 12_000.0, bend=bend)
        return mono(sound * (0.65 + 0.35 * decay(tone.times, 0.15)) * onset(tone.frames, tone.rate, 0.001))


@dataclass(frozen=True)
class Wind:
    """A blown or bowed note: a bright attack, breath or bow, and a vibrato that comes late."""

    wave: str
    cutoff: float = 3500.0
    breath: float = 0.03
    breath_hertz: float = 2500.0
    sway: float = 12.0
    rise_s: float = 0.04
    speak_s: float = 0.12
    """Time in which the spectrum opens."""
    players: int = 1
    scoop: float = 18.0
    """Cents from below at the attack."""

    def __call__(self, tone: Tone) -> Audio:
        high = self.cutoff * (0.45 + 0.9 * tone.velocity)
        cutoff = falling(tone.frames, tone.rate, high * 0.45, high, self.speak_s)
        sides = np.zeros((2, tone.frames), np.float32)
        for player in range(self.players):
            bend = vibrato(
                tone.frames, tone.rate, self.sway * (1 + 0.2 * player), 5.1 + 0.35 * player, 0.45 + 0.1 * player
            )
            bend = bend - falling(tone.frames, tone.rate, self.scoop, 0.0, 0.03 + 0.01 * player)
            drift = 0.0 if self.players == 1 else 7.0 * (player - (self.players - 1) / 2)
            one = oscillator(
                self.wave, tone.pitch, tone.frames, tone.rate, cutoff, cents=drift, phase=0.31 * player, bend=bend
            )
            pan = 0.0 if self.players == 1 else 0.6 * (2 * player / (self.players - 1) - 1)
            sides[0] += one * np.float32(np.sqrt(0.5 * (1 - pan)))
            sides[1] += one * np.float32(np.sqrt(0.5 * (1 + pan)))
        air = _breath(tone, self.breath_hertz) * np.float32(self.breath * max(0.05, float(np.abs(sides).max())))
        rise = onset(tone.frames, tone.rate, self.rise_s)
        return stereo((sides[0] + air) * rise, (sides[1] + air) * rise)


def flute(tone: Tone) -> Audio:
    """Few harmonics, much air."""
    bend = vibrato(tone.frames, tone.rate, 10.0, 5.0, 0.5)
    turn = 2.0 * np.pi * np.cumsum(tone.hertz / tone.rate * np.exp2(bend / 1200.0, dtype=float))
    shade = 0.6 + 0.7 * tone.velocity
    sound = np.sin(turn) + 0.34 * shade * np.sin(2 * turn) + 0.12 * shade * np.sin(3 * turn) + 0.04 * np.sin(4 * turn)
    sound = sound + _breath(tone, 1.6 * tone.hertz) * (0.06 + 0.10 * decay(tone.times, 0.06))
    return mono(sound * onset(tone.frames, tone.rate, 0.045))


def whistle(tone: Tone) -> Audio:
    """Almost a sine, with air about it."""
    bend = vibrato(tone.frames, tone.rate, 16.0, 5.6, 0.3) - falling(tone.frames, tone.rate, 30.0, 0.0, 0.03)
    turn = 2.0 * np.pi * np.cumsum(tone.hertz / tone.rate * np.exp2(bend / 1200.0, dtype=float))
    sound = np.sin(turn) + 0.08 * np.sin(2 * turn) + 0.10 * _breath(tone, 1.2 * tone.hertz)
    return mono(sound * onset(tone.frames, tone.rate, 0.03))


def organ(tone: Tone) -> Audio:
    """Drawbars through a turning loudspeaker: pitch and side sway against each other."""
    sway = np.sin(2.0 * np.pi * 5.6 * tone.times).astype(np.float32)
    sound = oscillator("drawbars", tone.pitch, tone.frames, tone.rate, 6500.0, bend=4.0 * sway)
    click = onset(tone.frames, tone.rate, 0.004)
    return stereo(sound * (1.0 - 0.14 * sway) * click, sound * (1.0 + 0.14 * sway) * click)


def clavinet(tone: Tone) -> Audio:
    """A damped string under a pickup: narrow pulse, quick filter."""
    cutoff = falling(tone.frames, tone.rate, 2000.0 + 3500.0 * tone.velocity, 900.0, 0.12)
    sound = oscillator("narrow", tone.pitch, tone.frames, tone.rate, cutoff, resonance=0.8)
    return mono(sound * decay(tone.times, 0.7) * onset(tone.frames, tone.rate, 0.001))


def driven_guitar(tone: Tone) -> Audio:
    """A string into an overdriven amplifier and a closed cabinet: even sustain, nothing above 5 kHz."""
    string = oscillator("pulse", tone.pitch, tone.frames, tone.rate, 2400.0)
    loud = np.tanh(5.0 * string * (0.35 + 0.65 * decay(tone.times, 1.5)))
    width = max(1, round(tone.rate / 9000.0))
    cabinet = np.ones(width) / width
    for _ in range(2):
        loud = np.convolve(loud, cabinet, "same")
    return mono(loud * onset(tone.frames, tone.rate, 0.002))


def _breath(tone: Tone, centre: float) -> NDArray[np.float32]:
    """Noise around a frequency: white noise through a resonator, by its short impulse response."""
    length = round(0.012 * tone.rate)
    t = np.arange(length) / tone.rate
    impulse = np.exp(-t / 0.0022) * np.cos(2.0 * np.pi * min(centre, 0.4 * tone.rate) * t)
    table_frames = min(tone.frames, 2 * tone.rate)
    raw = np.convolve(noise(table_frames, tone.pitch, 23), (impulse / np.sqrt(np.sum(impulse**2))).astype(np.float32))
    raw = raw[:table_frames]
    return np.resize(raw, tone.frames)
