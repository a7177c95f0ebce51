"""The players: notes rendered once, matched to one loudness, and laid onto a section."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.composer.score import Note, Part
from services.generator.backends.composer.sound.cache import NOTES, TABLES
from services.generator.backends.composer.sound.gate import RELEASE_END, gate
from services.generator.backends.composer.sound.instruments import Instrument
from services.generator.backends.composer.sound.loudness import k_weighting
from services.generator.backends.composer.sound.soundfont import Player
from services.generator.backends.composer.sound.tone import Tone
from shared.units import Audio

_TIMBRES = 6
"""Shades of velocity that are rendered; the level in between is exact."""
_ANCHOR = 5
"""Semitones between the pitches at which an instrument's loudness is measured."""
_LEVEL = 0.1
"""K-weighted amplitude to which a note at full velocity is matched."""
_RING_S: Final = 2.5
CELL_S: Final = 0.1
"""Step of the power estimate."""


@dataclass(frozen=True)
class Clock:
    """Where a quarter note lies: the section's first frame is quarter 0."""

    rate: int
    bpm: float

    def frames(self, quarters: float) -> int:
        return round(quarters * 60.0 / self.bpm * self.rate)


class Band:
    """Plays notes of any instrument at one rate, kicks in one key. Without a ``player`` all sound is synthesised."""

    def __init__(self, clock: Clock, tonic: int, player: Player | None) -> None:
        self.clock = clock
        self.tonic = tonic
        self.player = player

    def play(self, part: Part, one: Instrument, into: Audio, *, wrap: bool) -> None:
        """Add a part's notes to a section ``(frames, 2)``; what rings beyond its end goes round, or is cut."""
        frames = len(into)
        for note in part.notes:
            if note.velocity <= 0.0:
                continue
            sound = self._note(one, note)
            start = self.clock.frames(note.start)
            if not wrap:
                start = max(0, start)
                sound = sound[: max(0, frames - start)]
                into[start : start + len(sound)] += sound
                continue
            start %= frames
            while len(sound):
                piece = sound[: frames - start]
                into[start : start + len(piece)] += piece
                sound, start = sound[len(piece) :], 0

    def power(self, part: Part, one: Instrument, cells: NDArray[np.float64]) -> None:
        """Add an estimate of the part's K-weighted power to ``cells``, one for each 0.1 s of a section."""
        memo: dict[tuple[int, int, int], float] = {}
        for note in part.notes:
            held = self._held(note)
            key = (note.pitch, _shade(note.velocity), self._class(one, held))
            if key not in memo:
                tone = self._tone(one, *key)
                _, weight = self._match(one, note.pitch)
                memo[key] = float(np.square(tone).sum()) / tone.shape[1] * weight / len(tone)
            seconds = key[2] / self.clock.rate if one.rings else held / self.clock.rate
            gain = self._gain(one, note)
            first = int(note.start * 60.0 / self.clock.bpm / CELL_S)
            count = max(1, round(min(seconds, 20.0) / CELL_S))
            spread = memo[key] * gain * gain
            if one.rings or count == 1:
                count = max(1, min(count, 4))
                spread *= key[2] / self.clock.rate / (count * CELL_S)
            cells[np.arange(first, first + count) % len(cells)] += spread

    def _note(self, one: Instrument, note: Note) -> Audio:
        rate, held = self.clock.rate, self._held(note)
        tone = self._tone(one, note.pitch, _shade(note.velocity), self._class(one, held))
        gain = np.float32(self._gain(one, note))
        if one.rings:
            return np.asarray(tone * gain, np.float32)
        release = round(one.release_s * rate)
        frames = min(len(tone), held + round(RELEASE_END * release))
        curve = gate(frames, held, round(one.attack_s * rate), release) * gain
        return tone[:frames] * curve[:, None]

    def _held(self, note: Note) -> int:
        return max(round(0.02 * self.clock.rate), self.clock.frames(note.length))

    def _class(self, one: Instrument, held: int) -> int:
        """Frames of the tone that serves a note of this length: few lengths, so that notes share renderings."""
        rate = self.clock.rate
        if one.rings:
            return round(_RING_S * rate)
        if one.fits:
            return held
        need = held / rate + RELEASE_END * one.release_s
        return round(0.3 * 1.4 ** math.ceil(math.log(max(need, 0.3) / 0.3, 1.4) - 1e-9) * rate) + 1

    def _tone(self, one: Instrument, pitch: int, shade: int, frames: int) -> Audio:
        sampled = self.player is not None and one.patch is not None
        tonic = self.tonic if one.rings else 0
        key = (one.name, sampled and self.player and self.player.font, pitch, shade, frames, self.clock.rate, tonic)
        return NOTES.get(
            key, lambda: self._sound(one, Tone(pitch, (shade + 0.5) / _TIMBRES, frames, self.clock.rate, tonic))
        )

    def _sound(self, one: Instrument, tone: Tone) -> Audio:
        if self.player is None or one.patch is None:
            return one.voice(tone)
        sound = self.player.tone(one.patch, tone)
        heard = np.flatnonzero(np.abs(sound).max(axis=1) > 1e-5)
        return sound[: int(heard[-1]) + 1] if len(heard) else sound[:64]

    def _gain(self, one: Instrument, note: Note) -> float:
        exponent = 1.3 if one.rings else 1.5
        return self._match(one, note.pitch)[0] * float(min(1.0, note.velocity) ** exponent)

    def _match(self, one: Instrument, pitch: int) -> tuple[float, float]:
        """Gain that matches a note's loudness, and K-weighted over plain power, interpolated between anchors."""
        if one.rings:
            return 1.0, float(self._measured(one, pitch)[1])
        step = 1 if one.sustains else _ANCHOR
        low = pitch // step * step
        gain, weight = self._measured(one, low)
        if low != pitch:
            part = (pitch - low) / step
            above = self._measured(one, low + step)
            gain, weight = gain ** (1.0 - part) * above[0] ** part, weight ** (1.0 - part) * above[1] ** part
        return float(gain), float(weight)

    def _measured(self, one: Instrument, pitch: int) -> NDArray[np.float64]:
        rate = self.clock.rate
        sampled = self.player is not None and one.patch is not None
        key = ("match", one.name, sampled and self.player and self.player.font, pitch, rate)
        return TABLES.get(key, lambda: self._measure(one, pitch))

    def _measure(self, one: Instrument, pitch: int) -> NDArray[np.float64]:
        rate = self.clock.rate
        frames = round((_RING_S if one.rings else 0.8) * rate)
        sound = self._sound(one, Tone(pitch, 0.75, frames, rate, self.tonic))[: round(0.8 * rate)]
        step = round(0.05 * rate)
        steps = max(5, -(-len(sound) // step))
        padded = np.zeros((steps * step, sound.shape[1]), np.float32)
        padded[: len(sound)] = sound
        bins = np.abs(np.fft.rfft(padded.reshape(steps, step, -1), axis=1)) ** 2 * (2.0 / step / step)
        plain = bins.sum(axis=1).mean(axis=1)
        heard = np.einsum("sbc,b->s", bins, k_weighting(step, rate) ** 2) / sound.shape[1]
        loudest = float(np.convolve(heard, np.full(5, 0.2), "valid").max())
        weight = float(heard.sum() / max(float(plain.sum()), 1e-12))
        return np.array([_LEVEL / math.sqrt(max(loudest, 1e-10)), max(weight, 1e-3)])


def _shade(velocity: float) -> int:
    return max(0, min(_TIMBRES - 1, int(velocity * _TIMBRES)))
