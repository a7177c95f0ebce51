"""Block-wise symmetric quantisation of a weight matrix, in the layout of ``com.microsoft::MatMulNBits``.

A matrix ``(outputs, inputs)``, as checkpoints store it, is cut along its inputs into blocks; each block has one scale,
and its values are whole numbers around a zero point in the middle. The value of the greatest magnitude lies on the
range's longer end (−128 or −8), so that none is clipped.

Layout: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftmatmulnbits
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Bits = Literal[4, 8]


@dataclass(frozen=True)
class Blocks:
    """How a matrix is stored: bits of a value, inputs that share a scale."""

    bits: Bits
    size: int

    def count(self, inputs: int) -> int:
        return -(-inputs // self.size)

    @property
    def bytes(self) -> int:
        """Bytes of one block."""
        return self.size * self.bits // 8


def quantise(weight: NDArray[np.float32], blocks: Blocks) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Packed values and scales of a matrix.

    Parameters
    ----------
    weight : [shape=(outputs, inputs)]

    Returns
    -------
    packed : [shape=(outputs, blocks, bytes)]; of two 4-bit values in a byte the first has the low half
    scales : [shape=(outputs, blocks)]
    """
    outputs, inputs = weight.shape
    count = blocks.count(inputs)
    missing = count * blocks.size - inputs
    if missing:
        weight = np.pad(weight, ((0, 0), (0, missing)))
    cut = weight.reshape(outputs, count, blocks.size)
    top, bottom = cut.max(axis=2), cut.min(axis=2)
    extreme = np.where(top > -bottom, top, bottom)
    half = 2 ** (blocks.bits - 1)
    scales = (extreme / -half).astype(np.float32)
    inverse = np.divide(1.0, scales, out=np.zeros_like(scales), where=scales != 0)
    scaled = cut * inverse[:, :, None]
    np.rint(scaled, out=scaled)
    scaled += half
    np.clip(scaled, 0, 2 * half - 1, out=scaled)
    packed = scaled.astype(np.uint8)
    if blocks.bits == 4:
        packed = packed[:, :, 0::2] | (packed[:, :, 1::2] << 4)
    return packed, scales


def dequantise(
    packed: NDArray[np.uint8], scales: NDArray[np.float32], blocks: Blocks, inputs: int
) -> NDArray[np.float32]:
    """The matrix that packed values and scales stand for, ``(outputs, inputs)``."""
    if blocks.bits == 4:
        values = np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:2], -1)
    else:
        values = packed
    centred = values.astype(np.float32) - 2 ** (blocks.bits - 1)
    weight: NDArray[np.float32] = (centred * scales[:, :, None]).reshape(packed.shape[0], -1)[:, :inputs]
    return weight
