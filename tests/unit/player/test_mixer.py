"""The mixer plays what it is told, to the sample, whatever the blocks."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.player.mixer import CEILING, Change, Mixer, Part, gains, overlap_of
from services.player.samples import Samples
from tests.unit.player.material import noise


class Chain:
    """A lead with a list of changes; the last part goes on for ever."""

    def __init__(self, first: Part, changes: list[Change]) -> None:
        self._rest = [Change(0, first), *changes, Change(1 << 40, first)]

    def entered(self, change: Change | None) -> Change:
        del change
        return self._rest.pop(0) if self._rest else Change(1 << 40, _part(1_000, 9))


def _part(frames: int, seed: int, begin: int = 0) -> Part:
    return Part(Samples.of(noise(frames, seed)), begin, 0, frames)


def _sound(part: Part, frames: int, offset: int = 0) -> np.ndarray:
    out = np.empty((frames, 2), np.float32)
    part.read_into(out, offset)
    return out


def _rendered(mixer: Mixer, blocks: list[int]) -> np.ndarray:
    out = np.empty((sum(blocks), 2), np.float32)
    at = 0
    for count in blocks:
        mixer.render(out[at : at + count])
        at += count
    return out


def test_a_part_wraps_to_the_sample() -> None:
    audio = noise(1_000)
    part = Part(Samples.of(audio), 900, 100, 1_000)
    assert np.array_equal(_sound(part, 2_000), np.concatenate([audio[900:], audio[100:], audio[100:], audio[100:200]]))


@settings(max_examples=20, deadline=None)
@given(blocks=st.lists(st.integers(1, 9_000), min_size=1, max_size=20), seed=st.integers(0, 50))
def test_the_same_bits_for_any_split_of_calls(blocks: list[int], seed: int) -> None:
    drawn = np.random.default_rng(seed)
    parts = [_part(int(drawn.integers(4_000, 8_000)), number, int(drawn.integers(0, 4_000))) for number in range(5)]
    changes = [Change(int(drawn.integers(5_000, 12_000)), part, int(drawn.integers(0, 5_000))) for part in parts[1:]]
    cut = _rendered(Mixer(Chain(parts[0], list(changes))), blocks)
    whole = _rendered(Mixer(Chain(parts[0], list(changes))), [sum(blocks)])
    assert np.array_equal(cut, whole)


def test_a_change_without_overlap_joins_hard_and_one_with_crossfades() -> None:
    first, second, third = _part(9_000, 1), _part(9_000, 2), _part(9_000, 3)
    out = _rendered(Mixer(Chain(first, [Change(5_000, second), Change(7_000, third, 4_000)])), [20_000])
    assert np.array_equal(out[:5_000], _sound(first, 5_000))
    assert np.array_equal(out[5_000:12_000], _sound(second, 7_000))
    fall, rise = gains(4_000)
    expected = _sound(second, 4_000, 7_000) * fall + _sound(third, 4_000) * rise
    assert np.array_equal(out[12_000:16_000], expected)
    assert np.array_equal(out[16_000:], _sound(third, 4_000, 4_000))


@pytest.mark.parametrize("frames", [3_000, 48_000, 192_000])
def test_a_fade_keeps_the_power_and_a_short_join_the_amplitude(frames: int) -> None:
    fall, rise = gains(frames)
    assert np.allclose(fall**2 + rise**2, 1.0, atol=1e-6)
    fall, rise = gains(960)
    assert np.allclose(fall + rise, 1.0, atol=1e-6)


def test_an_overlap_stays_under_the_ceiling_without_a_step() -> None:
    tone = (0.89 * np.sin(2 * np.pi * 220 * np.arange(96_000) / 48_000)).astype(np.float32)
    part = Part(Samples.of(np.stack([tone, tone], axis=1)), 0, 0, 96_000)
    mixed = overlap_of(part, 0, part, 96_000)
    assert np.abs(mixed[4_800:-4_800]).max() <= CEILING
    level = np.sqrt(np.mean(mixed[:, 0].reshape(-1, 2_400).astype(np.float64) ** 2, axis=1))
    assert np.abs(np.diff(level)).max() < 0.05 * level.max()


def test_an_overlap_of_quiet_sound_is_not_touched_by_the_ceiling() -> None:
    first, second = _part(10_000, 1), _part(10_000, 2)
    fall, rise = gains(8_000)
    assert np.array_equal(
        overlap_of(first, 0, second, 8_000), _sound(first, 8_000) * fall + _sound(second, 8_000) * rise
    )


def test_a_block_allocates_no_array_in_steady_state() -> None:
    mixer = Mixer(Chain(_part(48_000, 1), []))
    out = np.empty((960, 2), np.float32)
    for _ in range(60):
        mixer.render(out)
    taken = []
    tracemalloc.start()
    try:
        # What the mixer takes it takes every time; the test runner's own thread may take something during one of them.
        for _ in range(5):
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            for _ in range(200):
                mixer.render(out)
            _, peak = tracemalloc.get_traced_memory()
            taken.append(peak - before)
    finally:
        tracemalloc.stop()
    assert min(taken) < out.nbytes // 4


def test_a_change_behind_the_present_is_refused() -> None:
    mixer = Mixer(Chain(_part(9_000, 1), [Change(5_000, _part(9_000, 2), 3_000)]))
    _rendered(mixer, [6_000])
    assert mixer.overlapping == 2_000
    with pytest.raises(ValueError, match="overlap"):
        mixer.replan(Change(2_000, _part(100, 3)))
    mixer.replan(Change(3_000, _part(9_000, 3)))
    assert np.array_equal(_rendered(mixer, [3_000])[2_000:], _sound(_part(9_000, 3), 1_000))
