"""Titles and artists for loops, generated from the loop itself: the same loop always has the same name. Pure."""

from __future__ import annotations

import hashlib
import re
from random import Random

from msgspec.structs import replace

from shared.music import Loop

_COLOURS = (
    "Amber", "Ashen", "Blue", "Borrowed", "Bright", "Copper", "Distant", "Early", "Faded", "Folded", "Gentle",
    "Glass", "Golden", "Half-Lit", "Hidden", "Hollow", "Indigo", "Ivory", "Late", "Little", "Long", "Lost", "Lunar",
    "Mellow", "Moonlit", "Northern", "Open", "Paper", "Patient", "Quiet", "Rainy", "Saffron", "Second", "Silver",
    "Slow", "Small", "Soft", "Southern", "Still", "Sunday", "Tidal", "Unsent", "Velvet", "Violet", "Warm",
    "Wandering", "Weightless", "Winter",
)  # fmt: skip
_PLACES = (
    "Afternoon", "Alley", "Arcade", "Avenue", "Balcony", "Bay", "Bridge", "Café", "Canal", "Corridor", "Courtyard",
    "Dawn", "Departure", "Echo", "Ferry", "Field", "Garden", "Harbour", "Hour", "Island", "Kitchen", "Lamplight",
    "Lantern", "Letter", "Library", "Line", "Meadow", "Morning", "Museum", "Night", "Ocean", "Orchard", "Platform",
    "Postcard", "Rain", "River", "Rooftop", "Room", "Shore", "Signal", "Station", "Staircase", "Street", "Tide",
    "Train", "Veranda", "Weather", "Window",
)  # fmt: skip
_FORMS = ("{0} {1}", "{0} {1}", "The {0} {1}", "{1}, {0}", "{0} {1} II", "{1} at {2}")
_HOURS = (
    "Dawn", "Daybreak", "Dusk", "Five", "Midnight", "Nine", "Noon", "Seven", "Sundown", "Three",
)  # fmt: skip
_FIRST = (
    "Ada", "Bruno", "Clara", "Dalia", "Edda", "Felix", "Greta", "Hanno", "Ines", "Juno", "Kasimir", "Lena", "Milo",
    "Nora", "Otis", "Paloma", "Quentin", "Rosa", "Selma", "Theo", "Una", "Vito", "Wanda", "Yara", "Zeno",
)  # fmt: skip
_LAST = (
    "Abend", "Birk", "Corso", "Delmar", "Elster", "Fontane", "Grove", "Halm", "Iver", "Jansen", "Kestrel", "Linden",
    "Marlow", "Nacht", "Orsini", "Parell", "Quill", "Rook", "Sand", "Thorne", "Ulm", "Vale", "Winter", "Yew",
)  # fmt: skip
_BANDS = ("{0} {1}", "{1} & {2}", "The {1} Trio", "{1} Orchestra", "{0} {1} Ensemble")


def named(loop: Loop) -> Loop:
    """The loop with title, artist and genre, where it had none."""
    dice = Random(hashlib.sha256(f"{loop.loop_id}|{_words(loop)}".encode()).digest())
    title = loop.title or dice.choice(_FORMS).format(dice.choice(_COLOURS), dice.choice(_PLACES), dice.choice(_HOURS))
    artist = loop.artist or dice.choice(_BANDS).format(dice.choice(_FIRST), dice.choice(_LAST), dice.choice(_LAST))
    return replace(loop, title=title, artist=artist, genre=loop.genre or _genre(loop))


def name_of(loop: Loop) -> str:
    """The loop in a sentence."""
    return f"“{loop.title}”" if loop.title else "the start-up loop" if loop.startup else loop.loop_id


def _words(loop: Loop) -> str:
    return f"{loop.recipe.prompt}|{loop.recipe.seed}" if loop.recipe is not None else ""


def _genre(loop: Loop) -> str:
    if loop.recipe is None:
        return ""
    if loop.recipe.style:
        return loop.recipe.style
    words: list[str] = re.findall(r"[\w-]+", loop.recipe.prompt)
    return " ".join(words[:3]).lower()
