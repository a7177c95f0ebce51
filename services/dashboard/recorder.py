"""Keeps what was heard: the last minutes of the tap on the disk, pauses left out.

Threads: ``take`` and ``close`` belong to the thread of the links and never wait; pieces are encoded, written and
dropped by a thread of the recorder's own. Whatever becomes of the disk, the station goes on.
"""

from __future__ import annotations

import logging
import queue
import shutil
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from shared.heard import PIECE_S, SPARE_S, Song, pieces, write_piece
from shared.messages import ControllerStatus, PlayerStatus, ServiceState
from shared.units import STATION_CHANNELS, STATION_RATE, TAP_BLOCK, Audio

log = logging.getLogger(__name__)

_PIECE_BLOCKS: Final = round(PIECE_S * STATION_RATE / TAP_BLOCK)
_PAUSE_BLOCKS: Final = 50
"""A silence of a second is a pause: what follows of it is not kept."""
_LONGEST_HOLE: Final = 250
"""Blocks; a wider hole in the tap is a machine that slept."""
ROOM: Final = 5
"""Pieces that may wait for the disk, 4 MB; beyond that they are given up."""
_SILENCE: Final[Audio] = np.zeros((TAP_BLOCK, STATION_CHANNELS), np.float32)


class Recorder:
    """Writes pieces into ``folder`` and drops the oldest.

    Parameters
    ----------
    minutes : of sound that are kept; 0 keeps nothing
    budget : bytes that they may take
    free : bytes of the disk below which nothing is kept
    songs : the loops that sound now
    room : pieces that may wait for the disk
    """

    def __init__(
        self,
        folder: Path,
        *,
        minutes: float,
        budget: int,
        free: int,
        songs: Callable[[], tuple[Song, ...]],
        room: int = ROOM,
    ) -> None:
        self._folder, self._budget, self._free, self._songs, self._room = folder, budget, free, songs, room
        self._most = round((minutes * 60 + SPARE_S) / PIECE_S) if minutes else 0
        self._blocks: list[Audio] = []
        self._heard: dict[str, Song] = {}
        self._expected: int | None = None
        self._quiet = 0
        self._told = ""
        self._work: queue.SimpleQueue[tuple[list[Audio], tuple[Song, ...]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="recorder", daemon=True)
        self._thread.start()

    def take(self, number: int, samples: Audio) -> None:
        """A block of the tap [shape=(960, 2)], which is kept as it is and must not change."""
        if not self._most:
            return
        missed = number - self._expected if self._expected is not None else 0
        self._expected = number + 1
        if self._blocks and 0 < missed <= _LONGEST_HOLE:
            self._blocks += [_SILENCE] * missed
        self._quiet = 0 if samples.any() else self._quiet + 1
        if self._quiet <= _PAUSE_BLOCKS:
            self._blocks.append(samples)
        if len(self._blocks) >= _PIECE_BLOCKS or self._quiet == _PAUSE_BLOCKS:
            self._hand_over()

    def close(self, within_s: float = 5.0) -> None:
        """Keep what has come so far, and end."""
        self._hand_over()
        self._work.put(None)
        self._thread.join(within_s)

    def _hand_over(self) -> None:
        now = {song.loop_id: song for song in self._songs()}
        songs, blocks = tuple({**self._heard, **now}.values()), self._blocks
        self._heard, self._blocks = now, []
        if not any(block.any() for block in blocks):
            return
        if self._work.qsize() >= self._room:
            self._say("The disk is too slow to keep what is heard.")
            return
        self._work.put((blocks, songs))

    # -- in the recorder's thread --------------------------------------------------------------------------------------

    def _write_all(self) -> None:
        kept = deque[tuple[Path, int]]()
        number = 0
        try:
            number = self._look(kept)
        except OSError as error:
            self._say(f"What was heard cannot be looked through ({error}).")
        while (work := self._work.get()) is not None:
            try:
                self._write(number, *work, kept)
                number += 1
            except Exception as error:
                self._say(f"What is heard cannot be kept ({error}).")

    def _look(self, kept: deque[tuple[Path, int]]) -> int:
        """Go on behind what an earlier recorder left, within the room that is given now; the next piece's number."""
        for part in self._folder.glob("*.part"):
            part.unlink(missing_ok=True)
        there = pieces(self._folder)
        kept.extend((piece.path, piece.bytes) for piece in there)
        self._drop(kept, self._most)
        return there[-1].number + 1 if there else 0

    def _write(self, number: int, blocks: list[Audio], songs: tuple[Song, ...], kept: deque[tuple[Path, int]]) -> None:
        if shutil.disk_usage(self._folder).free < self._free:
            self._say(f"The disk has less than {self._free // 1_000_000} MB free: what is heard is not kept.")
            self._drop(kept, 0)
            return
        path = write_piece(self._folder, number, np.concatenate(blocks), songs)
        kept.append((path, path.stat().st_size))
        self._drop(kept, self._most)
        self._told = ""

    def _drop(self, kept: deque[tuple[Path, int]], most: int) -> None:
        """Let the oldest pieces go, so that the rest fits."""
        size = sum(each for _, each in kept)
        while kept and (len(kept) > most or size > self._budget):
            path, own = kept.popleft()
            size -= own
            path.unlink(missing_ok=True)

    def _say(self, sentence: str) -> None:
        if sentence != self._told:
            log.warning("%s", sentence)
        self._told = sentence


def songs_of(states: dict[str, ServiceState]) -> tuple[Song, ...]:
    """The loop that sounds by these states, and what is to be said of it."""
    player, controller = states.get("player"), states.get("controller")
    if not isinstance(player, PlayerStatus) or player.loop is None:
        return ()
    loop, recipe = player.loop, player.loop.recipe
    titles = controller.titles if isinstance(controller, ControllerStatus) else {}
    return (
        Song(
            loop_id=loop.loop_id,
            title=titles.get(loop.loop_id) or loop.title,
            artist=loop.artist,
            disclosure=recipe.disclosure if recipe is not None else "",
            trained=recipe is not None and bool(recipe.model or recipe.weights_licence),
        ),
    )
