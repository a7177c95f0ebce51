"""Oscillators without aliasing: wave tables low-passed at a dozen cutoffs, read across for a sweeping filter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.composer.sound.cache import NOTES
from services.generator.backends.composer.sound.tone import Mono, hertz

_SIZE = 2048
_CUTOFFS: Final = np.geomspace(80.0, 17_000.0, 14)
_SPAN = float(np.log(_CUTOFFS[-1] / _CUTOFFS[0]))

_Amplitudes = Callable[[NDArray[np.float64], float], NDArray[np.float64]]


def _formants(h: NDArray[np.float64], f0: float, *peaks: tuple[float, float, float]) -> NDArray[np.float64]:
    """A spectrum of 1/h under resonances ``(hertz, width, gain)``: how a body colours a reed or a bow."""
    f = h * f0
    body = 0.12 + sum(gain * np.exp(-(((f - centre) / width) ** 2)) for centre, width, gain in peaks)
    return np.asarray(body / h**0.8)


WAVES: Final[Mapping[str, _Amplitudes]] = MappingProxyType(
    {
        "saw": lambda h, _: 1.0 / h,
        "square": lambda h, _: np.where(h % 2 == 1, 1.0 / h, 0.0),
        "triangle": lambda h, _: np.where(h % 2 == 1, 1.0 / h**2, 0.0),
        "pulse": lambda h, _: np.abs(np.sin(np.pi * h * 0.25)) / h * 1.3,
        "narrow": lambda h, _: np.abs(np.sin(np.pi * h * 0.125)) / h * 1.6,
        "drawbars": lambda h, _: np.select(
            [h == 1, h == 2, h == 3, h == 4, h == 6, h == 8], [1.0, 0.8, 0.6, 0.35, 0.2, 0.15], 0.0
        ),
        "reed": lambda h, f: np.where(h % 2 == 1, 1.0, 0.25) * _formants(h, f, (1500, 700, 0.8), (3000, 900, 0.3)),
        "double-reed": lambda h, f: _formants(h, f, (1100, 420, 1.3), (2900, 600, 0.6)),
        "sax": lambda h, f: _formants(h, f, (600, 350, 1.0), (1400, 600, 0.9), (2600, 700, 0.35)),
        "brass": lambda h, f: _formants(h, f, (700, 500, 1.0), (1500, 700, 0.8), (2400, 900, 0.4)),
        "horn": lambda h, f: _formants(h, f, (350, 260, 1.2), (800, 400, 0.5)) / h**0.35,
        "muted": lambda h, f: _formants(h, f, (1800, 500, 1.3), (3400, 800, 0.5)),
        "accordion": lambda h, f: _formants(h, f, (900, 600, 0.8), (2200, 900, 0.5)),
        "bowed": lambda h, f: _formants(h, f, (480, 220, 0.7), (1000, 350, 0.6), (2700, 900, 0.5)),
        "cello": lambda h, f: _formants(h, f, (240, 120, 0.9), (520, 220, 0.6), (1500, 600, 0.35)),
    }
)
"""Amplitudes of the harmonics ``h`` of a note of ``f0`` hertz, by name."""


def oscillator(
    wave: str,
    pitch: int,
    frames: int,
    rate: int,
    cutoff: float | NDArray[np.floating] = 9000.0,
    *,
    cents: float = 0.0,
    phase: float = 0.0,
    resonance: float = 0.0,
    bend: NDArray[np.floating] | None = None,
) -> Mono:
    """A wave of this pitch through a low-pass whose cutoff (hertz) may move; ``bend`` is a pitch curve in cents."""
    table = NOTES.get(("wave", wave, pitch, resonance, rate), lambda: _tables(wave, pitch, resonance, rate))
    step = hertz(pitch + cents / 100.0) / rate
    if bend is None:
        turns = phase + step * np.arange(frames)
    else:
        turns = phase + np.cumsum(step * np.exp2(np.asarray(bend, float) / 1200.0))
    turns -= np.floor(turns)
    position = np.minimum((turns * _SIZE).astype(np.float32), np.float32(_SIZE - 1e-3))
    before = np.floor(position)
    part = position - before
    index = before.astype(np.intp)
    if np.ndim(cutoff) == 0:
        row = float(np.clip(np.log(float(cutoff) / _CUTOFFS[0]) / _SPAN, 0.0, 1.0)) * (len(_CUTOFFS) - 1.001)
        whole = int(row)
        one = table[whole] + (table[whole + 1] - table[whole]) * np.float32(row - whole)
        return np.asarray(one[index] + (one[index + 1] - one[index]) * part, np.float32)
    rows = np.log(np.maximum(cutoff, _CUTOFFS[0]).astype(np.float32) * np.float32(1.0 / _CUTOFFS[0]))
    rows = np.minimum(rows * np.float32((len(_CUTOFFS) - 1.001) / _SPAN), np.float32(len(_CUTOFFS) - 1.001))
    below = np.floor(rows)
    flat = table.ravel()
    index += below.astype(np.intp) * (_SIZE + 1)
    low = flat[index] + (flat[index + 1] - flat[index]) * part
    index += _SIZE + 1
    high = flat[index] + (flat[index + 1] - flat[index]) * part
    return np.asarray(low + (high - low) * (rows - below), np.float32)


def _tables(wave: str, pitch: int, resonance: float, rate: int) -> NDArray[np.float32]:
    f0 = hertz(pitch)
    count = max(1, min(_SIZE // 2 - 1, int(min(17_000.0, 0.45 * rate) / f0)))
    h = np.arange(1.0, count + 1)
    amplitude = WAVES[wave](h, f0)
    table = np.zeros((len(_CUTOFFS), _SIZE + 1), np.float32)
    for row, cutoff in enumerate(_CUTOFFS):
        x = h * f0 / cutoff
        gain = (1.0 + resonance * np.exp(-9.0 * np.log2(x) ** 2)) / np.sqrt(1.0 + x**4.6)
        spectrum = np.zeros(_SIZE // 2 + 1, complex)
        spectrum[1 : count + 1] = -1j * amplitude * gain * (_SIZE / 2)
        table[row, :_SIZE] = np.fft.irfft(spectrum, _SIZE)
    table[:, _SIZE] = table[:, 0]
    return table


def falling(frames: int, rate: int, start: float, end: float, seconds: float) -> Mono:
    """From ``start`` towards ``end``, 1/e of the way left after ``seconds``: a filter's envelope."""
    times = np.arange(frames, dtype=np.float32) * np.float32(1.0 / rate)
    return np.asarray(end + (start - end) * np.exp(times * np.float32(-1.0 / seconds)), np.float32)


def vibrato(frames: int, rate: int, cents: float, speed: float = 5.2, delay_s: float = 0.5) -> Mono:
    """A pitch curve in cents that begins steady and sways after ``delay_s``."""
    times = np.arange(frames, dtype=np.float32) * np.float32(1.0 / rate)
    depth = np.clip(times / np.float32(delay_s) - 0.5, 0.0, 1.0) * np.float32(cents)
    return np.asarray(depth * np.sin(np.float32(2.0 * np.pi * speed) * times), np.float32)
