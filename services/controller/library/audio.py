"""Keeping a loop's audio: 24-bit FLAC, bit for bit what the cache holds, with the loop's record in it.

Blocks; for the disk thread. A second at a time, so that no song lies in memory as a whole.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from services.controller.library.entry import audio_file
from shared import __version__
from shared.errors import AudioFileError, StoreError
from shared.music import Loop

_BLOCK = 48_000
_COMPRESSION = 0.25
"""Of libsndfile's scale from 0 to 1: more takes twice the time for a tenth of a percent."""


@dataclass(frozen=True)
class Kept:
    """A loop whose audio lies in the library's folder."""

    loop: Loop
    """With its path there."""
    bytes: int


def keep_audio(loop: Loop, folder: Path, *, free_wanted: int) -> Kept | None:
    """Put the loop's audio into the library's folder; None where the disk has less than ``free_wanted`` bytes left.

    Raises
    ------
    AudioFileError
        The loop's own file is gone or cannot be read.
    StoreError
        The library's folder cannot be written.
    """
    import soundfile

    target, source = audio_file(folder, loop.loop_id), Path(loop.path)
    kept = replace(loop, path=str(target))
    if source == target:
        return Kept(kept, target.stat().st_size)
    if not source.is_file():
        raise AudioFileError(f"The audio of {loop.title or loop.loop_id} is no longer in the cache.")
    if shutil.disk_usage(folder).free - source.stat().st_size < free_wanted:
        return None
    beside = folder / f".{target.name}.{os.getpid()}.part"
    try:
        _encode(source, beside, kept)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(target)
        if loop.codes_path and Path(loop.codes_path).is_file():
            codes = folder / Path(loop.codes_path).name
            shutil.copyfile(loop.codes_path, codes)
            kept = replace(kept, codes_path=str(codes))
        return Kept(kept, target.stat().st_size)
    except (OSError, soundfile.SoundFileError) as error:
        raise StoreError(f"{target} cannot be written ({error}): free some disk space.") from error
    finally:
        beside.unlink(missing_ok=True)


def read_record(path: Path) -> Loop | None:
    """The loop's record out of a file of the library; None where it is none."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as sound:
            frames, rate, comment = sound.frames, sound.samplerate, sound.comment
        loop = msgspec.json.decode(comment, type=Loop)
    except (OSError, soundfile.SoundFileError, msgspec.DecodeError):
        return None
    return replace(loop, path=str(path)) if (loop.frames, loop.sample_rate) == (frames, rate) else None


def _encode(source: Path, target: Path, loop: Loop) -> None:
    import soundfile

    recipe = loop.recipe
    with (
        soundfile.SoundFile(source) as audio,
        soundfile.SoundFile(
            target,
            "w",
            audio.samplerate,
            audio.channels,
            "PCM_24",
            format="FLAC",
            compression_level=_COMPRESSION,
        ) as flac,
    ):
        said = {
            "title": loop.title,
            "artist": loop.artist,
            "genre": loop.genre,
            "license": recipe.disclosure if recipe is not None else "",
            "software": f"INFINI LOOP {__version__}",
            "comment": msgspec.json.encode(loop).decode(),
        }
        for name, words in said.items():
            if words:
                setattr(flac, name, words)
        while len(block := audio.read(_BLOCK, dtype="int32", always_2d=True)):
            flac.write(block)
        if flac.frames != loop.frames:
            raise AudioFileError(f"{source} is cut off: {flac.frames} of {loop.frames} frames are there.")
