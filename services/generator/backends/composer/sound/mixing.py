"""The desk: parts on their places, ducked by the kick, sent to room and delay. All of it linear, so stems add up.

Conventions
-----------
A section is a circle (see ``circle``); an unfolded piece is one too, so long that nothing comes round.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.composer.score import Part, Space
from services.generator.backends.composer.sound.band import Clock
from services.generator.backends.composer.sound.circle import convolved, filtered, high_pass, low_pass
from services.generator.backends.composer.sound.instruments import Family, Instrument
from services.generator.backends.composer.sound.rooms import impulse, sides
from shared.units import Audio

LEVELS_DB: Final[dict[Family, float]] = {
    "drums": -18.5,
    "bass": -17.5,
    "keys": -19.5,
    "pluck": -20.0,
    "wind": -19.0,
    "strings": -20.5,
    "pad": -22.0,
    "lead": -19.5,
    "fx": -28.0,
}
"""K-weighted level of each family's parts where they sound, before mastering."""


@dataclass(frozen=True)
class Strip:
    """One part's audio with its place on the desk."""

    part: Part
    instrument: Instrument
    audio: Audio
    """Dry, ``(frames, 2)``; used up by the mix, so that memory is not."""
    gain: float


class Desk:
    """Mixes the strips of one section."""

    def __init__(self, frames: int, space: Space, clock: Clock) -> None:
        self.space = space
        self.clock = clock
        self.frames = frames

    def mix(self, strips: Iterable[Strip], pump: NDArray[np.float32] | None) -> Audio:
        """The sum of all strips with room and delay, before mastering, ``(frames, 2)``; takes them one at a time."""
        total = np.zeros((self.frames, 2), np.float32)
        wide = np.zeros((self.frames, 1), np.float32)
        room = np.zeros((self.frames, 2), np.float32)
        delay = np.zeros((self.frames, 1), np.float32)
        for strip in strips:
            audio = self._placed(strip, pump)
            total += audio
            centre = _summed(audio) if strip.instrument.width or strip.part.delay > 0.0 else None
            if centre is not None and strip.instrument.width:
                wide += centre * np.float32(0.5 * strip.instrument.width)
            if centre is not None and strip.part.delay > 0.0:
                delay += centre * np.float32(0.5 * min(1.0, strip.part.delay))
            if strip.part.reverb > 0.0:
                audio *= np.float32(min(1.0, strip.part.reverb))
                room += audio
        if delay.any():
            echo = self._echoes(delay)
            total += echo
            room += echo * np.float32(0.3)
        if room.any():
            name, seconds = self.space.reverb, self.space.reverb_s
            total += convolved(room, impulse(name, seconds, self.clock.rate), (name, seconds, self.clock.rate))
        if wide.any():
            self._widen(total, wide)
        return total

    def _widen(self, total: Audio, wide: Audio) -> None:
        """Add to the left, and take from the right, a short blur of what was born in one channel."""
        side = convolved(wide, sides(self.clock.rate), ("sides", self.clock.rate))[:, 0]
        total[:, 0] += side
        total[:, 1] -= side

    def pump(self, kicks: Sequence[tuple[float, float]]) -> NDArray[np.float32] | None:
        """How much the kicks ``(quarter, velocity)`` duck at each frame, 0 to 1; none without kicks."""
        if not kicks:
            return None
        frames, rate = self.frames, self.clock.rate
        quarter = 60.0 / self.clock.bpm
        rise, hold, fall = round(0.004 * rate), round(0.03 * rate), min(0.26, 0.55 * quarter)
        shape = np.concatenate(
            [
                np.sin(np.linspace(0.0, np.pi / 2, rise)) ** 2,
                np.ones(hold),
                0.5 + 0.5 * np.cos(np.linspace(0.0, np.pi, round(fall * rate))),
            ]
        ).astype(np.float32)
        curve = np.zeros(frames, np.float32)
        for start, velocity in kicks:
            at = (np.arange(len(shape)) + self.clock.frames(start) - rise) % frames
            curve[at] = np.maximum(curve[at], shape * np.float32(min(1.0, 0.4 + velocity)))
        return np.minimum(curve, 1.0)

    def _placed(self, strip: Strip, pump: NDArray[np.float32] | None) -> Audio:
        pan = min(1.0, max(-1.0, strip.part.pan))
        gains = strip.gain * np.sqrt(1.0 - max(0.0, pan)), strip.gain * np.sqrt(1.0 + min(0.0, pan))
        ducked = strip.part.sidechain > 0.0
        curve = 1.0 - np.float32(min(1.0, strip.part.sidechain)) * pump if pump is not None and ducked else None
        audio = strip.audio
        for channel, gain in enumerate(gains):
            audio[:, channel] *= np.float32(gain) if curve is None else np.float32(gain) * curve
        if strip.instrument.family == "bass":
            audio[:] = _summed(audio) * np.float32(0.5)
        return audio

    def _echoes(self, send: Audio) -> Audio:
        """Repeats that swing from side to side, each duller than what was sent."""
        once = filtered(send, self.clock.rate, lambda hertz: high_pass(hertz, 260.0, 1) * low_pass(hertz, 4200.0, 1))[
            :, 0
        ]
        step = max(1, self.clock.frames(max(0.05, self.space.delay_quarters)))
        feedback = min(0.85, max(0.0, self.space.delay_feedback))
        # Every second repeat, from the first on; each turn of the loop adds as many again as there are.
        odd = np.roll(once, step) * np.float32(0.8)
        between, level = 2 * step, feedback**2
        while level > 0.004:
            odd += np.roll(odd, between) * np.float32(level)
            between, level = 2 * between, level**2
        even = np.roll(odd, step) * np.float32(feedback)
        return np.stack([odd + np.float32(0.3) * even, even + np.float32(0.3) * odd], axis=1)


def _summed(audio: Audio) -> Audio:
    return np.asarray(audio[:, :1] + audio[:, 1:], np.float32)
