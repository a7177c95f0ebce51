"""Titles, artists and genres for loops, generated from the loop itself and unlike those around it. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Container, Iterable
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
_GENRES = (
    "lo-fi", "lofi", "drum and bass", "hip hop", "hip-hop", "deep house", "house", "techno", "trance", "dubstep", "dub",
    "ambient", "drone", "synthwave", "vaporwave", "chillwave", "downtempo", "trip hop", "trip-hop", "trap", "funk",
    "soul", "disco", "bossa nova", "bossa", "samba", "salsa", "tango", "cumbia", "reggaeton", "reggae", "ska", "swing",
    "bebop", "jazz", "blues", "gospel", "country", "bluegrass", "folk", "celtic", "flamenco", "afrobeat", "metal",
    "punk", "grunge", "post-rock", "rock", "indie", "pop", "chiptune", "8-bit", "orchestral", "cinematic", "classical",
    "baroque", "waltz", "choir", "electronic", "edm", "piano", "guitar", "strings",
)  # fmt: skip
"""Looked for in a prompt in this order: the narrower before the wider."""
_TRIES = 200


def named(loop: Loop, others: Iterable[Loop] = ()) -> Loop:
    """The loop with title, artist and genre, where it had none: a title that none of the others has, and an artist
    that is not the last one's.
    """
    dice = Random(hashlib.sha256(f"{loop.loop_id}|{_words(loop)}".encode()).digest())
    around = list(others)
    taken = {other.title for other in around}
    title = loop.title or _unlike(taken, lambda: _title(dice))
    artist = loop.artist or _unlike({other.artist for other in around[-1:]}, lambda: _artist(dice))
    return replace(loop, title=title, artist=artist, genre=loop.genre or _genre(loop))


def name_of(loop: Loop) -> str:
    """The loop in a sentence."""
    return f"“{loop.title}”" if loop.title else "the start-up loop" if loop.startup else loop.loop_id


def _unlike(taken: Container[str], make: Callable[[], str]) -> str:
    """One that is not taken; where that many are, the last one tried."""
    name = make()
    for _ in range(_TRIES):
        if name not in taken:
            break
        name = make()
    return name


def _title(dice: Random) -> str:
    return dice.choice(_FORMS).format(dice.choice(_COLOURS), dice.choice(_PLACES), dice.choice(_HOURS))


def _artist(dice: Random) -> str:
    leader, partner = dice.sample(_LAST, 2)
    return dice.choice(_BANDS).format(dice.choice(_FIRST), leader, partner)


def _words(loop: Loop) -> str:
    return f"{loop.recipe.prompt}|{loop.recipe.seed}" if loop.recipe is not None else ""


def _genre(loop: Loop) -> str:
    if loop.recipe is None:
        return ""
    if loop.recipe.style:
        return loop.recipe.style
    prompt = loop.recipe.prompt.casefold()
    for genre in _GENRES:
        if re.search(rf"(?<![\w-]){re.escape(genre)}(?![\w-])", prompt):
            return genre
    return " ".join(re.findall(r"[\w-]+", prompt)[:3])
