"""Drums and cymbals from sines and noise. A kit is a table of figures; a kick takes the tonic or its fifth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.composer.sound.circle import band_pass
from services.generator.backends.composer.sound.gate import decay
from services.generator.backends.composer.sound.modal import partials
from services.generator.backends.composer.sound.tone import Tone, hertz, noise, swept
from shared.transform import samples_of, spectrum
from shared.units import Audio

_Samples = NDArray[np.floating]

KICKS: Final = (35, 36)
"""The percussion numbers of kicks: what is tuned, and what ducks other parts."""
KICK_RANGE: Final = (41.0, 61.8)
"""Hertz: a fifth of the low octave always holds the tonic or its fifth."""


def kick_hertz(tonic: int) -> float:
    """The tonic in the range where a kick is both felt and heard, else the fifth above it."""
    for pitch in (tonic + 24, tonic + 36, tonic + 7 + 24):
        if KICK_RANGE[0] <= hertz(pitch) <= KICK_RANGE[1]:
            return hertz(pitch)
    return hertz(tonic + 7 + 12)


@dataclass(frozen=True)
class Kick:
    start: float = 190.0
    fall_s: float = 0.035
    ring_s: float = 0.17
    click: float = 0.3
    drive: float = 1.8
    dull: float = 12_000.0
    tuned: bool = True
    hertz: float = 52.0


@dataclass(frozen=True)
class Snare:
    tone: float = 185.0
    ring_s: float = 0.07
    wires_s: float = 0.14
    wires: float = 0.8
    band: tuple[float, float] = (900.0, 9000.0)
    dull: float = 16_000.0


@dataclass(frozen=True)
class Kit:
    """What a kit's pieces are made of."""

    kick: Kick = field(default_factory=Kick)
    snare: Snare = field(default_factory=Snare)
    hat_s: float = 0.032
    open_s: float = 0.19
    metal: float = 1.0
    """Pitch of hats and cymbals against the usual."""
    tom: float = 1.0
    dull: float = 14_000.0
    """Low-pass over all of it."""
    crush: bool = False
    """Noise of a sound chip: held for several frames."""
    brushes: bool = False

    def __call__(self, tone: Tone) -> Audio:
        piece, place = _PIECES.get(tone.pitch, (_block, 0.0))
        loud = replace(tone, frames=min(tone.frames, round(_LONGEST_S.get(tone.pitch, 0.7) * tone.rate)))
        sound = np.asarray(piece(self, loud), float)
        if self.dull < 13_000.0:
            sound = _smooth(sound, self.dull, tone.rate)
        if self.crush:
            hold = max(1, round(tone.rate / 11_025))
            sound = np.repeat(np.round(sound[::hold] * 15.0) / 15.0, hold)[: len(sound)]
        peak = float(np.abs(sound).max(initial=1e-9))
        sound = sound * (LEVELS.get(tone.pitch, 0.4) / peak)
        heard = np.flatnonzero(np.abs(sound) > 3e-4)
        sound = sound[: int(heard[-1]) + 1] if len(heard) else sound[:64]
        end = min(len(sound), round(0.01 * tone.rate))
        sound[len(sound) - end :] *= np.linspace(1.0, 0.0, end)
        left, right = float(np.sqrt(1.0 - place)), float(np.sqrt(1.0 + place))
        return np.stack([sound * left, sound * right], axis=1).astype(np.float32)


LEVELS: Final[Mapping[int, float]] = MappingProxyType(
    {
        35: 0.95, 36: 1.0, 37: 0.40, 38: 0.78, 39: 0.55, 40: 0.78, 41: 0.75, 42: 0.26, 43: 0.74, 44: 0.22, 45: 0.72,
        46: 0.26, 47: 0.70, 48: 0.70, 49: 0.32, 50: 0.68, 51: 0.22, 52: 0.32, 53: 0.24, 54: 0.24, 55: 0.30, 56: 0.28,
        57: 0.32, 59: 0.22, 60: 0.42, 61: 0.42, 62: 0.40, 63: 0.42, 64: 0.45, 65: 0.38, 66: 0.40, 67: 0.25, 68: 0.25,
        69: 0.20, 70: 0.20, 73: 0.20, 74: 0.22, 75: 0.32, 76: 0.32, 77: 0.32, 80: 0.14, 81: 0.16, 82: 0.22,
    }
)  # fmt: skip
"""Peak of each General MIDI percussion number at full velocity, against the kick."""


