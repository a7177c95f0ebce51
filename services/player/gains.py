"""Gains that move: volume, pause, stop and the sleep timer, each a ramp of its own, exact to the frame.

A ramp's value depends on how many frames have passed since it began, never on how those frames were cut into blocks.
"""

from __future__ import annotations

import numpy as np

from shared.units import STATION_RATE, Audio

PAUSE_FRAMES = STATION_RATE // 50
"""A pause and the return from it: 20 ms."""
STOP_FRAMES = 2 * STATION_RATE
"""``stop`` fades out, and the station fades in, over 2 s."""
VOLUME_FRAMES = STATION_RATE * 3 // 100
"""A new volume is reached in 30 ms."""
SLEEP_FRAMES = 30 * STATION_RATE
"""The last of the sleep timer: the fade to silence."""
_LONGEST = 4_096


def volume_gain(volume: int) -> float:
    """The amplitude for a volume of 0–100: its cube, near equal steps of loudness, as PulseAudio's slider has it."""
    return (volume / 100.0) ** 3


class Ramp:
    """A gain that stays where it is or moves to a target along ``t²(3 − 2t)``."""

    def __init__(self, gain: float) -> None:
        self._from = self._to = gain
        self._at = self._length = 0
        self._steps = np.arange(1, _LONGEST + 1, dtype=np.float64)
        self._way = np.empty(_LONGEST)
        self._turn = np.empty(_LONGEST)
        self._gains = np.empty((_LONGEST, 1), np.float32)

    @property
    def target(self) -> float:
        return self._to

    @property
    def left(self) -> int:
        """Frames until the target is reached."""
        return self._length - self._at

    @property
    def gain(self) -> float:
        """The gain of the frame before this one."""
        if self._at >= self._length:
            return self._to
        t = self._at / self._length
        return self._from + (self._to - self._from) * (t * t * (3.0 - 2.0 * t))

    def to(self, target: float, frames: int) -> None:
        """Move to ``target`` within ``frames``, from wherever the ramp is now."""
        self._from, self._to = self.gain, target
        self._at, self._length = 0, frames if target != self._from else 0

    def apply(self, out: Audio) -> None:
        """Multiply ``out`` [shape=(n, channels)] by the next ``n`` gains."""
        done = 0
        while done < len(out):
            if self._at >= self._length:
                if self._to == 0.0:
                    out[done:] = 0.0
                elif self._to != 1.0:
                    np.multiply(out[done:], np.float32(self._to), out=out[done:])
                return
            count = min(len(out) - done, self._length - self._at, _LONGEST)
            way, turn, gain = self._way[:count], self._turn[:count], self._gains[:count]
            np.add(self._steps[:count], self._at, out=way)
            np.multiply(way, 1.0 / self._length, out=way)
            np.multiply(way, -2.0, out=turn)
            np.add(turn, 3.0, out=turn)
            np.multiply(turn, way, out=turn)
            np.multiply(turn, way, out=turn)
            np.multiply(turn, self._to - self._from, out=turn)
            np.add(turn, self._from, out=turn)
            np.copyto(gain[:, 0], turn, casting="same_kind")
            np.multiply(out[done : done + count], gain, out=out[done : done + count])
            self._at += count
            done += count
