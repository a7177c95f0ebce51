"""Minutes of a loop as the player makes a song of it: its form, without the moves of the mix."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from services.player.form import Span, song
from services.player.mixer import Change, Mixer, Part
from services.player.schedule import entry_frame
from shared.music import Loop
from shared.units import STATION_RATE, Audio


class _Held:
    """A loop that is held in memory, as the mixer reads it."""

    def __init__(self, audio: Audio) -> None:
        self.frames = len(audio)
        self._audio = audio

    def read_into(self, out: Audio, start: int) -> None:
        np.copyto(out, self._audio[start : start + len(out)])


class _Form:
    """Leads the mixer through the song's passes, one stretch after the other."""

    def __init__(self, loop: Loop, audio: Audio) -> None:
        self._source = _Held(audio)
        self._spans = _spans(loop)
        self._next = next(self._spans)

    def entered(self, change: Change | None) -> Change:
        if change is None:
            return Change(0, self._part(self._next))
        here, self._next = self._next, next(self._spans)
        join = self._next.join
        return Change(here.end - change.part.begin - join, self._part(self._next), join)

    def _part(self, span: Span) -> Part:
        return Part(self._source, span.start - span.join, span.low, span.high)


def _spans(loop: Loop) -> Iterator[Span]:
    number = 0
    while True:
        yield from song(loop, number, "off", entry_frame(loop)).spans
        number += 1


def song_blocks(loop: Loop, audio: Audio, frames: int) -> Iterator[Audio]:
    """The first ``frames`` of the song that the player makes of this loop, a second at a time.

    Parameters
    ----------
    audio : float32 [shape=(loop.frames, 2)]
        The loop's samples, as loud as they are played.
    """
    mixer = Mixer(_Form(loop, audio))
    for start in range(0, frames, STATION_RATE):
        block = np.empty((min(STATION_RATE, frames - start), 2), np.float32)
        mixer.render(block)
        yield block
