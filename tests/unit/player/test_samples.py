"""Samples in memory are the samples of the file, bit for bit, and take memory that is there already."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.player.samples import CHUNK, Pool, Samples
from shared.audio_files import snap_to_grid
from shared.units import Audio
from tests.unit.player.material import noise

AUDIO = noise(2 * CHUNK + 100)


def _read(samples: Samples, start: int, count: int) -> Audio:
    out = np.empty((count, 2), np.float32)
    samples.read_into(out, start)
    return out


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 1000),
    bits=st.sampled_from([16, 24]),
    start=st.integers(CHUNK - 4_000, CHUNK + 4000),
    count=st.integers(0, 5000),
)
def test_any_stretch_reads_back_bit_for_bit(seed: int, bits: int, start: int, count: int) -> None:
    audio = snap_to_grid(noise(CHUNK + 9_000, seed, level=1.0), bits)
    assert np.array_equal(_read(Samples.of(audio), start, count), audio[start : start + count])


@settings(max_examples=12, deadline=None)
@given(cuts=st.lists(st.integers(1, 2 * CHUNK + 99), max_size=6))
def test_however_it_is_written_the_same_is_read(cuts: list[int]) -> None:
    samples = Samples(len(AUDIO))
    places = sorted({0, *cuts, len(AUDIO)})
    for start, stop in itertools.pairwise(places):
        samples.write(AUDIO[start:stop], start)
    assert np.array_equal(samples.audio(), AUDIO)


def test_both_ends_of_the_grid() -> None:
    audio = np.array([[-1.0, 1 - 2**-23], [2**-23, -(2**-23)]], np.float32)
    assert np.array_equal(_read(Samples.of(audio), 0, 2), audio)


def test_sound_off_the_grid_is_rounded_and_held_within_full_scale() -> None:
    audio = np.array([[1.5, -1.5], [2**-25, 0.25 + 2**-26]], np.float32)
    assert np.array_equal(_read(Samples.of(audio), 0, 2), np.array([[1 - 2**-23, -1.0], [0.0, 0.25]], np.float32))


def test_memory_goes_back_to_the_pool_with_the_last_reader_and_comes_out_silent() -> None:
    pool = Pool(3)
    held = Samples.of(noise(2 * CHUNK, level=1.0), pool)
    assert pool.free == 1
    del held
    assert pool.free == 3
    assert not Samples(3 * CHUNK, pool).audio().any()


def test_more_than_the_pool_holds_is_lent_and_not_kept() -> None:
    pool = Pool(2)
    audio = noise(4 * CHUNK)
    held = Samples.of(audio, pool)
    assert np.array_equal(held.audio(), audio)
    del held
    assert pool.free == 2
