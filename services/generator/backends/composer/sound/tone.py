"""One key that is held: what a voice is asked to sound.

Conventions
-----------
A voice returns the sound of a key that is never let go, float32 ``(frames, 1)`` or ``(frames, 2)``: at most
``tone.frames`` long, less if it has died away by then. Attack times of slow sounds and the release belong to the
instrument's gate, so that one rendering serves notes of every length. Level does not matter: instruments are matched
to one loudness afterwards; velocity is there for the timbre.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.units import Audio

Mono: TypeAlias = NDArray[np.float32]
"""Samples of one channel, float32 of shape ``(frames,)``."""


@dataclass(frozen=True, slots=True)
class Tone:
    pitch: int
    """MIDI note number; of a drum, its General MIDI percussion number."""
    velocity: float
    """0 to 1."""
    frames: int
    rate: int
    tonic: int = 0
    """Pitch class that kicks and other tuned noises follow."""

    @property
    def hertz(self) -> float:
        return hertz(self.pitch)

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds of each frame."""
        return np.arange(self.frames) / self.rate


Voice: TypeAlias = Callable[[Tone], Audio]


def hertz(pitch: float) -> float:
    """Equal temperament, A4 = 440 Hz."""
    return float(440.0 * 2.0 ** ((pitch - 69.0) / 12.0))


def sine(turns: NDArray[np.floating]) -> Mono:
    """sin(2π·turns): the turns in full precision, the sine of their fractions in single."""
    part = (turns - np.floor(turns)).astype(np.float32)
    return np.asarray(np.sin(part * np.float32(2.0 * np.pi)), np.float32)


def swept(times: NDArray[np.floating], low: float, high: float, fall_s: float) -> NDArray[np.floating]:
    """A sine whose pitch falls from ``high`` to ``low`` hertz; the phase in closed form."""
    turns = low * times + (high - low) * fall_s * (1.0 - np.exp(-times / fall_s))
    return np.asarray(np.sin(2.0 * np.pi * turns))


def mono(samples: NDArray[np.floating]) -> Audio:
    """One channel as audio of shape ``(frames, 1)``."""
    return np.asarray(samples, np.float32)[:, None]


def stereo(left: NDArray[np.floating], right: NDArray[np.floating]) -> Audio:
    """Two channels as audio of shape ``(frames, 2)``."""
    audio = np.empty((len(left), 2), np.float32)
    audio[:, 0] = left
    audio[:, 1] = right
    return audio


def noise(frames: int, *seed: int) -> Mono:
    """White noise, standard deviation 1, the same for the same seed."""
    return np.random.default_rng(seed).standard_normal(frames, np.float32)
