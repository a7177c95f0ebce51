"""The loops that come with the package: music at once, before anybody has made any."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import msgspec

from services.player.samples import Samples
from services.player.store import STARTUP, LoadedLoop, load_loop
from shared.errors import AudioFileError
from shared.music import Loop
from shared.units import STATION_RATE

log = logging.getLogger(__name__)

RECORDS = "startup.json"
"""A JSON array of ``shared.music.Loop`` whose paths are file names beside it."""


def startup_loops(folder: Path = STARTUP) -> tuple[Loop, ...]:
    """The records of the shipped loops; none if the package is damaged."""
    try:
        records = msgspec.json.decode((folder / RECORDS).read_bytes(), type=tuple[Loop, ...])
    except (OSError, msgspec.DecodeError) as error:
        log.warning("The start-up loops are missing from the package (%s): install it again.", error)
        return ()
    return tuple(
        msgspec.structs.replace(loop, path=str(folder / Path(loop.path).name), startup=True) for loop in records
    )


def any_startup_loop(choice: random.Random, folder: Path = STARTUP) -> LoadedLoop:
    """One of the shipped loops, or two seconds of silence where none can be read."""
    loops = list(startup_loops(folder))
    choice.shuffle(loops)
    for loop in loops:
        try:
            return load_loop(loop, (folder,))
        except AudioFileError as error:
            log.warning("%s", error)
    return silence()


def silence() -> LoadedLoop:
    """A loop without a sound, left at its next bar for any other."""
    frames = 2 * STATION_RATE
    loop = Loop(loop_id="silence", job_id="silence", epoch=0, path="", frames=frames, bars=4, startup=True)
    return LoadedLoop(loop, Samples(frames))
