"""A small raster to draw figures on, and its PNG: lines, bars and words, without any plotting library."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

Colour: TypeAlias = tuple[int, int, int]

GLYPH_WIDTH: Final = 6
GLYPH_HEIGHT: Final = 9
_FIRST: Final = 32
# The common 5 × 7 terminal face, five columns a character from the space to ~, the lowest bit on top.
_FACE: Final = bytes.fromhex(
    "000000000000005f00000007000700147f147f14242a7f2a12231308646236495522500005030000"
    "001c2241000041221c0014083e081408083e0808005030000008080808080060600000201008040 2"
    "3e5149453e00427f40004261514946214145 4b311814127f1027454545393c4a49493001710905 03"
    "364949493606 4949291e003636000000563600000814224100141414141400412214080201510906"
    "324979413e7e1111117e7f494949363e414141227f4141221c7f494949417f090909013e4149497a"
    "7f0808087f00417f41002040413f017f081422417f404040407f020c027f7f0408107f3e4141413e"
    "7f090909063e4151215e7f09192946464949493101017f01013f4040403f1f2040201f3f4038403f"
    "6314081463070870080761514945430 07f4141000204081020 0041417f00040201020440404040 40"
    "0001020400205454547 87f48444438384444442038444448 7f3854545418087e0901020c5252523e"
    "7f0804047800447d40002040443d007f1028440000417f40007c041804787c080404783844444438"
    "7c14141408081414187c7c0804040848545454 20043f4440203c4040207c1c2040201c3c4030403c"
    "44281028440c5050503c4464544c44000836410000007f00000041360800080408100 8".replace(" ", "")
)


@dataclass
class Canvas:
    """An image of ``(height, width, 3)`` bytes; the origin is at the top left, x runs right, y down."""

    pixels: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]

    @classmethod
    def blank(cls, width: int, height: int, colour: Colour) -> Canvas:
        pixels = np.empty((height, width, 3), np.uint8)
        pixels[:] = colour
        return cls(pixels)

    def box(
        self, left: float, top: float, right: float, bottom: float, colour: Colour, *, opacity: float = 1.0
    ) -> None:
        """Fill a rectangle, ends exclusive, at least one pixel wide and high."""
        height, width = self.pixels.shape[:2]
        x0, y0 = max(0, round(left)), max(0, round(top))
        x1, y1 = min(width, max(round(right), x0 + 1)), min(height, max(round(bottom), y0 + 1))
        part = self.pixels[y0:y1, x0:x1]
        part[:] = (part * (1 - opacity) + np.array(colour) * opacity).astype(np.uint8)

    def columns(self, left: int, tops: np.ndarray, bottoms: np.ndarray, colour: Colour) -> None:
        """One vertical stroke per pixel from ``left`` on: a waveform, or a curve's steps."""
        for x, (top, bottom) in enumerate(zip(tops, bottoms, strict=True), start=left):
            self.box(x, float(top), x + 1, float(bottom) + 1, colour)

    def curve(self, left: int, heights: np.ndarray, colour: Colour) -> None:
        """A line through one height per pixel."""
        before = np.concatenate([heights[:1], heights[:-1]])
        self.columns(left, np.minimum(before, heights), np.maximum(before, heights), colour)

    def write(self, left: float, top: float, words: str, colour: Colour, *, scale: int = 2) -> None:
        """Plain ASCII, ``scale`` pixels a dot; anything else shows as a question mark."""
        for place, letter in enumerate(words):
            code = ord(letter) if _FIRST <= ord(letter) < _FIRST + len(_FACE) // 5 else ord("?")
            columns = _FACE[5 * (code - _FIRST) : 5 * (code - _FIRST) + 5]
            for column, bits in enumerate(columns):
                for row in range(8):
                    if bits >> row & 1:
                        x = left + (place * GLYPH_WIDTH + column) * scale
                        y = top + row * scale
                        self.box(x, y, x + scale, y + scale, colour)

    def png(self) -> bytes:
        """The image as a PNG file (8 bits, RGB; ISO/IEC 15948)."""
        height, width = self.pixels.shape[:2]
        rows = np.concatenate([np.zeros((height, 1), np.uint8), self.pixels.reshape(height, -1)], axis=1)
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
