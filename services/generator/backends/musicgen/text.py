"""From the prompt's words to what the decoder attends to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.musicgen.graphs.prompt import position_buckets
from services.generator.backends.musicgen.shape import CheckpointError, Shape
from shared.errors import BackendError

_TOKENS: Final = 256
"""Tokens of a prompt that are heard; the models were trained on far fewer."""


@dataclass(frozen=True)
class CrossStates:
    """What the decoder attends to: per layer keys and values ``(1, heads, tokens, head width)``."""

    keys: tuple[NDArray[np.float32], ...]
    values: tuple[NDArray[np.float32], ...]
    states: NDArray[np.float32]
    """The text encoder's output ``(1, tokens, width)``."""


def encode_prompt(session: Any, ids: list[int], shape: Shape, options: Any = None) -> CrossStates:
    """Run the prompt's graph on token numbers."""
    layers = shape.decoder.layers
    names = ["states", *(f"cross_{letter}.{layer}" for letter in "kv" for layer in range(layers))]
    feed = {"ids": np.array([ids], np.int64), "buckets": position_buckets(len(ids), shape.text)}
    states, *cross = session.run(names, feed, options)
    return CrossStates(tuple(cross[:layers]), tuple(cross[layers:]), states)


def open_tokenizer(path: Path) -> Any:
    """A checkpoint's tokenizer.

    Raises
    ------
    CheckpointError
        The file is none.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise BackendError("The package tokenizers is missing: `pip install 'infiniloop[musicgen]'`.") from error
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        raise CheckpointError(f"{path} is not a tokenizer: download the model again.") from error


def tokens(tokenizer: Any, prompt: str, shape: Shape) -> list[int]:
    """A prompt as the text encoder's numbers.

    Raises
    ------
    CheckpointError
        The tokenizer is not the one that this model was trained with.
    """
    ids = [int(token) for token in tokenizer.encode(prompt).ids]
    if not ids or max(ids) >= shape.text.vocabulary:
        raise CheckpointError(
            "The model's tokenizer.json belongs to another model: delete the model with `infiniloop models delete`"
            " and download it again."
        )
    return ids if len(ids) <= _TOKENS else [*ids[: _TOKENS - 1], ids[-1]]
