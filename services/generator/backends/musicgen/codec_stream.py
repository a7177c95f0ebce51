"""The codec as a stream: codes in, sound out, while the rest is still being written."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.musicgen.graphs.codec import reach
from services.generator.backends.musicgen.sampling import Codes
from services.generator.backends.musicgen.shape import CodecShape


class CodecStream:
    """Turns codes into sound while they come; any cut gives the samples of one whole decoding.

    Frames come out late by the first convolution's half kernel and the reach of the rest, in all five frames (0.1 s)
    for the official models; ``finish`` gives the rest. ``skip`` frames at the beginning are heard by the codec and give
    no sound: what goes before a continuation.
    """

    def __init__(self, codes: Any, sound: Any, shape: CodecShape, rows: int, skip: int = 0) -> None:
        self._codes_session, self._sound_session = codes, sound
        self._shape = shape
        self._ahead = (shape.kernel - 1) // 2
        self._reach = reach(shape)
        self._codes: Codes = np.zeros((rows, shape.codebooks, 0), np.int64)
        self._latents: NDArray[np.float32] = np.zeros((rows, shape.latent_width, 0), np.float32)
        self._first_latent = 0
        self._made = 0
        self._emitted = skip
        self._state = {
            f"{letter}.{layer}": np.zeros((1, rows, shape.latent_width), np.float32)
            for letter in "hc"
            for layer in range(shape.lstm_layers)
        }

    @property
    def ready(self) -> int:
        """Frames that ``take`` would give now; negative while more must be fed first."""
        return int(self._codes.shape[2]) - self._ahead - self._reach - self._emitted

    def feed(self, codes: Codes) -> None:
        """Add codes ``(rows, codebooks, n)``."""
        self._codes = np.concatenate([self._codes, codes], axis=2)

    def take(self) -> NDArray[np.float32]:
        """The sound of every frame that is sure by now [shape=(rows, samples)]."""
        self._advance(self._codes.shape[2] - self._ahead)
        return self._emit(self._made - self._reach)

    def finish(self) -> NDArray[np.float32]:
        """The sound of the rest; nothing may be fed after."""
        self._advance(self._codes.shape[2])
        return self._emit(self._made)

    def _advance(self, end: int) -> None:
        """Make latents up to a frame."""
        if end <= self._made:
            return
        count = self._codes.shape[2]
        index = np.abs(np.arange(self._made - self._ahead, end + self._ahead))
        index = np.where(index >= count, 2 * (count - 1) - index, index)
        names = ["latents", *(f"{name[0]}_out{name[1:]}" for name in self._state)]
        out = self._codes_session.run(names, {"codes": self._codes[:, :, index], **self._state})
        self._state = dict(zip(self._state, out[1:], strict=True))
        keep = min(max(0, self._emitted - self._reach), self._made)
        self._latents = np.concatenate([self._latents[:, :, keep - self._first_latent :], out[0]], axis=2)
        self._first_latent, self._made = keep, end

    def _emit(self, end: int) -> NDArray[np.float32]:
        if end <= self._emitted:
            return np.zeros((len(self._codes), 0), np.float32)
        first, last = max(0, self._emitted - self._reach), min(self._made, end + self._reach)
        cut = self._latents[:, :, first - self._first_latent : last - self._first_latent]
        (audio,) = self._sound_session.run(["audio"], {"latents": np.ascontiguousarray(cut)})
        hop = self._shape.hop
        wanted: NDArray[np.float32] = audio[:, (self._emitted - first) * hop : (end - first) * hop]
        self._emitted = end
        return wanted
