"""The words the composer knows, read from ``words.toml``."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Collection
from functools import cache, lru_cache
from importlib import resources
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

Place = Literal["drums", "bass", "chords", "arp", "melody", "line", "texture"]


class Mood(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    words: tuple[str, ...]
    more: tuple[str, ...] = ()
    tempo: float = 1.0
    energy: float = 0.0
    brightness: float = 0.0
    lofi: float = 0.0
    mode: Literal["", "major", "minor"] = ""


class Instrument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    words: tuple[str, ...]
    names: Annotated[tuple[str, ...], Meta(min_length=1)]
    place: Place
    alone: bool = False
    """Whether it can carry a piece by itself: it plays several notes at once."""
    style: str = ""
    """The style that it suggests where the prompt names none."""


class Role(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    words: tuple[str, ...]


class Piece(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of the kit, as a listener refuses it."""

    words: tuple[str, ...]
    drums: tuple[str, ...]


class Lexicon(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    moods: dict[str, Mood]
    roles: dict[str, Role]
    instruments: dict[str, Instrument]
    kit: dict[str, Piece]
    grammar: dict[str, tuple[str, ...]]


@cache
def lexicon() -> Lexicon:
    text = (resources.files("services.generator.backends.composer.prompt") / "words.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Lexicon)


def spoken(names: Collection[str]) -> list[str]:
    """What a listener calls these instruments, roles and pieces of the kit, in as few words as it takes."""
    instruments = lexicon().instruments
    given = set(names)
    called = [name.partition(":")[2] for name in sorted(given) if ":" in name]
    whole = {entry: set(kind.names) for entry, kind in instruments.items() if set(kind.names) <= given}
    called += [entry for entry, mine in whole.items() if not any(mine < other for other in whole.values())]
    return [entry.removeprefix("kit-").replace("-", " ") for entry in called]


def plain(text: str) -> str:
    """Text as words are compared: no capitals, accents or hyphens; clauses apart by commas.

    Scripts that the lexicon has no words in survive as they are, and simply match nothing.
    """
    folded = unicodedata.normalize("NFKD", text).casefold()
    bare = "".join(mark for mark in folded if not unicodedata.combining(mark))
    bare = bare.replace("&", " and ").replace("’", " ").replace("'", " ")
    bare = re.sub(r"[.;:!?()\[\]\n]+(?=\s|$)|[,;:()\[\]\n]+", " , ", bare)
    return " ".join(re.sub(r"[^\w#/.,+]|_", " ", bare).split())


_WORD: Final = re.compile(r"[\w#]+")


@cache
def _pattern(phrases: tuple[str, ...]) -> tuple[frozenset[str], re.Pattern[str]]:
    """The words with which the phrases begin, and what matches them."""
    longest_first = sorted({plain(phrase) for phrase in phrases}, key=lambda phrase: (-len(phrase), phrase))
    whole = re.compile(r"(?<![\w#])(?:" + "|".join(re.escape(phrase) for phrase in longest_first) + r")(?![\w#])")
    return frozenset(word for phrase in longest_first for word in _WORD.findall(phrase)[:1]), whole


@lru_cache(maxsize=16)
def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text))


def find(phrases: tuple[str, ...], text: str) -> list[tuple[int, int]]:
    """Where any of the phrases stands in plain text, as spans of characters, longest phrase first at each place.

    A prompt is asked for hundreds of sets of phrases, and has few words: most sets begin with none of them.
    """
    if not phrases:
        return []
    beginnings, whole = _pattern(phrases)
    return [] if beginnings.isdisjoint(_words(text)) else [match.span() for match in whole.finditer(text)]
