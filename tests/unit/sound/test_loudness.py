"""True peak against known signals, and the level of silence."""

from __future__ import annotations

import numpy as np
import pytest

from services.generator.backends.composer.sound.loudness import between_samples, integrated_loudness, true_peak_db


def test_a_peak_between_samples_is_found() -> None:
    phase = np.pi / 4
    wave = np.sin(np.pi / 2 * np.arange(4000) + phase).astype(np.float32)
    assert np.abs(wave).max() == pytest.approx(np.sqrt(0.5), abs=1e-4)
    assert true_peak_db(np.stack([wave, wave], axis=1)[:]) == pytest.approx(0.0, abs=0.6)
    assert between_samples(wave)[100:-100].max() == pytest.approx(1.0, abs=0.01)


def test_silence_is_minus_seventy() -> None:
    assert integrated_loudness(np.zeros((48_000, 2), np.float32), 48_000) == -70.0
