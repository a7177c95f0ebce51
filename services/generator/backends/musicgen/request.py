"""What a job asks for, in the model's terms: the words that it reads, how long to write, the seed, the device."""

from __future__ import annotations

import importlib.util
import re
import secrets
from typing import Final

from services.generator.backends.musicgen.runtime import Device
from shared.errors import JobRefused
from shared.messages import Job

SHORTEST_S: Final = 1.0
LONGEST_S: Final = 300.0
DEFAULT_S: Final = 12.0
_KEY: Final = re.compile(r"^([A-Ga-g][#b♯♭]?)\s*(m|min|minor|maj|major)?$")


def wording(job: Job) -> str:
    """The prompt as the model reads it: tempo, key and metre are words to it, and wishes.

    Tempo and key are put as they were put to the model in its training (audiocraft, ``music_dataset.py``:
    "description. bpm: 80. key: a minor").
    """
    words = [job.prompt.strip().rstrip(".")]
    if job.meter:
        words[0] += f", {job.meter} time"
    if job.bpm is not None:
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


def seconds_of(job: Job) -> float:
    """The clip's length: as asked, or so many bars at the asked tempo (of four quarters unless the metre says else).

    Raises
    ------
    JobRefused
        Out of range; the sentence names it.
    """
    seconds = job.seconds
    if seconds is None and job.bars is not None and job.bpm is not None:
        seconds = job.bars * _quarters(job.meter) * 60.0 / job.bpm
    seconds = DEFAULT_S if seconds is None else seconds
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise JobRefused(f"MusicGen makes {SHORTEST_S:g} to {LONGEST_S:g} s of music, not {seconds:g} s.")
    return seconds


def _quarters(meter: str | None) -> float:
    """Length of a bar in quarter notes."""
    beats, _, unit = (meter or "4/4").partition("/")
    if not (beats.isdigit() and unit.isdigit() and int(beats) and int(unit)):
        raise JobRefused(f"{meter!r} is no metre: write it like 3/4.")
    return int(beats) * 4 / int(unit)


def seed_of(job: Job) -> int:
    """The job's seed, or a new one."""
    return job.seed & 0xFFFF_FFFF_FFFF if job.seed is not None else secrets.randbelow(1 << 31)


def device_of(wanted: str) -> Device:
    """``auto`` takes a GPU that ONNX Runtime can use, else the processor."""
    if wanted == "cuda":
        return "cuda"
    if wanted == "cpu" or importlib.util.find_spec("onnxruntime") is None:
        return "cpu"
    import onnxruntime as ort

    return "cuda" if "CUDAExecutionProvider" in ort.get_available_providers() else "cpu"
