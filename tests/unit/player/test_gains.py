"""Ramps begin and end where they should, in steps too small to hear, whatever the blocks."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.player.gains import Ramp, volume_gain


def _curve(ramp: Ramp, blocks: list[int]) -> np.ndarray:
    out = np.ones((sum(blocks), 2), np.float32)
    at = 0
    for count in blocks:
        ramp.apply(out[at : at + count])
        at += count
    return out[:, 0]


@settings(max_examples=25, deadline=None)
@given(
    blocks=st.lists(st.integers(0, 700), min_size=1, max_size=12),
    start=st.floats(0, 1),
    target=st.floats(0, 1),
    frames=st.integers(0, 2_000),
)
def test_the_same_bits_for_any_blocks(blocks: list[int], start: float, target: float, frames: int) -> None:
    cut, whole = Ramp(start), Ramp(start)
    cut.to(target, frames)
    whole.to(target, frames)
    assert np.array_equal(_curve(cut, blocks), _curve(whole, [sum(blocks)]))


def test_a_ramp_ends_exactly_at_its_target_and_stays() -> None:
    ramp = Ramp(0.0)
    ramp.to(1.0, 960)
    curve = _curve(ramp, [500, 1_000])
    assert curve[0] < 1e-5
    assert np.all(curve[959:] == 1.0)
    assert np.all(np.diff(curve) >= 0)


def test_a_new_target_in_the_middle_makes_no_step() -> None:
    ramp = Ramp(0.0)
    ramp.to(1.0, 1_000)
    first = _curve(ramp, [500])
    ramp.to(0.0, 1_000)
    second = _curve(ramp, [1_200])
    assert np.abs(np.diff(np.concatenate([first, second]))).max() < 2e-3
    assert second[-1] == 0.0


def test_volume_rises_in_even_steps_of_loudness() -> None:
    assert volume_gain(0) == 0.0
    assert volume_gain(100) == 1.0
    gains = [20 * np.log10(volume_gain(volume)) for volume in (25, 50, 100)]
    assert np.allclose(np.diff(gains), 60 * np.log10(2), atol=1e-9)
