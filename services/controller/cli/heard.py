"""What was heard last, out of the pieces that the station keeps of it (``shared.heard``)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import InfiniLoopError, UsageError
from shared.heard import PIECE_S, Piece, Song, look_into, pieces, read_piece
from shared.units import STATION_RATE, Audio

if TYPE_CHECKING:
    from services.controller.saving import Tags

LONGEST_S = 24 * 3600.0
_BREAK_S = 3600.0
"""What was heard before a break of an hour is no longer what was heard last."""
_PRESENT_S = PIECE_S + 1.0
"""The newest piece of a station that sounds is no older than this, and the next one comes within it."""
_LOOK_S = 0.05
NOTHING = (
    "Nothing that was heard is kept: nothing has sounded yet, `heard_minutes` is 0, or the disk has too little room; "
    "`infiniloop status` tells."
)
_UNITS = {"h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0, "": 1.0}


@dataclass(frozen=True)
class Heard:
    """A stretch of what was heard."""

    paths: tuple[Path, ...]
    """Of its pieces, oldest first."""
    skip: int
    """Frames of the first piece that are left out."""
    frames: int
    songs: tuple[Song, ...]
    """The loops that sounded, in their order."""
    began_at: float
    ended_at: float
    """Seconds since the epoch."""

    @property
    def seconds(self) -> float:
        return self.frames / STATION_RATE

    def blocks(self) -> Iterator[Audio]:
        left, skip = self.frames, self.skip
        for path in self.paths:
            block = read_piece(path)[skip : skip + left]
            left, skip = left - len(block), 0
            yield block

    def tags(self) -> Tags:
        """What a file of it says: who made what sounded, all of them."""
        from services.controller.saving.tags import APPLICATION, Tags, disclosed

        names = [f"“{song.title}”" + (f" by {song.artist}" if song.artist else "") for song in self.songs if song.title]
        made = list(dict.fromkeys(song.disclosure for song in self.songs if song.disclosure))
        heard = f"what was heard: {', '.join(names)}" if names else "what was heard"
        return Tags(
            title=self.title,
            artist="INFINI LOOP",
            comment="; ".join([*made, heard, APPLICATION]),
            facts=disclosed(" | ".join(made), trained=any(song.trained for song in self.songs)),
        )

    @property
    def title(self) -> str:
        begun, ended = time.localtime(self.began_at), time.localtime(self.ended_at)
        return f"Heard {time.strftime('%Y-%m-%d %H.%M', begun)}–{time.strftime('%H.%M', ended)}"


def last_heard(folder: Path, seconds: float, moment: float) -> Heard:
    """The last ``seconds`` before ``moment`` (seconds since the epoch), or as much of them as there is.

    Raises
    ------
    InfiniLoopError
        Nothing is kept.
    """
    there = _until(folder, moment)
    wanted = round(seconds * STATION_RATE)
    ended = there[-1].ended_at if there else moment
    beyond = round(max(0.0, ended - moment) * STATION_RATE)
    taken: list[tuple[Piece, int]] = []
    songs: list[Song] = []
    frames, later = -beyond, ended
    for piece in reversed(there):
        count, heard = look_into(piece.path)
        if later - piece.ended_at > _BREAK_S or frames >= wanted:
            break
        if count:
            taken.append((piece, count))
            songs += reversed(heard)
            frames += count
            later = piece.ended_at - count / STATION_RATE
    if frames <= 0:
        raise InfiniLoopError(NOTHING)
    paths = tuple(piece.path for piece, _ in reversed(taken))
    named = tuple({song.loop_id: song for song in reversed(songs)}.values())
    return Heard(paths, max(0, frames - wanted), min(frames, wanted), named, later, min(ended, moment))


def _until(folder: Path, moment: float) -> list[Piece]:
    """The pieces, waited for if the one of this moment is just being written."""
    there = pieces(folder)
    while there and moment - _PRESENT_S < there[-1].ended_at < moment and time.time() < moment + _PRESENT_S:
        time.sleep(_LOOK_S)
        there = pieces(folder)
    return there


def parse_length(words: str) -> float:
    """Seconds of ``10m``, ``90s``, ``1h``, ``1m30s`` or ``2.5m``.

    Raises
    ------
    UsageError
        Not a length of time, or none that is kept.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(h|min|m|s)", words.strip().lower())
    if not parts or "".join(number + unit for number, unit in parts) != re.sub(r"\s+", "", words.lower()):
        raise UsageError(f"--last cannot be {words!r}: write how long, as 90s, 10m or 1m30s.")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not 0 < seconds <= LONGEST_S:
        raise UsageError(f"--last cannot be {words!r}: from 1s to 24h is understood.")
    return seconds
