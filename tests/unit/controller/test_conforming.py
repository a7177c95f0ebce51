"""Whole tempi: a loop is stretched by a hair to the sample, and keeps its pitch, its beats and its seam."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.controller.cli.conforming import conform, conformed
from shared.errors import UsageError
from shared.units import STATION_RATE, Audio
from tests.unit.player.material import noise

PASS = 2 * STATION_RATE


@given(st.floats(40, 220), st.integers(1, 16), st.sampled_from([2, 3, 3.5, 4, 6]))
@settings(max_examples=60, deadline=None)
def test_the_length_is_that_of_a_whole_tempo_to_the_sample(bpm: float, bars: int, quarters: float) -> None:
    frames = round(bars * quarters * 60 / bpm * STATION_RATE)
    told = conformed(frames, STATION_RATE, bpm)
    assert abs(told.bpm - bpm) <= 0.5 + 1e-3
    assert abs(told.frames - bars * quarters * 60 / told.bpm * STATION_RATE) <= 0.5


def test_a_loop_without_a_tempo_conforms_to_none() -> None:
    with pytest.raises(UsageError, match="no clear tempo"):
        conformed(96_000, STATION_RATE, None)


def test_a_loop_at_a_whole_tempo_stays_as_it_is() -> None:
    one = noise(PASS)
    told = conformed(PASS, STATION_RATE, 120.02)
    assert (told.bpm, told.frames) == (120, PASS)
    assert conform(one, told.frames) is one


@pytest.mark.parametrize("ratio", [1.0012, 0.992])
def test_a_conformed_loop_keeps_its_pitch_its_beats_and_its_seam(ratio: float) -> None:
    """A chord that fits the loop, with a click a moment after each beat: none of them hides the seam."""
    frames, beats, late = 8 * STATION_RATE // 2, 8, 4_000
    at = np.arange(frames) / STATION_RATE
    tones = [220.0, 277.25, 329.75, 1_318.5, 2_637.0]  # whole periods in the loop
    tune = sum(0.1 * np.sin(2 * np.pi * tone * at) for tone in tones)
    clicks = np.zeros(frames)
    decay = np.exp(-np.arange(2_400) / 300)
    for beat in range(beats):
        struck = beat * frames // beats + late
        clicks[struck : struck + 2_400] += 0.4 * decay * np.random.default_rng(1).normal(0, 1, 2_400)
    one = np.repeat((tune + 0.3 * clicks)[:, None], 2, axis=1).astype(np.float32)
    wanted = round(frames * ratio)
    made = conform(one, wanted)
    assert made.shape == (wanted, 2)
    around = np.concatenate([made[-2_400:], made[:2_400]])[:, 0]
    assert np.abs(np.diff(around)).max() <= np.abs(np.diff(tune)).max() * 1.2
    hertz = np.fft.rfftfreq(1 << 18, 1 / STATION_RATE)
    for beat in range(beats - 1):  # an attack may begin the phases anew, so each beat by itself
        begin = round(beat * wanted / beats) + 7_000
        heard = made[begin : begin + 15_000, 0]
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)), 1 << 18))
        for tone in tones:
            near = np.abs(hertz - tone) < 6
            found = hertz[near][spectrum[near].argmax()]
            assert abs(1_200 * np.log2(found / tone)) < 4.0
    for beat in range(beats):
        place = beat * frames // beats + late
        stretched, struck = attack(made, round(place * wanted / frames)), attack(one, place)
        off = int(np.correlate(stretched, struck, "full").argmax()) - (len(struck) - 1)
        assert abs(off) < 480  # within 10 ms


def attack(audio: Audio, place: int) -> Audio:
    """The energy of what is not the chord, 40 ms around a place of a loop."""
    around = np.take(audio[:, 0], np.arange(place - 1_920, place + 1_920), mode="wrap").astype(np.float64)
    return np.convolve(np.diff(around, 3) ** 2, np.ones(96), "valid")  # type: ignore[return-value]
