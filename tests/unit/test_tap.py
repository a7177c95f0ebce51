"""Blocks of the tap survive the wire bit for bit, and what is no block is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import ProtocolError
from shared.tap import pack_block, unpack_block
from shared.units import STATION_CHANNELS, TAP_BLOCK


@settings(max_examples=20, deadline=None)
@given(number=st.integers(0, 2**64 - 1), seed=st.integers(0, 2**32 - 1))
def test_a_block_survives_the_wire_bit_for_bit(number: int, seed: int) -> None:
    samples = np.random.default_rng(seed).standard_normal((TAP_BLOCK, STATION_CHANNELS)).astype(np.float32)
    got_number, got = unpack_block(pack_block(number, samples))
    assert got_number == number
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, samples)


def test_the_senders_array_may_be_used_again() -> None:
    samples = np.ones((TAP_BLOCK, STATION_CHANNELS), np.float32)
    frames = pack_block(0, samples)
    samples[:] = 0.0
    assert unpack_block(frames)[1].min() == 1.0


def test_an_array_that_is_not_one_block_is_refused() -> None:
    with pytest.raises(ValueError, match="960"):
        pack_block(0, np.zeros((TAP_BLOCK - 1, STATION_CHANNELS), np.float32))


@pytest.mark.parametrize("frames", [[], [b"\0" * 8], [b"\0" * 8, b"\0" * 100], [b"\0" * 4, b"\0" * 7680], [b""] * 3])
def test_what_is_no_block_is_refused(frames: list[bytes]) -> None:
    with pytest.raises(ProtocolError):
        unpack_block(frames)