_LONGEST_S: Final[Mapping[int, float]] = MappingProxyType(
    {35: 1.6, 36: 1.6, 38: 1.1, 40: 1.1, 41: 1.3, 43: 1.3, 45: 1.3, 46: 1.6, 47: 1.3, 48: 1.3, 49: 2.5, 50: 1.3}
    | {51: 2.2, 52: 2.5, 53: 2.2, 55: 2.5, 57: 2.5, 59: 2.2, 81: 2.2}
)
"""Seconds after which a piece has died away, where that is more than 0.7."""


def _band(samples: _Samples, low: float, high: float, rate: int) -> _Samples:
    length = 1 << (len(samples) + 512).bit_length()
    f = np.fft.rfftfreq(length, 1.0 / rate)
    passed = spectrum(np.asarray(samples, np.float32), length) * band_pass(f, low, high)
    return samples_of(passed, length)[: len(samples)]


def _smooth(samples: _Samples, cutoff: float, rate: int) -> _Samples:
    return _band(samples, 5.0, cutoff, rate)


def _kick(kit: Kit, tone: Tone) -> _Samples:
    kick, t = kit.kick, tone.times
    low = kick_hertz(tone.tonic) if kick.tuned else kick.hertz
    body = np.tanh(kick.drive * swept(t, low, kick.start, kick.fall_s) * decay(t, kick.ring_s)) / np.tanh(kick.drive)
    click = _band(noise(tone.frames, 1) * decay(t, 0.004), 1200.0, 9000.0, tone.rate)
    sound = body + kick.click * (0.4 + 0.6 * tone.velocity) * 0.4 * click
    return _smooth(sound, kick.dull, tone.rate) if kick.dull < 12_000.0 else sound


def _snare(kit: Kit, tone: Tone) -> _Samples:
    snare, t = kit.snare, tone.times
    if kit.brushes:
        swish = _band(noise(tone.frames, 2), 700.0, 6500.0, tone.rate)
        return swish * (0.75 * decay(t, 0.05) + 0.35 * np.minimum(1.0, t / 0.06) * decay(t, 0.12))
    body = np.sin(2.0 * np.pi * snare.tone * t + 3.0 * decay(t, 0.01)) * decay(t, snare.ring_s)
    body = body + 0.5 * np.sin(2.0 * np.pi * snare.tone * 1.62 * t) * decay(t, snare.ring_s * 0.7)
    wires = _band(noise(tone.frames, 2), *snare.band, tone.rate) * decay(t, snare.wires_s * (0.6 + 0.4 * tone.velocity))
    return _smooth(0.75 * body + snare.wires * wires, snare.dull, tone.rate)


def _clap(_kit: Kit, tone: Tone) -> _Samples:
    t = tone.times
    shape = sum(np.where(t >= at, decay(t - at, 0.009), 0.0) for at in (0.0, 0.011, 0.021))
    shape = shape + 0.65 * np.where(t >= 0.03, decay(t - 0.03, 0.10), 0.0)
    return _band(noise(tone.frames, 3), 850.0, 3800.0, tone.rate) * shape


def _squares(frequencies: Iterable[float], t: _Samples) -> _Samples:
    """Square waves of these frequencies, summed."""
    total = np.zeros(len(t), np.float32)
    for frequency in frequencies:
        total += np.where((frequency * t) % 1.0 < 0.5, np.float32(1.0), np.float32(-1.0))
    return total


def _metal(kit: Kit, tone: Tone, seconds: float, low: float, sizzle: float = 0.5) -> _Samples:
    """Six squares far from any harmony, as in an old drum machine, with some noise above."""
    t = tone.times
    frequencies = (1.9 * kit.metal * f for f in (205.3, 304.4, 369.6, 522.7, 540.0, 800.0))
    tones = 0.1 * _squares(frequencies, t)
    return _band(tones + sizzle * noise(tone.frames, 4), low, 15_000.0, tone.rate) * decay(t, seconds)


def _hat(kit: Kit, tone: Tone) -> _Samples:
    return _metal(kit, tone, kit.hat_s * (0.6 + 0.6 * tone.velocity), 6800.0)


def _pedal(kit: Kit, tone: Tone) -> _Samples:
    return _metal(kit, tone, kit.hat_s * 0.8, 5000.0)


