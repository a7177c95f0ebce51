"""Samples in memory are the samples of the file, bit for bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.player.samples import Samples
from shared.audio_files import snap_to_grid
from tests.unit.player.material import noise


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000), bits=st.sampled_from([16, 24]), start=st.integers(0, 4000), count=st.integers(0, 5000)
)
def test_any_stretch_reads_back_bit_for_bit(seed: int, bits: int, start: int, count: int) -> None:
    audio = snap_to_grid(noise(9_000, seed, level=1.0), bits)
    out = np.empty((count, 2), np.float32)
    Samples.of(audio).read_into(out, start)
    assert np.array_equal(out, audio[start : start + count])


def test_both_ends_of_the_grid() -> None:
    audio = np.array([[-1.0, 1 - 2**-23], [2**-23, -(2**-23)]], np.float32)
    out = np.empty_like(audio)
    Samples.of(audio).read_into(out, 0)
    assert np.array_equal(out, audio)


def test_sound_off_the_grid_is_rounded_and_held_within_full_scale() -> None:
    audio = np.array([[1.5, -1.5], [2**-25, 0.25 + 2**-26]], np.float32)
    out = np.empty_like(audio)
    Samples.of(audio).read_into(out, 0)
    assert np.array_equal(out, np.array([[1 - 2**-23, -1.0], [0.0, 0.25]], np.float32))


def test_sixteen_bits_take_four_bytes_a_frame_and_twenty_four_take_six() -> None:
    audio = noise(1_000, level=0.5)
    assert Samples.of(audio).nbytes == 6_000
    assert Samples.of(snap_to_grid(audio, 16)).nbytes == 4_000
