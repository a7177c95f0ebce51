"""The outline of a loop for its picture: the highest and lowest sample of each of some hundred slices."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from shared.errors import AudioFileError

SLICES: Final = 400
_READ_FRAMES: Final = 1 << 16


def read_peaks(path: Path, folders: tuple[Path, ...]) -> list[list[float]]:
    """The outline of an audio file, read piece by piece so that a long one takes no more memory.

    Parameters
    ----------
    path : the file that a loop's record names
    folders : where such files may lie; anything else is refused, links included

    Returns
    -------
    peaks : ``SLICES`` pairs of the lowest and the highest sample over both channels, −1 … 1, to three decimals

    Raises
    ------
    AudioFileError
        Outside the folders, gone, or not audio.
    """
    import soundfile

    resolved = path.resolve()
    if not any(resolved.is_relative_to(folder.resolve()) for folder in folders):
        raise AudioFileError("The loop's file lies outside the station's folders and is refused.")
    try:
        with resolved.open("rb") as file, soundfile.SoundFile(file) as sound:
            frames = sound.frames
            low, high = np.zeros(SLICES, np.float32), np.zeros(SLICES, np.float32)
            begin = 0
            for block in sound.blocks(_READ_FRAMES, dtype="float32", always_2d=True):
                slices = np.minimum((np.arange(begin, begin + len(block)) * SLICES) // max(frames, 1), SLICES - 1)
                first = np.flatnonzero(np.diff(slices, prepend=-1))
                at = slices[first]
                low[at] = np.minimum(low[at], np.minimum.reduceat(block.min(axis=1), first))
                high[at] = np.maximum(high[at], np.maximum.reduceat(block.max(axis=1), first))
                begin += len(block)
    except (OSError, soundfile.SoundFileError) as error:
        raise AudioFileError("The loop's file is gone or cannot be read.") from error
    return [[round(float(a), 3), round(float(b), 3)] for a, b in zip(low, high, strict=True)]
