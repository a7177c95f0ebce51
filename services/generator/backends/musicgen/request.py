"""What a job asks for, in the model's terms: how long to write, from which seed, on which device."""

from __future__ import annotations

import importlib.util
import secrets
from typing import Final

from services.generator.backends.musicgen.runtime import Device
from services.generator.wording import seconds_of_bars
from shared.errors import JobRefused
from shared.messages import Job

SHORTEST_S: Final = 1.0
LONGEST_S: Final = 300.0
DEFAULT_S: Final = 12.0


def seconds_of(job: Job) -> float:
    """The clip's length: as asked, or so many bars at the asked tempo (of four quarters unless the metre says else).

    Raises
    ------
    JobRefused
        Out of range; the sentence names it.
    """
    seconds = job.seconds or seconds_of_bars(job) or DEFAULT_S
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise JobRefused(f"MusicGen makes {SHORTEST_S:g} to {LONGEST_S:g} s of music, not {seconds:g} s.")
    return seconds


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
