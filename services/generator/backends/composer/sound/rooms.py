"""Impulse responses: rooms made of noise that decays faster the higher it is, after a few early echoes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.composer.sound.cache import TABLES
from services.generator.backends.composer.sound.circle import high_pass, low_pass
from shared.units import Audio


@dataclass(frozen=True)
class Room:
    seconds: float
    """Usual time to −60 dB at 1 kHz."""
    delay_s: float
    """Before the first echo."""
    early: float
    """Strength of the early echoes."""
    highs: float
    """Decay above 4 kHz against that at 1 kHz."""
    lows: float
    spread_s: float
    """Time in which the tail builds up."""


ROOMS: Final[dict[str, Room]] = {
    "room": Room(0.7, 0.006, 0.9, 0.55, 0.9, 0.006),
    "studio": Room(0.4, 0.004, 1.1, 0.6, 0.8, 0.004),
    "club": Room(0.9, 0.010, 0.9, 0.4, 1.0, 0.010),
    "plate": Room(1.6, 0.002, 0.2, 0.8, 0.8, 0.003),
    "chamber": Room(1.3, 0.012, 0.7, 0.6, 0.9, 0.012),
    "hall": Room(2.2, 0.020, 0.5, 0.45, 1.05, 0.025),
    "cathedral": Room(4.5, 0.035, 0.25, 0.35, 1.2, 0.060),
    "spring": Room(1.2, 0.020, 0.4, 0.4, 0.6, 0.030),
}
_RETURN: Final = 0.9
_BANDS: Final = (150.0, 500.0, 1500.0, 4000.0, 11_000.0)


def impulse(name: str, seconds: float, rate: int) -> Audio:
    """The response of a named room (unknown: "room") with this decay, ``(frames, 2)``, without rumble or glare."""
    room = ROOMS.get(name, ROOMS["room"])
    decay_s = min(8.0, max(0.15, seconds or room.seconds))
    return TABLES.get(("room", name, round(decay_s, 3), rate), lambda: _impulse(room, decay_s, rate))


def sides(rate: int) -> Audio:
    """A short response that turns a mono sound into a side signal, ``(frames, 1)``: 4 to 28 ms of thinning noise.

    Added to one channel and taken from the other it is wide, and vanishes in mono.
    """
    return TABLES.get(("sides", rate), lambda: _sides(rate))


def _impulse(room: Room, seconds: float, rate: int) -> NDArray[np.float32]:
    frames = round((room.delay_s + seconds * max(1.0, room.lows)) * rate)
    length = 1 << (frames - 1).bit_length()
    hertz = np.asarray(np.fft.rfftfreq(length, 1.0 / rate), np.float64)
    octave = np.log2(np.maximum(hertz, 20.0))
    centres = np.log2(np.array(_BANDS))
    times = np.arange(frames) / rate
    response = np.zeros((frames, 2))
    relative = np.interp(
        centres, np.log2([150.0, 1000.0, 4000.0, 11_000.0]), [room.lows, 1.0, (1 + room.highs) / 2, room.highs]
    )
    rise = np.clip((times - room.delay_s) / room.spread_s, 0.0, 1.0)
    for channel in range(2):
        raw = np.fft.rfft(np.random.default_rng((71, channel)).standard_normal(length))
        for band, centre in enumerate(centres):
            left = centres[band - 1] if band else centre - 1.0
            right = centres[band + 1] if band + 1 < len(centres) else centre + 0.7
            share = np.interp(octave, [left, centre, right], [0.0, 1.0, 0.0])
            tail = np.fft.irfft(raw * share, length)[:frames]
            response[:, channel] += tail * np.exp(-6.91 * times / (seconds * relative[band])) * rise
    response /= np.sqrt((response**2).sum(axis=0))
    for at, level in ((0.0053, 0.5), (0.0091, 0.42), (0.0139, 0.36), (0.0197, 0.3), (0.0271, 0.24)):
        for channel, stretch in enumerate((1.0, 1.13)):
            frame = round((room.delay_s + at * stretch) * rate)
            if frame < frames:
                response[frame, channel] += level * room.early * 0.5 * (1 if round(at * 1e4) % 2 else -1)
    response *= _RETURN / np.sqrt((response**2).sum(axis=0))
    shape = high_pass(hertz, 170.0) * low_pass(hertz, 9000.0, 1)
    response = np.fft.irfft(np.fft.rfft(response, length, axis=0) * shape[:, None], length, axis=0)[:frames]
    fade = min(frames, rate // 20)
    response[frames - fade :] *= np.linspace(1.0, 0.0, fade)[:, None]
    return np.asarray(response, np.float32)


def _sides(rate: int) -> NDArray[np.float32]:
    frames = round(0.028 * rate)
    times = np.arange(frames) / rate
    rng = np.random.default_rng(73)
    raw = rng.standard_normal(frames) * np.exp(-times / 0.010) * np.clip((times - 0.004) / 0.002, 0.0, 1.0)
    length = 1 << 12
    shape = high_pass(np.asarray(np.fft.rfftfreq(length, 1.0 / rate), np.float64), 260.0)
    raw = np.fft.irfft(np.fft.rfft(raw / np.sqrt((raw**2).sum()), length) * shape, length)
    return np.asarray(raw[: 2 * frames], np.float32)[:, None]