def _open(kit: Kit, tone: Tone) -> _Samples:
    return _metal(kit, tone, kit.open_s, 6500.0)


def _ride(kit: Kit, tone: Tone) -> _Samples:
    t = tone.times
    ping = partials(
        [3150.0, 4420.0, 5870.0, 7310.0], [0.5, 0.35, 0.3, 0.2], [0.35, 0.3, 0.25, 0.2], tone.frames, tone.rate
    )
    wash = _metal(kit, tone, 0.55, 5200.0, 0.7)
    return 0.5 * wash + (0.25 + 0.35 * tone.velocity) * ping * decay(t, 0.4)


def _crash(_kit: Kit, tone: Tone) -> _Samples:
    t = tone.times
    tones = 0.16 * _squares((523.0, 787.0, 1153.0, 1531.0, 2111.0), t)
    return _band(tones + noise(tone.frames, 9), 3200.0, 13_000.0, tone.rate) * (
        0.6 * decay(t, 0.12) + 0.5 * decay(t, 0.75)
    )


def _rim(_kit: Kit, tone: Tone) -> _Samples:
    stick = partials(
        [1720.0, 520.0, 2650.0], [1.0, 0.5, 0.3], [0.012, 0.022, 0.006], tone.frames, tone.rate, phases=np.pi / 3
    )
    return stick + 0.3 * _band(noise(tone.frames, 6), 1200.0, 7000.0, tone.rate) * decay(tone.times, 0.006)


def _tom(low: float) -> Callable[[Kit, Tone], _Samples]:
    def tom(kit: Kit, tone: Tone) -> _Samples:
        t = tone.times
        body = swept(t, low * kit.tom, low * kit.tom * 1.7, 0.03) * decay(t, 0.22)
        return body + 0.15 * _band(noise(tone.frames, 8), 200.0, 4000.0, tone.rate) * decay(t, 0.02)

    return tom


def _skin(low: float, seconds: float, slap: float) -> Callable[[Kit, Tone], _Samples]:
    def skin(_kit: Kit, tone: Tone) -> _Samples:
        t = tone.times
        body = swept(t, low, low * 1.25, 0.02) * decay(t, seconds) + 0.3 * np.sin(2 * np.pi * low * 1.8 * t) * decay(
            t, 0.03
        )
        return body + slap * _band(noise(tone.frames, 10), 800.0, 6000.0, tone.rate) * decay(t, 0.008)

    return skin


def _shaken(low: float, high: float, seconds: float, rise: float) -> Callable[[Kit, Tone], _Samples]:
    def shaken(_kit: Kit, tone: Tone) -> _Samples:
        t = tone.times
        return _band(noise(tone.frames, 7), low, high, tone.rate) * np.minimum(1.0, t / rise) * decay(t, seconds)

    return shaken


def _struck(*rows: tuple[float, float, float]) -> Callable[[Kit, Tone], _Samples]:
    def struck(_kit: Kit, tone: Tone) -> _Samples:
        f, level, seconds = np.array(rows).T
        return partials(f, level, seconds, tone.frames, tone.rate, phases=0.5)

    return struck


_block = _struck((880.0, 1.0, 0.03), (1480.0, 0.4, 0.02))

