"""A model's codes of a clip, kept beside it, so that a later clip can grow out of any point of it or of its loop.

The *sample map* says which sound the codes stand for: the clip's file begins ``start`` codec samples into the decoded
sound and has its own sample rate; the loop that was found in it begins ``loop_start`` frames into the file, ends at
``loop_end``, and is ``loop_frames`` long in its own file, which may have another rate and another tempo.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.durable import replace_file
from shared.errors import BackendError, JobRefused

_FORMAT: Final = 2
_LIMIT: Final = 64 << 20
"""Bytes; codes of an hour are far below."""


@dataclass(frozen=True)
class KeptCodes:
    """Codes [shape=(codebooks, frames)] and their sample map."""

    codes: NDArray[np.int64]
    model: str
    sample_rate: int
    """Of the codec."""
    hop: int
    """Codec samples per code frame."""
    clip_rate: int
    """Sample rate of the clip's file."""
    start: int = 0
    """Codec samples that were trimmed before the clip's first."""
    loop_start: int = 0
    """Frames of the clip's file, at its own rate, at which its loop begins and ends."""
    loop_end: int = 0
    loop_frames: int = 0
    """Frames of the loop's own file; 0 while no loop was found."""

    @property
    def seconds(self) -> float:
        """Length of the sound that the codes stand for, from the clip's first sample."""
        return self.second_of(int(self.codes.shape[1]))

    def frame_at(self, second: float) -> int:
        """The code frame that sounds at a second of the clip's file."""
        return (self.start + round(second * self.sample_rate)) // self.hop

    def second_of(self, frame: int) -> float:
        """The second of the clip's file at which a code frame begins."""
        return (frame * self.hop - self.start) / self.sample_rate

    def second_of_loop(self, frame: int) -> float:
        """The second of the clip's file that sounds at a frame of its loop's file.

        Raises
        ------
        JobRefused
            There is no loop of this clip.
        """
        if not self.loop_frames:
            raise JobRefused("The clip has no loop yet: continue it from a second of the clip.")
        inside = frame % self.loop_frames / self.loop_frames
        return (self.loop_start + inside * (self.loop_end - self.loop_start)) / self.clip_rate

    def cut(self, start: int, end: int, frames: int) -> KeptCodes:
        """With the loop that was found in the clip, ``start … end``, written as ``frames`` frames."""
        return replace(self, loop_start=start, loop_end=end, loop_frames=frames)

    def before(self, second: float | None) -> NDArray[np.int64]:
        """The codes up to a second of the clip, or all of them.

        Raises
        ------
        JobRefused
            The clip does not reach there, or hardly begins there.
        """
        if second is None:
            return self.codes
        frame = self.frame_at(second)
        if not 0 < frame <= self.codes.shape[1]:
            raise JobRefused(
                f"The clip cannot be continued from {second:.2f} s: "
                f"choose a point between 0.1 s and {self.seconds:.2f} s."
            )
        return self.codes[:, :frame]

    def save(self, path: Path) -> None:
        """Write an ``.npz``, whole or not at all.

        Raises
        ------
        StoreError
            The disk is full or read-only.
        """
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            codes=self.codes.astype(np.int16),
            model=np.array(self.model),
            map=np.array(
                [
                    _FORMAT,
                    self.sample_rate,
                    self.hop,
                    self.clip_rate,
                    self.start,
                    self.loop_start,
                    self.loop_end,
                    self.loop_frames,
                ],
                np.int64,
            ),
        )
        replace_file(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> KeptCodes:
        """Read what ``save`` wrote.

        Raises
        ------
        BackendError
            The file is missing, damaged, or not of this kind.
        """
        try:
            codes, model, (version, sample_rate, hop, clip_rate, *places) = _read(path)
            start, loop_start, loop_end, loop_frames = places
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
            raise _unreadable(path) from error
        if version != _FORMAT or codes.ndim != 2 or min(sample_rate, hop, clip_rate) < 1 or codes.min(initial=0) < 0:
            raise _unreadable(path)
        return cls(codes, model, sample_rate, hop, clip_rate, start, loop_start, loop_end, loop_frames)


def _read(path: Path) -> tuple[NDArray[np.int64], str, tuple[int, ...]]:
    if path.stat().st_size > _LIMIT:
        raise ValueError(path)
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        return file["codes"].astype(np.int64), str(file["model"]), tuple(int(value) for value in file["map"])


def _unreadable(path: Path) -> BackendError:
    return BackendError(
        f"The codes of the clip in {path.name} cannot be read: it cannot be continued; start a new one."
    )


def find_codes(clip_id: str, folders: Iterable[Path]) -> Path:
    """Where the codes of a clip lie: ``<clip_id>.npz`` in one of the folders or below.

    Raises
    ------
    JobRefused
        They are gone.
    """
    name = f"{clip_id}.npz"
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
        for found in folder.rglob(name):
            return found
    raise JobRefused(f"The clip {clip_id} cannot be continued: its codes are gone; start a new one.")
