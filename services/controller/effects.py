"""What the core wants done: its shell carries these out, in this order, after the state is safe on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from services.controller.statistics import Attempt
from shared.messages import Cancel, Job, Prepare
from shared.music import Loop


@dataclass(frozen=True)
class ToWorker:
    worker: str
    message: Job | Cancel


@dataclass(frozen=True)
class ToAnalyzer:
    message: Prepare


@dataclass(frozen=True)
class ToPlayer:
    """Send the wanted state."""


@dataclass(frozen=True)
class Shelve:
    """Have the library take this loop; it confirms with ``Station.shelved``."""

    loop: Loop


@dataclass(frozen=True)
class Heard:
    """Note in the library that this loop has sounded."""

    loop_id: str


@dataclass(frozen=True)
class Unshelve:
    """The file of this loop is of no use: have the library forget it."""

    loop_id: str


@dataclass(frozen=True)
class Draw:
    """Have the library look for loops that suit; it answers with ``Station.offered``."""

    prompt: str
    genre: str
    epoch: int


@dataclass(frozen=True)
class Delete:
    """These files of the library, which names them no longer, go."""

    files: tuple[Path, ...]


@dataclass(frozen=True)
class ForgetClip:
    """The clip of this job has got its receipt: its file may go."""

    job_id: str


@dataclass(frozen=True)
class Measured:
    """Note in the statistics what making a clip took; its time is the shell's to say."""

    attempt: Attempt


@dataclass(frozen=True)
class OwnSettings:
    """No preset plays: what one has set is taken back, and the listener's own settings are in force."""


Effect: TypeAlias = (
    ToWorker | ToAnalyzer | ToPlayer | Shelve | Heard | Unshelve | Draw | Delete | ForgetClip | Measured | OwnSettings
)