_PIECES: Final[Mapping[int, tuple[Callable[[Kit, Tone], _Samples], float]]] = MappingProxyType(
    {
        35: (_kick, 0.0), 36: (_kick, 0.0), 37: (_rim, -0.15), 38: (_snare, 0.0), 39: (_clap, 0.05), 40: (_snare, 0.0),
        41: (_tom(74.0), -0.35), 43: (_tom(86.0), -0.25), 45: (_tom(104.0), -0.1), 47: (_tom(124.0), 0.1),
        48: (_tom(146.0), 0.2), 50: (_tom(172.0), 0.35),
        42: (_hat, 0.25), 44: (_pedal, 0.25), 46: (_open, 0.28),
        49: (_crash, -0.35), 52: (_crash, 0.3), 55: (_crash, -0.2), 57: (_crash, 0.35),
        51: (_ride, -0.35), 59: (_ride, -0.3),
        53: (_struck((2480.0, 1.0, 0.5), (4130.0, 0.6, 0.4), (6200.0, 0.4, 0.3)), -0.35),
        54: (_shaken(5200.0, 13_000.0, 0.08, 0.004), 0.35),
        56: (_struck((562.0, 1.0, 0.12), (845.0, 0.9, 0.10), (1690.0, 0.3, 0.05)), 0.2),
        60: (_skin(370.0, 0.06, 0.12), 0.3), 61: (_skin(265.0, 0.09, 0.08), 0.3),
        62: (_skin(330.0, 0.03, 0.3), -0.3), 63: (_skin(235.0, 0.12, 0.06), 0.3), 64: (_skin(170.0, 0.15, 0.05), 0.35),
        65: (_skin(410.0, 0.10, 0.15), -0.3), 66: (_skin(300.0, 0.12, 0.12), -0.3),
        67: (_struck((1150.0, 1.0, 0.12), (1740.0, 0.5, 0.1)), 0.25),
        68: (_struck((780.0, 1.0, 0.14), (1190.0, 0.5, 0.1)), 0.2),
        69: (_shaken(5000.0, 12_000.0, 0.03, 0.012), -0.4), 70: (_shaken(5500.0, 13_000.0, 0.022, 0.006), -0.4),
        73: (_shaken(2500.0, 8000.0, 0.05, 0.01), 0.2), 74: (_shaken(2500.0, 8000.0, 0.16, 0.08), 0.2),
        75: (_struck((2480.0, 1.0, 0.03), (4900.0, 0.2, 0.012)), 0.2),
        76: (_struck((1020.0, 1.0, 0.03), (1660.0, 0.4, 0.02)), 0.15),
        77: (_struck((700.0, 1.0, 0.04), (1150.0, 0.4, 0.02)), -0.15),
        80: (_struck((5200.0, 1.0, 0.04), (8100.0, 0.5, 0.03)), 0.4),
        81: (_struck((5200.0, 1.0, 0.7), (8100.0, 0.5, 0.5)), 0.4),
        82: (_shaken(4200.0, 11_500.0, 0.045, 0.018), -0.4),
    }
)  # fmt: skip
"""General MIDI percussion number → how it is made, and where it stands (−1 left to 1 right)."""

ACOUSTIC: Final = Kit(
    Kick(150.0, 0.02, 0.13, 0.5, 1.4, 5000.0, hertz=58.0), Snare(190.0, 0.08, 0.17, 0.85), 0.035, 0.28
)
BRUSH: Final = Kit(Kick(130.0, 0.02, 0.11, 0.15, 1.2, 2500.0), Snare(180.0), 0.03, 0.2, dull=10_000.0, brushes=True)
LOFI: Final = Kit(
    Kick(130.0, 0.04, 0.13, 0.12, 1.4, 2600.0), Snare(170.0, 0.06, 0.13, 0.7, (700, 4500), 5200.0), dull=8500.0
)
R808: Final = Kit(Kick(120.0, 0.05, 0.50, 0.15, 1.2), Snare(175.0, 0.09, 0.12, 0.7, (1500, 9000)), 0.025, 0.35, 1.05)
R909: Final = Kit(Kick(250.0, 0.03, 0.22, 0.5, 2.6), Snare(195.0, 0.06, 0.13, 0.9, (1000, 11_000)), 0.028, 0.22)
HOUSE: Final = Kit(Kick(190.0, 0.035, 0.17, 0.35, 1.8), Snare(190.0, 0.06, 0.12), 0.028, 0.17, dull=12_500.0)
DNB: Final = Kit(Kick(240.0, 0.025, 0.11, 0.6, 2.0), Snare(210.0, 0.08, 0.15, 0.8, (900, 9000)), 0.026, 0.15, 1.1)
ROCK: Final = Kit(
    Kick(170.0, 0.02, 0.14, 0.75, 1.9, 7000.0, hertz=60.0), Snare(185.0, 0.1, 0.22, 0.95), 0.05, 0.4, 0.95
)
LATIN: Final = Kit(Kick(130.0, 0.02, 0.12, 0.25, 1.2, 3000.0), Snare(220.0, 0.05, 0.1, 0.6), 0.03, 0.2)
CHIP: Final = Kit(
    Kick(320.0, 0.03, 0.09, 0.1, 2.5), Snare(240.0, 0.02, 0.09, 1.0, (400, 12_000)), 0.02, 0.1, crush=True
)
ORCHESTRAL: Final = Kit(
    Kick(85.0, 0.05, 0.55, 0.1, 1.6, 900.0), Snare(170.0, 0.1, 0.22, 0.9), 0.08, 0.6, 0.8, tom=0.72, dull=9000.0
)
