"""A move is gentle, neutral at both ends, and never louder than what it is made of."""

from __future__ import annotations

import numpy as np
import pytest

from services.player.form import Move
from services.player.moves import move_audio
from shared.units import STATION_RATE, Audio
from tests.unit.player.material import noise

MOVES: tuple[Move, ...] = ("bass-out", "sweep", "echo")
BEAT = STATION_RATE // 4
BODY, TAIL = 8 * BEAT, 2 * BEAT


def _music() -> Audio:
    """A bass tone, a bright tone and some noise."""
    at = np.arange(BODY + TAIL)[:, None] / STATION_RATE
    tones = 0.3 * np.sin(2 * np.pi * 55 * at) + 0.2 * np.sin(2 * np.pi * 5_000 * at)
    return (tones + noise(BODY + TAIL, 3)).astype(np.float32)


def _band(audio: Audio, low: float, high: float) -> float:
    spectrum = np.abs(np.fft.rfft(audio[:, 0] * np.hanning(len(audio)))) ** 2
    frequencies = np.fft.rfftfreq(len(audio), 1 / STATION_RATE)
    return float(10 * np.log10(spectrum[(frequencies >= low) & (frequencies < high)].sum() + 1e-20))


@pytest.mark.parametrize("move", MOVES)
def test_it_begins_and_ends_neutral_and_leaves_what_follows_alone(move: Move) -> None:
    audio = _music()
    moved = move_audio(move, audio[:BODY], audio[BODY:], BEAT)
    assert moved.dtype == np.float32
    assert np.array_equal(moved[BODY:], audio[BODY:])
    assert np.abs(moved[:5] - audio[:5]).max() < 1e-4
    assert np.abs(moved[BODY - 5 : BODY] - audio[BODY - 5 : BODY]).max() < 2e-3
    assert np.abs(moved[:BODY] - audio[:BODY]).max() > 0.05


@pytest.mark.parametrize("move", MOVES)
def test_it_is_never_louder_than_the_loudest_it_was_made_of(move: Move) -> None:
    audio = 0.89 * np.sign(_music())  # what is as square as this rings where it is filtered
    assert np.abs(move_audio(move, audio[:BODY], audio[BODY:], BEAT)).max() <= np.abs(audio).max() + 1e-4


@pytest.mark.parametrize("move", MOVES)
def test_it_adds_no_click(move: Move) -> None:
    at = np.arange(BODY + TAIL)[:, None] / STATION_RATE
    tone = np.repeat(0.5 * np.sin(2 * np.pi * 220 * at), 2, axis=1).astype(np.float32)
    moved = move_audio(move, tone[:BODY], tone[BODY:], BEAT)
    assert np.abs(np.diff(moved, n=2, axis=0)).max() < 5e-3


def test_bass_out_takes_the_bass_and_nothing_else() -> None:
    audio = _music()
    middle = slice(2 * BEAT, 6 * BEAT)
    moved = move_audio("bass-out", audio[:BODY], audio[BODY:], BEAT)
    assert _band(moved[middle], 40, 80) < _band(audio[middle], 40, 80) - 40
    assert abs(_band(moved[middle], 400, 20_000) - _band(audio[middle], 400, 20_000)) < 0.1


def test_a_sweep_darkens_the_middle() -> None:
    audio = _music()
    middle = slice(3 * BEAT, 5 * BEAT)
    moved = move_audio("sweep", audio[:BODY], audio[BODY:], BEAT)
    assert _band(moved[middle], 4_500, 6_000) < _band(audio[middle], 4_500, 6_000) - 20
    assert abs(_band(moved[middle], 40, 80) - _band(audio[middle], 40, 80)) < 0.5


def test_the_same_move_twice_is_the_same_sound() -> None:
    audio = _music()
    for move in MOVES:
        first = move_audio(move, audio[:BODY], audio[BODY:], BEAT)
        assert np.array_equal(first, move_audio(move, audio[:BODY].copy(), audio[BODY:].copy(), BEAT))
