"""One suite for both meters of loudness, the analyzer's and the composer's: they agree with an independent one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pyloudnorm
import pytest

from services.analyzer import loudness
from services.generator.backends.composer.sound.loudness import integrated_loudness
from shared.units import Audio
from tests.unit.analyzer.music import groove

Meter = Callable[[Audio, int], float]
METERS: dict[str, Meter] = {
    "analyzer": lambda audio, rate: loudness.integrated(loudness.power_curve(audio, rate), rate),
    "composer": integrated_loudness,
}


@cache
def _signals() -> dict[str, Audio]:
    rng = np.random.default_rng(3)
    t = np.arange(48_000 * 5) / 48_000
    noise = rng.standard_normal((len(t), 2)).astype(np.float32) * 0.1
    tone = np.stack([0.4 * np.sin(2 * np.pi * 997 * t), 0.1 * np.sin(2 * np.pi * 60 * t)], axis=1).astype(np.float32)
    bursts = noise * (np.sin(2 * np.pi * 0.7 * t) > 0.6)[:, None] + noise * np.float32(0.01)
    music = groove(rate=48_000, bars=4) * np.array([1.0, 0.5], np.float32)
    return {"noise": noise, "tone": tone, "bursts": bursts.astype(np.float32), "music": music}


@pytest.mark.parametrize("meter", METERS)
@pytest.mark.parametrize("rate", [32_000, 44_100, 48_000])
@pytest.mark.parametrize("signal", ["noise", "tone", "bursts", "music"])
def test_a_meter_agrees_with_pyloudnorm(signal: str, rate: int, meter: str) -> None:
    audio = _signals()[signal]
    theirs = pyloudnorm.Meter(rate).integrated_loudness(audio.astype(np.float64))
    assert METERS[meter](audio, rate) == pytest.approx(theirs, abs=0.1)
