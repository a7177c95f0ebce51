"""What a saved file says of itself: how it loops, what it is called, and truthfully how it was made. Pure.

Sources: IPTC NewsCodes, "Digital Source Type", tells media made by a trained model from media made by an algorithm
alone; Vorbis comment field names are those that other programs look for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from shared import __version__
from shared.music import Loop, Recipe

APPLICATION = f"INFINI LOOP {__version__}"
_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_QUARTER = 4
"""The note that tempo counts."""


@dataclass(frozen=True)
class Tags:
    """What a file says of itself."""

    title: str = ""
    artist: str = ""
    genre: str = ""
    comment: str = ""
    """What it is and how it was made, in one sentence for people."""
    facts: tuple[tuple[str, str], ...] = ()
    """The same for programs: name and value."""
    loop_frames: int = 0
    """The file loops over so many frames from its first one; 0 where it does not loop."""
    bpm: float | None = None
    """Quarter notes a minute."""
    key: str = ""
    """Such as ``Am`` or ``F#``."""
    quarters: float | None = None
    """Length in quarter notes, where it is a whole number of bars."""
    meter: tuple[int, int] = (4, _QUARTER)


def tags_of(loop: Loop, frames: int, *, loops: bool = True) -> Tags:
    """The tags of a file of ``frames`` frames of this loop.

    Parameters
    ----------
    loops : the file's last frame is followed by its first.
    """
    facts = disclosure(loop.recipe) if loop.recipe is not None else ()
    quarters = frames / loop.sample_rate * loop.bpm / 60.0 if loop.bpm and loops else None
    return Tags(
        title=loop.title,
        artist=loop.artist,
        genre=loop.genre,
        comment=in_words(loop.recipe) if loop.recipe is not None else APPLICATION,
        facts=facts,
        loop_frames=frames if loops else 0,
        bpm=loop.bpm,
        key=short_key(loop.key),
        quarters=round(2 * quarters) / 2 if quarters is not None else None,
        meter=meter_of(loop),
    )


def disclosure(recipe: Recipe) -> tuple[tuple[str, str], ...]:
    """What is to be said of who made this, as name and value. Of a licence no more is said than is known."""
    fields = {
        "BACKEND": recipe.backend,
        "MODEL": recipe.model,
        "MODEL_REVISION": recipe.model_revision,
        "WEIGHTS_LICENCE": recipe.weights_licence,
        "PROMPT": recipe.prompt,
        "SEED": recipe.seed,
    }
    known = tuple((name, str(value)) for name, value in fields.items() if value not in (None, ""))
    return (*disclosed(recipe.disclosure, trained=bool(recipe.model or recipe.weights_licence)), *known)


def disclosed(sentence: str, *, trained: bool) -> tuple[tuple[str, str], ...]:
    """Whether a trained model made it, for programs, and in words."""
    kind = "trainedAlgorithmicMedia" if trained else "algorithmicMedia"
    facts = (("AI_GENERATED", "yes" if trained else "no"), ("DIGITALSOURCETYPE", _SOURCE_TYPE + kind))
    return (("DISCLOSURE", sentence), *facts) if sentence else facts


def in_words(recipe: Recipe) -> str:
    """The same as one sentence."""
    made = " ".join(part for part in (recipe.backend, recipe.model, recipe.model_revision) if part)
    parts = [
        recipe.disclosure or "generated",
        f"made by {made}",
        f"seed {recipe.seed}" if recipe.seed is not None else "",
        f"weights {recipe.weights_licence}" if recipe.weights_licence else "",
        f"prompt: {recipe.prompt}",
        APPLICATION,
    ]
    return "; ".join(part for part in parts if part)


def short_key(key: str | None) -> str:
    """``A minor`` and ``Am`` as ``Am``, ``F# major`` as ``F#``; empty where there is none."""
    found = re.fullmatch(r"([A-G][#b♯♭]?)\s*(m|min|minor|maj|major|)", (key or "").strip())
    if found is None:
        return ""
    return found[1].replace("♯", "#").replace("♭", "b") + ("m" if found[2] in ("m", "min", "minor") else "")


def meter_of(loop: Loop) -> tuple[int, int]:
    """Numerator and denominator of the metre, as the recipe or the loop tells it."""
    told = loop.recipe.options.get("meter") if loop.recipe is not None else None
    found = re.fullmatch(r"(\d{1,2})/(\d{1,2})", told) if isinstance(told, str) else None
    if found is not None:
        return int(found[1]), int(found[2])
    return loop.beats_per_bar or 4, _QUARTER


def file_name(loop: Loop, form: str, bars: int | None) -> str:
    """A name that tells what is in the file: ``Amber Street_92bpm_Am_8bars.wav``."""
    title = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|]+', " ", loop.title).strip(" .") or "loop"
    parts: Sequence[str] = (
        " ".join(title.split())[:60],
        f"{loop.bpm:.1f}bpm".replace(".0bpm", "bpm") if loop.bpm else "",
        short_key(loop.key),
        f"{bars}bars" if bars else "",
    )
    return "_".join(part for part in parts if part) + f".{form}"
