"""From logits to codes: guidance, temperature, top-k, and the delay in which the codebooks are written.

Classifier-free guidance and top-k sampling as in Copet et al., "Simple and Controllable Music Generation", 2023; its
section 2.2 gives the delay pattern.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.musicgen.shape import DecoderShape

Codes = NDArray[np.int64]
"""Codes of one clip or several, ``(..., codebooks, frames)``."""
Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Sampling:
    """How codes are drawn; the defaults are the ones the models were published with."""

    guidance: float = 3.0
    """How strongly the prompt is followed; 1 leaves the unconditional half of the work out."""
    top_k: int = 250
    temperature: float = 1.0
    """0 always takes the likeliest code."""

    @property
    def guided(self) -> bool:
        return self.guidance != 1.0


def guide(logits: Logits, guidance: float) -> Logits:
    """Logits pushed away from the unconditional ones; rows hold the conditional half, then the other."""
    half = len(logits) // 2
    wanted, free = logits[:half], logits[half:]
    guided: Logits = free + np.float32(guidance) * (wanted - free)
    return guided


def draw(logits: Logits, sampling: Sampling, random: np.random.Generator) -> NDArray[np.int64]:
    """One code per row of ``logits`` [shape=(codebooks, codes)]."""
    codes = logits.shape[1]
    if sampling.temperature <= 0:
        likeliest: NDArray[np.int64] = logits.argmax(axis=1)
        return likeliest
    rows = np.arange(len(logits))
    if 0 < sampling.top_k < codes:
        best = logits.argpartition(codes - sampling.top_k, axis=1)[:, codes - sampling.top_k :]
        values = logits[rows[:, None], best]
    else:
        best, values = None, logits
    weights = np.exp((values - values.max(axis=1, keepdims=True)) / np.float32(sampling.temperature), dtype=np.float64)
    sums = weights.cumsum(axis=1)
    chosen = (sums <= random.random((len(logits), 1)) * sums[:, -1:]).sum(axis=1)
    chosen = np.minimum(chosen, values.shape[1] - 1)
    codes_drawn: NDArray[np.int64] = chosen if best is None else best[rows, chosen]
    return codes_drawn


class DelayedSequence:
    """The decoder's input for ``known`` frames followed by ``frames`` new ones, in the delayed order.

    At position ``p`` codebook ``k`` holds frame ``p - 1 - delay[k]``; where there is no such frame, padding.

    Parameters
    ----------
    known : codes of every clip so far [shape=(clips, codebooks, n)]; ``n`` may be 0
    frames : how many to write
    """

    def __init__(self, shape: DecoderShape, known: Codes, frames: int) -> None:
        clips, books, context = known.shape
        self._delays = np.array(shape.delays)
        self._last_delay = int(self._delays.max())
        self.context = context
        self.frames = frames
        self.length = context + frames + self._last_delay + 1
        """Positions in all; the last one is written but never read."""
        self._codes = np.full((clips, books, self.length), shape.vocabulary, np.int64)
        for book, delay in enumerate(shape.delays):
            self._codes[:, book, 1 + delay : 1 + delay + context] = known[:, book]

    @property
    def prefix(self) -> Codes:
        """What is known before the first new code: all positions up to and with ``context``."""
        return self._codes[:, :, : self.context + 1]

    def at(self, position: int) -> NDArray[np.int64]:
        """The codes at a position [shape=(clips, codebooks)]."""
        return self._codes[:, :, position]

    def put(self, position: int, drawn: NDArray[np.int64]) -> None:
        """Write the codes drawn for a position, where new ones belong; known codes and padding stay."""
        frame = position - 1 - self._delays
        new = (frame >= self.context) & (frame < self.context + self.frames)
        self._codes[:, new, position] = drawn[:, new]

    def finished(self, position: int) -> NDArray[np.int64] | None:
        """The new frame that is complete with this position [shape=(clips, codebooks)], if there is one."""
        frame = position - 1 - self._last_delay
        if frame < self.context:
            return None
        books = np.arange(self._codes.shape[1])
        return self._codes[:, books, frame + 1 + self._delays]
