"""A job in the terms of models that know nothing but words and seconds: MusicGen, whoever runs it."""

from __future__ import annotations

import re
from typing import Final

from shared.errors import JobRefused
from shared.messages import Job

_KEY: Final = re.compile(r"^([A-Ga-g][#b♯♭]?)\s*(m|min|minor|maj|major)?$")


def wording(job: Job) -> str:
    """The prompt as the model reads it: tempo, key and metre are words to it, and wishes.

    Tempo and key are put as they were put to the model in its training (audiocraft, ``music_dataset.py``:
    "description. bpm: 80. key: a minor").
    """
    words = [" ".join(job.prompt.split()).rstrip(".")]
    if job.meter:
        words[0] += f", {job.meter} time"
    if job.bpm is not None and "bpm" not in words[0].lower():
        words.append(f"bpm: {job.bpm:g}")
    if job.key:
        words.append(f"key: {_key(job.key)}")
    return ". ".join(words)


def _key(name: str) -> str:
    found = _KEY.match(name.strip())
    if found is None:
        return name.strip().lower()
    tonic = found[1].replace("♯", "#").replace("♭", "b").lower()
    return f"{tonic} {'minor' if found[2] in ('m', 'min', 'minor') else 'major'}"


def seconds_of_bars(job: Job) -> float | None:
    """How long the asked bars last at the asked tempo; ``None`` where they were not asked for.

    Raises
    ------
    JobRefused
        The metre is none.
    """
    if job.bars is None or job.bpm is None:
        return None
    return job.bars * _quarters(job.meter) * 60.0 / job.bpm


def _quarters(meter: str | None) -> float:
    """Length of a bar in quarter notes."""
    beats, _, unit = (meter or "4/4").partition("/")
    if not (beats.isdigit() and unit.isdigit() and int(beats) and int(unit)):
        raise JobRefused(f"{meter!r} is no metre: write it like 3/4.")
    return int(beats) * 4 / int(unit)
