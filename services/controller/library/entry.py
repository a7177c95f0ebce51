"""What the library knows of one loop, and how a loop's record becomes it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.music import Loop, Recipe

LIKED, NEUTRAL, DISLIKED = 1, 0, -1
"""What a listener may think of a loop."""
CLAIMS: dict[int, str] = {LIKED: "liked", NEUTRAL: "", DISLIKED: "disliked"}
GONE, IN_CACHE, IN_LIBRARY = 0, 1, 2
"""Where a loop's audio is."""
_FREE_LICENCES = frozenset({"mit", "apache-2.0", "cc0-1.0", "cc-by-4.0"})
"""Licences of weights that leave what is made with them free for any use."""
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Extent:
    """How much the library knows, and how much of it lies on disk."""

    loops: int = 0
    stored: int = 0
    """Loops whose audio is there, in the cache or in the library."""
    liked: int = 0
    bytes: int = 0
    """Of the library's own files: audio and database."""


@dataclass(frozen=True)
class Entry:
    """One loop of the library, without its beats."""

    number: int
    loop_id: str
    title: str
    artist: str
    genre: str
    prompt: str
    backend: str
    model: str
    seed: int | None
    licence: str
    free: bool
    """Nothing in how it was made forbids any use."""
    bpm: float | None
    key: str | None
    bars: int | None
    seconds: float
    added: float
    verdict: int
    plays: int
    heard: float
    """When it last began to sound, in seconds since 1970; 0 if it never did."""
    place: int
    bytes: int

    @property
    def audible(self) -> bool:
        return self.place != GONE


def described(entry: Entry) -> dict[str, Any]:
    """The entry as commands report it."""
    return {
        "number": entry.number,
        "loop_id": entry.loop_id,
        "title": entry.title,
        "artist": entry.artist,
        "genre": entry.genre,
        "prompt": entry.prompt,
        "backend": entry.backend,
        "model": entry.model or None,
        "seed": entry.seed,
        "licence": entry.licence or None,
        "free": entry.free,
        "bpm": entry.bpm,
        "key": entry.key,
        "bars": entry.bars,
        "seconds": round(entry.seconds, 3),
        "added": round(entry.added, 3),
        "liked": entry.verdict == LIKED,
        "disliked": entry.verdict == DISLIKED,
        "plays": entry.plays,
        "heard": round(entry.heard, 3) or None,
        "audio": entry.audible,
        "bytes": entry.bytes,
    }


def is_free(recipe: Recipe | None) -> bool:
    """Whether nothing in how it was made forbids any use: composed by rules, or by weights of a free licence.

    Where the licence is not known, it is not claimed to be free.
    """
    if recipe is None:
        return False
    if recipe.weights_licence:
        return recipe.weights_licence.strip().lower() in _FREE_LICENCES
    return recipe.model is None and recipe.disclosure.startswith("composed by rules")


def fold(text: str) -> list[str]:
    """The words of a text, without capitals and accents: what is stored and what is looked for meet here."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return _WORD.findall("".join(letter for letter in plain if not unicodedata.combining(letter)))


def words_of(loop: Loop) -> str:
    """The words by which a loop is found."""
    recipe = loop.recipe
    parts = [loop.title, loop.artist, loop.genre]
    if recipe is not None:
        parts += [recipe.prompt, recipe.backend, recipe.model or "", recipe.style or ""]
    return " ".join(dict.fromkeys(fold(" ".join(parts))))


def wish_of(prompt: str) -> str:
    """A prompt as it is compared with others."""
    return " ".join(fold(prompt))


def audio_file(folder: Path, loop_id: str) -> Path:
    """Where the library keeps a loop's audio."""
    return folder / f"{loop_id}.flac"
