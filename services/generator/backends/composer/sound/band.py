"""The players: notes rendered once, in tune and matched to one loudness, and laid onto a section."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.composer.score import Note, Part
from services.generator.backends.composer.sound.cache import NOTES, TABLES
from services.generator.backends.composer.sound.drums import KICKS
from services.generator.backends.composer.sound.gate import RELEASE_END, gate
from services.generator.backends.composer.sound.instruments import Instrument
from services.generator.backends.composer.sound.pads import Pad
from services.generator.backends.composer.sound.soundfont import Player
from services.generator.backends.composer.sound.tone import Mono, Tone
from services.generator.backends.composer.sound.tuning import cents_off
from shared.k_weighting import k_response
from shared.transform import spectrum
from shared.units import Audio

_TIMBRES: Final = 6
"""Shades of velocity that are rendered; the level in between is exact."""
_STROKES: Final = 3
"""The same for drums."""
_LEVEL: Final = 0.1
"""K-weighted amplitude to which a note at full velocity is matched."""
_RING_S: Final = 2.5
_IN_TUNE_CENTS: Final = 3.0
"""A sample nearer than this is left as it is."""
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

    def __init__(
        self, clock: Clock, tonic: int, player: Player | None, check: Callable[[], None] = lambda: None
    ) -> None:
        self.clock = clock
        self.tonic = tonic
        self.player = player
        # Asked before every note: a tone that nobody has rendered yet takes up to a tenth of a second.
        self._check = check

    def play(self, part: Part, one: Instrument, into: Audio, *, wrap: bool) -> None:
        """Add a part's notes to a section ``(frames, 2)``; what rings beyond its end goes round, or is cut."""
        frames = len(into)
        for note in part.notes:
            if note.velocity <= 0.0:
                continue
            self._check()
            tone, curve = self._note(one, note)
            start = self.clock.frames(note.start)
            start = start % frames if wrap else max(0, start)
            # Channel by channel: numpy is three times as fast along frames as along pairs.
            mono = tone[:, 0] * curve if tone.shape[1] == 1 else None
            for channel in range(2):
                sound = mono if mono is not None else tone[:, channel] * curve
                _add(sound, into[:, channel], start, wrap=wrap)

    def power(self, part: Part, one: Instrument, cells: NDArray[np.float64]) -> None:
        """Add an estimate of the part's K-weighted power to ``cells``, one for each 0.1 s of a section."""
        for note in part.notes:
            if note.velocity <= 0.0:
                continue
            self._check()
            held = self._held(note)
            gain, power = self._measured(one, self._asked(one, note, held))
            count = len(power) if one.rings else max(1, round(held / self.clock.rate / CELL_S))
            power = power[: min(count, len(cells))]
            first = int(note.start * 60.0 / self.clock.bpm / CELL_S)
            cells[np.arange(first, first + len(power)) % len(cells)] += power * (gain * _loud(one, note)) ** 2

    def _note(self, one: Instrument, note: Note) -> tuple[Audio, Mono | np.float32]:
        """The tone of a note, and what makes the note of it: its gain in time, or one gain where it rings."""
        rate, held = self.clock.rate, self._held(note)
        asked = self._asked(one, note, held)
        tone = self._tone(one, asked)
        gain = np.float32(self._measured(one, asked)[0] * _loud(one, note))
        if one.rings:
            return tone, gain
        release = round(one.release_s * rate)
        frames = min(len(tone), held + round(RELEASE_END * release))
        return tone[:frames], gate(frames, held, round(one.attack_s * rate), release) * gain

    def _held(self, note: Note) -> int:
        return max(round(0.02 * self.clock.rate), self.clock.frames(note.length))

    def _asked(self, one: Instrument, note: Note, held: int) -> Tone:
        """The tone that serves this note: few shades and few lengths, so that notes share renderings."""
        rate = self.clock.rate
        if one.rings:
            tonic = self.tonic if note.pitch in KICKS and not self._sampled(one) else 0
            return Tone(note.pitch, _shade(note, _STROKES), round(_RING_S * rate), rate, tonic)
        frames = held
        if not one.fits:
            need = max(0.3, held / rate + RELEASE_END * one.release_s)
            frames = round(0.3 * 1.4 ** math.ceil(math.log(need / 0.3, 1.4) - 1e-9) * rate) + 1
        plain = isinstance(one.voice, Pad) and not self._sampled(one)
        return Tone(note.pitch, 0.5 if plain else _shade(note, _TIMBRES), frames, rate)

    def _sampled(self, one: Instrument) -> Player | None:
        return self.player if one.patch is not None else None

    def _tone(self, one: Instrument, tone: Tone) -> Audio:
        player = self._sampled(one)
        if player is None:
            if isinstance(one.voice, Pad):  # a slice of a table that is cached already
                return one.voice(tone)
            return NOTES.get((one.name, tone), lambda: one.voice(tone))
        return NOTES.get((one.name, player.font, tone), lambda: self._sampled_tone(one, player, tone))

    def _sampled_tone(self, one: Instrument, player: Player, tone: Tone) -> Audio:
        assert one.patch is not None
        off = 0.0
        if not one.rings:
            key = ("tuning", one.name, player.font, tone.pitch, tone.rate)
            off = float(TABLES.get(key, lambda: self._off(one, player, tone))[0])
        sound = player.tone(one.patch, tone, cents=-off)
        heard = np.flatnonzero((np.abs(sound[:, 0]) > 1e-5) | (np.abs(sound[:, 1]) > 1e-5))
        return sound[: int(heard[-1]) + 1] if len(heard) else sound[:64]

    def _off(self, one: Instrument, player: Player, tone: Tone) -> NDArray[np.float64]:
        """How many cents a sample is out of tune; SoundFonts differ, a chord forgives little."""
        assert one.patch is not None
        sound = player.tone(one.patch, Tone(tone.pitch, 0.6, round(1.1 * tone.rate), tone.rate))
        off = cents_off(sound[round(0.05 * tone.rate) :], tone.hertz, tone.rate)
        return np.array([off if _IN_TUNE_CENTS < abs(off) < 55.0 else 0.0])

    def _measured(self, one: Instrument, tone: Tone) -> tuple[float, NDArray[np.float64]]:
        """Gain that matches a tone to the common loudness, and its K-weighted power in each cell.

        The gain of drums is 1: their balance is the kit's.
        """
        player = self._sampled(one)
        key = ("level", one.name, player and player.font, tone)
        measured = TABLES.get(key, lambda: self._measure(one, tone))
        return float(measured[0]), measured[1:]

    def _measure(self, one: Instrument, tone: Tone) -> NDArray[np.float64]:
        rate = tone.rate
        sound = self._tone(one, tone)[: 3 * rate]
        step = round(CELL_S / 2 * rate)
        steps = 2 * max(3, -(-len(sound) // (2 * step)))
        padded = np.zeros((steps * step, sound.shape[1]), np.float32)
        padded[: len(sound)] = sound
        bins = spectrum(padded.reshape(steps, step, -1), axis=1)
        weights = k_response(step, rate) ** 2 * np.float32(2.0 / step / sound.shape[1])
        heard = np.einsum("sbc,b->s", bins.real**2 + bins.imag**2, weights, dtype=np.float64)
        loudest = float(np.convolve(heard, np.full(5, 0.2), "valid").max())
        gain = 1.0 if one.rings else _LEVEL / math.sqrt(max(loudest, 1e-10))
        return np.concatenate([[gain], heard.reshape(-1, 2).mean(axis=1)])


def _add(sound: Mono, into: Mono, start: int, *, wrap: bool) -> None:
    """Add to a channel from a frame on; what lies beyond its end goes round, or is cut."""
    while len(sound):
        piece = sound[: len(into) - start]
        into[start : start + len(piece)] += piece
        sound, start = sound[len(piece) :] if wrap else sound[:0], 0


def _shade(note: Note, shades: int) -> float:
    """The velocity in the middle of this note's shade."""
    return (max(0, min(shades - 1, int(note.velocity * shades))) + 0.5) / shades


def _loud(one: Instrument, note: Note) -> float:
    """Amplitude of a velocity."""
    return float(min(1.0, note.velocity) ** (1.3 if one.rings else 1.5))
