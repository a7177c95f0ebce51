"""Loudness and true peak against other implementations and against known signals."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest

from services.generator.backends.composer.sound.loudness import between_samples, integrated_loudness, true_peak_db
from shared.units import Audio


def _signals() -> list[Audio]:
    rng = np.random.default_rng(3)
    t = np.arange(48_000 * 5) / 48_000
    noise = rng.standard_normal((len(t), 2)).astype(np.float32) * 0.1
    tone = np.stack([0.4 * np.sin(2 * np.pi * 997 * t), 0.1 * np.sin(2 * np.pi * 60 * t)], axis=1).astype(np.float32)
    bursts = noise * (np.sin(2 * np.pi * 0.7 * t) > 0.6)[:, None] + noise * np.float32(0.01)
    return [noise, tone, bursts.astype(np.float32)]


@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize("signal", [0, 1, 2])
def test_agrees_with_the_reference(signal: int, rate: int) -> None:
    audio = _signals()[signal]
    theirs = pyloudnorm.Meter(rate).integrated_loudness(audio.astype(float))
    assert integrated_loudness(audio, rate) == pytest.approx(theirs, abs=0.1)


def test_a_peak_between_samples_is_found() -> None:
    phase = np.pi / 4
    wave = np.sin(np.pi / 2 * np.arange(4000) + phase).astype(np.float32)
    assert np.abs(wave).max() == pytest.approx(np.sqrt(0.5), abs=1e-4)
    assert true_peak_db(np.stack([wave, wave], axis=1)[:]) == pytest.approx(0.0, abs=0.6)
    assert between_samples(wave)[100:-100].max() == pytest.approx(1.0, abs=0.01)


def test_silence_is_minus_seventy() -> None:
    assert integrated_loudness(np.zeros((48_000, 2), np.float32), 48_000) == -70.0
