"""The official MusicGen models, and what is true of them before one byte is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from shared.errors import UsageError

LICENCE: Final = "CC-BY-NC 4.0"
LICENCE_NOTE: Final = "weights: CC-BY-NC 4.0, non-commercial"
LICENCE_URL: Final = "https://creativecommons.org/licenses/by-nc/4.0/"


@dataclass(frozen=True)
class Model:
    """One published model."""

    name: str
    repository: str
    download_gb: float
    """About; the exact size is asked of the server before the listener is."""
    converted_gb: float
    """About, in int8."""
    stereo: bool
    summary: str


_ALL: Final = (
    Model(
        "small", "facebook/musicgen-small", 2.4, 0.8, False, "300 million parameters; about real time on two good cores"
    ),
    Model(
        "medium", "facebook/musicgen-medium", 8.0, 2.3, False, "1.5 billion parameters; better, several times slower"
    ),
    Model("large", "facebook/musicgen-large", 13.7, 3.9, False, "3.3 billion parameters; best, for fast machines"),
    Model("stereo-small", "facebook/musicgen-stereo-small", 2.4, 0.9, True, "small, in stereo"),
    Model("stereo-medium", "facebook/musicgen-stereo-medium", 8.0, 2.3, True, "medium, in stereo"),
    Model("stereo-large", "facebook/musicgen-stereo-large", 13.7, 4.0, True, "large, in stereo"),
)
MODELS: Final = MappingProxyType({model.name: model for model in _ALL})

MUSICGPT: Final = "musicgpt:"
"""What comes before the name of a model that MusicGPT fetches for itself."""
MUSICGPT_GB: Final = MappingProxyType(
    {
        "small": 2.3,
        "small-fp16": 1.2,
        "small-quant": 0.6,
        "medium": 8.0,
        "medium-fp16": 4.0,
        "medium-quant": 2.1,
        "large": 13.5,
    }
)
"""Its models, and about what it downloads for each, its runtime library included."""


def find(name: str) -> Model:
    """The model of this name.

    Raises
    ------
    UsageError
        There is none; the sentence names those there are.
    """
    try:
        return MODELS[name]
    except KeyError:
        raise UsageError(f"There is no model {name!r}: choose one of {', '.join(MODELS)}.") from None


def base_name(name: str) -> str:
    """The model behind a name of MusicGPT's, whose ``-fp16`` and ``-quant`` are only other storage of the same."""
    return name.removesuffix("-fp16").removesuffix("-quant")
