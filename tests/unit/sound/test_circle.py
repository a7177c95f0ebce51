"""Filters that go round a section are the true circular ones, whatever its length."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from services.generator.backends.composer.sound.circle import convolved, filtered, high_pass, low_pass
from shared.units import Audio

RATE = 48_000


def section(frames: int) -> Audio:
    return np.random.default_rng(frames).standard_normal((frames, 2), np.float32)


def apart_db(one: NDArray[np.floating], two: NDArray[np.floating]) -> float:
    return 10 * float(np.log10(np.mean((one - two) ** 2) / np.mean(two**2)))


@pytest.mark.parametrize(("frames", "reach"), [(100_003, 70_001), (20_011, 90_001), (65_536, 4000)])
def test_convolution_wraps_exactly(frames: int, reach: int) -> None:
    audio, impulse = section(frames), section(reach) * np.exp(-np.arange(reach) / 9000)[:, None].astype(np.float32)
    folded = np.zeros((frames, 2))
    np.add.at(folded, np.arange(reach) % frames, impulse)
    spectrum = np.fft.rfft(audio.astype(float), axis=0) * np.fft.rfft(folded, axis=0)
    assert apart_db(convolved(audio, impulse), np.fft.irfft(spectrum, frames, axis=0)) < -110


@pytest.mark.parametrize("frames", [100_003, 20_011])
def test_filters_wrap_exactly(frames: int) -> None:
    def gain(hertz: NDArray[np.float64]) -> NDArray[np.float32]:
        return high_pass(hertz, 30.0) * low_pass(hertz, 5000.0)

    audio = section(frames)
    spectrum = np.fft.rfft(audio.astype(float), axis=0) * gain(np.fft.rfftfreq(frames, 1 / RATE))[:, None]
    assert apart_db(filtered(audio, RATE, gain), np.fft.irfft(spectrum, frames, axis=0)) < -80
