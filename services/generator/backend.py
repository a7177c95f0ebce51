"""The seam between the generator and whatever makes its music.

A backend runs in the generator's child process: it may be slow, may crash, and may be killed. It knows nothing of
sockets. Three kinds of work fit: a *clip*, a *continuation* of one, and a *stream* (an endless clip taken in blocks).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from shared.errors import Cancelled
from shared.messages import Capabilities, Job
from shared.music import Recipe, Truth
from shared.units import Audio


@dataclass(frozen=True)
class ClipFacts:
    """What the maker knows of a finished clip."""

    recipe: Recipe
    truth: Truth | None = None
    codes_path: Path | None = None
    midi: bytes | None = None
    download_s: float = 0.0
    """Time spent on fetching a model: not generation time."""


@dataclass
class JobControl:
    """How a running job speaks with its service: progress out, cancellation in."""

    report: Callable[[float, str], None] = field(default=lambda _fraction, _stage: None)
    """Called with the fraction done (0–1) and the stage in words."""
    cancelled: Callable[[], bool] = field(default=lambda: False)

    def check(self) -> None:
        """Raise ``Cancelled`` if the job was called back; long work asks at least every 100 ms."""
        if self.cancelled():
            raise Cancelled("The job was called back.")


@dataclass(frozen=True)
class Generation:
    """A clip on its way: its format is known at once, its blocks come as they are made, its facts at the end."""

    sample_rate: int
    channels: int
    blocks: Iterator[Audio]
    """Float32 ``(frames, channels)``, in order; raises ``BackendError`` or ``Cancelled`` on the way."""
    facts: Callable[[], ClipFacts]
    """Valid once ``blocks`` is exhausted."""


class Backend(Protocol):
    """Something that turns words into music."""

    @property
    def name(self) -> str: ...

    def capabilities(self) -> Capabilities:
        """What it can do on this machine now; never raises, loads nothing heavy."""
        ...

    def generate(self, job: Job, control: JobControl) -> Generation:
        """Begin a clip.

        Raises
        ------
        BackendUnavailable
            This machine cannot run it as it is.
        JobRefused
            The job asks for what this backend cannot do.
        BackendError
            It failed; another try may succeed.
        """
        ...

    def unload(self) -> None:
        """Give memory back; the next job loads again."""
        ...


@runtime_checkable
class BatchingBackend(Protocol):
    """A backend that makes several clips of one prompt at once; ``Capabilities.batch`` says how many at most."""

    def generate_many(self, jobs: Sequence[Job], control: JobControl) -> tuple[list[Generation], Iterator[None]]:
        """Begin clips that differ in their ids and seeds alone.

        Returns
        -------
        generations : one per job; their blocks hold what ``work`` has made so far
        work : to be exhausted first; each turn makes a block of every clip

        Raises
        ------
        JobRefused
            The jobs differ in more, or are too many; else as ``Backend.generate``.
        """
        ...
