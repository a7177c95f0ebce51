"""The PCM tap: what the player sounds, in numbered blocks of 20 ms, before the volume; silence while paused.

A block is two frames on ``topology.TAP``, sent with ``Link.send_frames`` and read with ``Link.receive_frames``::

    8 bytes      the block's number, unsigned, little-endian: 0 for the first since the player began, then rising
    7 680 bytes  960 frames of two channels, float32, little-endian, interleaved

The publisher drops rather than blocks. So a number that is missed is 20 ms that were lost on the way, and a number
lower than the one expected is a player that began again.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import numpy as np

from shared.errors import ProtocolError
from shared.units import STATION_CHANNELS, TAP_BLOCK, Audio

_NUMBER: Final = struct.Struct("<Q")
_SAMPLE: Final = np.dtype("<f4")
_SHAPE: Final = (TAP_BLOCK, STATION_CHANNELS)
_BODY_BYTES: Final = TAP_BLOCK * STATION_CHANNELS * _SAMPLE.itemsize


def pack_block(number: int, samples: Audio) -> list[bytes]:
    """The frames of one block; the samples are copied, so the caller may use their array again at once.

    Parameters
    ----------
    samples : float32 [shape=(960, 2)]

    Raises
    ------
    ValueError
        The array is not one block.
    """
    if samples.shape != _SHAPE:
        raise ValueError(f"a block of the tap has shape {_SHAPE}, not {samples.shape}")
    return [_NUMBER.pack(number), samples.astype(_SAMPLE, copy=False).tobytes()]


def unpack_block(frames: Sequence[bytes]) -> tuple[int, Audio]:
    """The number and the samples of one block.

    Returns
    -------
    number : int
    samples : float32 [shape=(960, 2)], read-only: a view of the received bytes

    Raises
    ------
    ProtocolError
        Not a block of the tap.
    """
    if len(frames) != 2 or len(frames[0]) != _NUMBER.size or len(frames[1]) != _BODY_BYTES:
        raise ProtocolError("A block of the tap has the wrong shape: update the older part of the station.")
    return _NUMBER.unpack(frames[0])[0], np.frombuffer(frames[1], _SAMPLE).reshape(_SHAPE)
