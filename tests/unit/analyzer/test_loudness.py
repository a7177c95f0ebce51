"""Loudness and true peak of known signals, and the limiter's promises."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from services.analyzer import loudness
from tests.unit.analyzer.music import groove

RATE = 48_000


def test_a_full_scale_sine_has_its_known_loudness() -> None:
    tone = np.sin(2 * np.pi * 997 * np.arange(4 * RATE) / RATE).astype(np.float32)[:, None]
    assert loudness.integrated(loudness.power_curve(tone, RATE), RATE) == pytest.approx(-3.01, abs=0.05)


def test_true_peak_sees_between_the_samples() -> None:
    # A quarter of the sampling rate, sampled 45° off its crests: samples at 0.707, crests at 1.
    tone = np.sin(2 * np.pi * 0.25 * np.arange(RATE) + np.pi / 4).astype(np.float32)[:, None]
    assert loudness.decibels(loudness.true_peak(tone)) == pytest.approx(0.0, abs=0.2)


def test_limiter_holds_the_ceiling_and_leaves_the_rest_alone() -> None:
    # From half the rate, so that nothing lies at the very top of the band, as in music.
    music = soxr.resample(np.repeat(groove(rate=RATE // 2, bars=1), 2, axis=1) * np.float32(2.5), RATE // 2, RATE)
    ceiling = 10 ** (-1 / 20)
    limited = loudness.limit(music, RATE, ceiling)
    # A loop is a circle: zeros behind its spectrum interpolate it exactly.
    over = np.fft.irfft(np.fft.rfft(limited[:, 0].astype(np.float64)), 8 * len(limited)) * 8
    assert loudness.decibels(float(np.abs(over).max())) <= -0.9
    quiet = np.repeat(groove(rate=RATE, bars=1), 2, axis=1) * np.float32(0.5)
    assert loudness.limit(quiet, RATE, ceiling) is quiet


def test_limiter_wraps_like_the_loop() -> None:
    music = np.repeat(groove(rate=RATE, bars=1), 2, axis=1) * np.float32(2.5)
    turned = np.roll(music, 12_345, axis=0)
    ceiling = 10 ** (-1 / 20)
    straight = np.roll(loudness.limit(music, RATE, ceiling), 12_345, axis=0)
    np.testing.assert_allclose(straight, loudness.limit(turned, RATE, ceiling), atol=2e-3)
