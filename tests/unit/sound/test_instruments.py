"""Every instrument: in tune, level, quiet at its ends, with samples and without."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from services.generator.backends.composer.score import Note
from services.generator.backends.composer.sound import INSTRUMENTS
from services.generator.backends.composer.sound.band import Band, Clock
from services.generator.backends.composer.sound.drums import KICK_RANGE, kick_hertz
from services.generator.backends.composer.sound.loudness import block_power
from services.generator.backends.composer.sound.soundfont import Player, open_player
from services.generator.backends.composer.sound.tone import hertz
from services.generator.backends.composer.sound.tuning import cents_off
from shared.units import Audio
from tests.unit.sound.scores import part

RATE = 24_000
PITCHES = {
    "bass": (31, 46), "keys": (50, 76), "pluck": (48, 69), "wind": (57, 74), "strings": (50, 72), "pad": (50, 72),
    "lead": (55, 78),
}  # fmt: skip
HIGH = ("celesta", "music-box", "kalimba", "vibraphone", "bell")
PITCHED = [name for name, one in INSTRUMENTS.items() if one.family in PITCHES]
SAMPLED = [name for name in PITCHED if INSTRUMENTS[name].patch is not None]


@lru_cache(maxsize=1)
def player() -> Player | None:
    return open_player()


def played(name: str, pitch: int, *, samples: bool = False, velocity: float = 0.75, seconds: float = 1.4) -> Audio:
    into = np.zeros((2 * RATE, 2), np.float32)
    band = Band(Clock(RATE, 60.0), 0, player() if samples else None)
    band.play(part(name, Note(0.0, seconds, pitch, velocity)), INSTRUMENTS[name], into, wrap=True)
    return into


def pitches(name: str) -> tuple[int, ...]:
    return tuple(p + 14 for p in (50, 68)) if name in HIGH else PITCHES[INSTRUMENTS[name].family]


@pytest.mark.parametrize("name", PITCHED)
def test_in_tune_and_level_across_registers(name: str) -> None:
    levels = []
    for pitch in pitches(name):
        sound = played(name, pitch)
        assert abs(cents_off(sound[RATE // 20 : RATE * 13 // 10], hertz(pitch), RATE)) <= 10.0
        levels.append(10 * np.log10(block_power(sound, RATE).max()))
    assert max(levels) - min(levels) < 4.5


@pytest.mark.parametrize("name", SAMPLED)
def test_samples_are_in_tune(name: str) -> None:
    if player() is None:
        pytest.fail("FluidSynth and a SoundFont are needed: sudo apt install libfluidsynth3 fluid-soundfont-gm")
    for pitch in pitches(name)[1:]:
        sound = played(name, pitch, samples=True)
        assert abs(cents_off(sound[RATE // 20 : RATE * 13 // 10], hertz(pitch), RATE)) <= 10.0


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_a_note_neither_clicks_nor_drifts(name: str) -> None:
    pitch = 38 if INSTRUMENTS[name].rings else pitches(name)[1] if name in PITCHED else 60
    sound = played(name, pitch)
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() > 1e-3
    assert np.abs(sound.mean(axis=0)).max() < 2e-3
    if INSTRUMENTS[name].family not in ("drums", "fx"):
        assert np.abs(sound[:3]).max() < 0.25 * np.abs(sound).max()


@pytest.mark.parametrize("name", ["piano", "epiano", "bass-synth", "lead-saw", "kit-house", "pad-warm"])
def test_velocity_is_loudness(name: str) -> None:
    pitch = 38 if INSTRUMENTS[name].rings else pitches(name)[1]
    levels = [10 * np.log10(block_power(played(name, pitch, velocity=v), RATE).max()) for v in (0.3, 0.55, 0.8, 1.0)]
    assert levels == sorted(levels)
    assert 10 < levels[-1] - levels[0] < 22


@pytest.mark.parametrize("tonic", range(12))
def test_a_kick_sounds_tonic_or_fifth(tonic: int) -> None:
    pitch = 69 + 12 * np.log2(kick_hertz(tonic) / 440.0)
    assert round(float(pitch), 6) % 12 in (tonic, (tonic + 7) % 12)
    assert KICK_RANGE[0] <= kick_hertz(tonic) <= KICK_RANGE[1]


def test_every_row_says_how_it_does_alone() -> None:
    for name, one in INSTRUMENTS.items():
        assert one.name == name
        assert (one.alone == "equal") == (one.patch is None)
