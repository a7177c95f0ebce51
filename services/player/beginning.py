"""How the player begins: what was wanted last, which loop sounds first, and whether it follows a killed player."""

from __future__ import annotations

import contextlib
import logging
import random
from pathlib import Path

from services.player.gains import STOP_FRAMES
from services.player.samples import Pool
from services.player.startup import any_startup_loop
from services.player.store import LoadedLoop, load_loop
from shared.errors import AudioFileError, ProtocolError
from shared.messages import Wanted, decode
from shared.paths import Paths
from shared.settings import Settings
from shared.units import STATION_RATE

log = logging.getLogger(__name__)

RETURN_FRAMES = STATION_RATE // 20
"""Whoever was in the middle of a song waits for no gentle beginning."""
_SIGN = "player.sounding"


class Sign:
    """A file in the state folder while a player lives: one that finds it there at its start follows a killed one."""

    def __init__(self, paths: Paths) -> None:
        self._file = paths.state / _SIGN
        self.fade_in = RETURN_FRAMES if self._file.exists() else STOP_FRAMES

    def put_up(self) -> None:
        with contextlib.suppress(OSError):
            self._file.touch()

    def take_down(self) -> None:
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)


def last_wanted(paths: Paths, settings: Settings) -> Wanted:
    """What was wanted when the station last ran; playing, by the settings, if nothing can be read of it."""
    player = settings.player
    fresh = Wanted(
        number=0,
        playing=True,
        volume=player.volume,
        min_duration_s=player.min_duration,
        transition=player.transition,  # type: ignore[arg-type]
        variation=player.variation,  # type: ignore[arg-type]
        driver=player.driver,
        output_device=player.output_device,
    )
    try:
        found = decode(paths.wanted_file.read_bytes())
    except FileNotFoundError:
        return fresh
    except (OSError, ProtocolError) as error:
        log.warning("What was wanted last cannot be read (%s): playing by the settings.", error)
        return fresh
    return found if isinstance(found, Wanted) else fresh


def first_loop(wanted: Wanted, folders: tuple[Path, ...], pool: Pool) -> LoadedLoop:
    """What sounds first: the first loop of the queue that can be read, else one of the shipped ones."""
    for loop in wanted.queue:
        try:
            return load_loop(loop, folders, pool)
        except AudioFileError as error:
            log.info("%s", error)
    return any_startup_loop(random.Random())
