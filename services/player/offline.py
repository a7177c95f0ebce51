"""The station's programme without a clock: the same engine, as fast as the machine goes, the same bytes every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from services.player.engine import Engine
from services.player.gains import STOP_FRAMES
from services.player.moves import MoveRequest
from services.player.samples import Samples
from services.player.store import LoadedLoop, LoadedTransition
from shared.messages import Wanted
from shared.music import Loop
from shared.settings.player import PlayerSettings
from shared.units import STATION_CHANNELS, TAP_BLOCK, Audio

_AHEAD = 2
Transitions = Callable[[LoadedLoop, LoadedLoop, int], LoadedTransition | None]
"""Renders the change between two loops ahead, not before this frame of the first; None: the player fades by itself."""


@dataclass(frozen=True)
class Song:
    """A song of the programme and the frame at which it begins (at the start of the change that leads into it)."""

    frame: int
    loop: Loop
    entered: str
    """How: "fade on the bar (the song has lasted its time)"."""


class Programme:
    """Songs of the loops that come from ``loops``, in their order, each for ``min_duration`` and to the phrase's end.

    Where the loops come to an end the last ones go round. Only the song that sounds, the one before it and the two that
    follow are in memory.
    """

    def __init__(
        self,
        loops: Iterator[LoadedLoop],
        player: PlayerSettings,
        *,
        loudness: float = -16.0,
        transitions: Transitions | None = None,
    ) -> None:
        self.songs: list[Song] = []
        """The songs that have begun so far."""
        self._loops = loops
        self._transitions = transitions
        self._wanted = Wanted(
            number=1,
            playing=True,
            volume=100,
            min_duration_s=player.min_duration,
            transition=player.transition,  # type: ignore[arg-type]
            variation=player.variation,  # type: ignore[arg-type]
        )
        self._held: list[LoadedLoop] = [next(loops)]
        self._engine = Engine(self._held[0], self._wanted, _made_at_once, loudness=loudness)

    def blocks(self, frames: int) -> Iterator[Audio]:
        """The next ``frames`` of the programme in blocks of 960 or less, faded out over the last two seconds.

        Each block is an array of its own, shape=(n, 2).
        """
        out = np.empty((TAP_BLOCK, STATION_CHANNELS), np.float32)
        fade = max(0, frames - STOP_FRAMES)
        done = 0
        while done < frames:
            self._stock()
            if done == fade:
                self._engine.want(msgspec.structs.replace(self._wanted, number=2, playing=False, stopped=True))
            stop = fade if done < fade else frames
            tap = np.empty((min(TAP_BLOCK, stop - done), STATION_CHANNELS), np.float32)
            self._engine.render(tap, out[: len(tap)])
            done += len(tap)
            yield tap

    def _stock(self) -> None:
        """Note a song that has begun, and have two more at hand."""
        report = self._engine.report()
        if len(self.songs) < report.songs:
            self.songs.append(Song(report.frames - report.song_frames, report.loop, report.entered))
            self._fill(report.loop.loop_id, report.leave_frame or 0)

    def _fill(self, current: str, leave_frame: int) -> None:
        at = [held.loop_id for held in self._held].index(current)
        if at > 1:
            self._held = self._held[at - 1 :]
            at = 1
        while len(self._held) - at - 1 < _AHEAD and (loaded := next(self._loops, None)) is not None:
            self._held.append(loaded)
            self._engine.add(loaded)
        self._engine.keep({held.loop_id for held in self._held})
        if self._transitions is not None and at + 1 < len(self._held):
            rendered = self._transitions(self._held[at], self._held[at + 1], leave_frame)
            if rendered is not None:
                self._engine.add_transition(rendered)


def _made_at_once(request: MoveRequest) -> Samples:
    return request.make()
