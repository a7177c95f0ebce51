"""The whole of the player's sound as a function of frames: programme, transport, volume.

::

    loops → conductor → mixer → programme → transport (pause, stop, fade-in, sleep) → tap → volume → outputs

The programme stands still while nothing is to be heard, and goes on at the very next sample. Owned by one thread;
messages are given between two blocks. It reads no clock and knows no output.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.player.choice import Shelf
from services.player.conductor import Conductor, MoveMaker
from services.player.gains import PAUSE_FRAMES, SLEEP_FRAMES, STOP_FRAMES, VOLUME_FRAMES, Ramp, volume_gain
from services.player.mixer import Mixer
from services.player.store import LoadedLoop, LoadedTransition
from shared.messages import Wanted
from shared.music import Loop
from shared.units import STATION_CHANNELS, STATION_RATE, TAP_BLOCK, Audio


@dataclass(frozen=True, slots=True)
class Report:
    """What sounds, at one frame."""

    loop: Loop
    frame: int
    section: str
    pass_number: int
    song_frames: int
    song_length: int
    next_loop: Loop | None
    """The change that is foreseen, or what would come next."""
    ahead: tuple[str, ...]
    """The order of what may come, at hand or not."""
    previous: Loop | None
    """The song before, for ``back``."""
    note: str
    """The change that is foreseen, in words; else how this song was entered."""
    entered: str
    """How this song was entered."""
    songs: int
    leave_frame: int | None
    """Where in the loop's file the song will have lasted its time."""
    skips_done: int
    backs_done: int
    held: tuple[str, ...]
    sounding: bool
    wanted: Wanted
    frames: int
    """Frames of programme since the player began."""


class Engine:
    """Renders blocks of at most ``block`` frames; the sound rises over its first ``fade_in`` frames."""

    def __init__(
        self,
        first: LoadedLoop,
        wanted: Wanted,
        moves: MoveMaker,
        *,
        loudness: float = -16.0,
        block: int = TAP_BLOCK,
        fade_in: int = STOP_FRAMES,
    ) -> None:
        self._shelf = Shelf(first, wanted)
        self._conductor = Conductor(first, self._shelf, moves, loudness=loudness)
        self._mixer = Mixer(self._conductor)
        self._transport = Ramp(0.0)
        self._sleep = Ramp(1.0)
        self._asked: tuple[object, ...] = ()
        self._leave: int | None = None
        self._sleep_left: int | None = None
        self._sleep_fade = 0
        self._volume = Ramp(volume_gain(wanted.volume))
        self.programme: Audio = np.zeros((block, STATION_CHANNELS), np.float32)
        """The last block of programme, before transport and volume; see ``render``."""
        self._apply(wanted)
        self._transport.to(1.0 if wanted.playing and not wanted.stopped else 0.0, fade_in)

    # -- messages -----------------------------------------------------------------------------------------------------

    def want(self, wanted: Wanted) -> None:
        """The wanted state; one that is known already changes nothing."""
        if wanted == self._shelf.wanted:
            return
        before = self._shelf.wanted
        self._shelf.want(wanted)
        audible = wanted.playing and not wanted.stopped
        if self._transport.target != float(audible):
            slow = wanted.stopped if not audible else before.stopped
            self._transport.to(float(audible), STOP_FRAMES if slow else PAUSE_FRAMES)
        self._apply(wanted)
        self._replan()

    def add(self, loaded: LoadedLoop) -> None:
        """A loop that may be played from now on."""
        self._shelf.add(loaded)
        self._replan()

    def keep(self, loops: set[str]) -> None:
        """Let go of every loop but these and the one that sounds; a change to one that has gone is planned anew."""
        kept = {*loops, self._conductor.stand.loaded.loop_id}
        self._shelf.keep(kept)
        self._conductor.keep_transitions(kept)
        coming = self._conductor.coming
        if coming is not None and coming.loaded.loop_id not in kept:
            self._replan()

    def add_transition(self, loaded: LoadedTransition) -> None:
        self._conductor.add_transition(loaded)
        self._replan()

    # -- sound --------------------------------------------------------------------------------------------------------

    def render(self, tap: Audio, out: Audio) -> int:
        """Fill ``tap`` and ``out`` [shape=(n, 2)] with the next ``n`` frames, before and after the volume.

        Returns how many frames of programme went into them: ``programme[:count]``, untouched by pause and volume. The
        rest of the block is silence.
        """
        count = self._audible(len(out))
        programme = self.programme[:count]
        self._mixer.render(programme)
        np.copyto(tap[:count], programme)
        tap[count:] = 0.0
        self._transport.apply(tap[:count])
        self._fall_asleep(tap)
        np.copyto(out, tap)
        self._volume.apply(out)
        return count

    @property
    def song(self) -> tuple[int, int]:
        """Number of the song that sounds, from 1, and how many of its frames have sounded."""
        return self._conductor.songs, self._mixer.frames - self._conductor.stand.began

    def report(self) -> Report:
        stand, mixer, shelf = self._conductor.stand, self._mixer, self._shelf
        loop = stand.loaded.loop
        coming = self._conductor.coming
        ahead = shelf.order(stand.loaded)
        splice = stand.splice.transition if stand.splice is not None else None
        return Report(
            loop=loop,
            frame=(splice.entry_frame if splice is not None else mixer.frame) % loop.frames,
            section=stand.taken.label,
            pass_number=stand.number,
            song_frames=mixer.frames - stand.began,
            song_length=self._conductor.song_frames,
            next_loop=coming.loaded.loop if coming is not None else (ahead[0].loop if ahead else None),
            ahead=tuple(shelf.names_ahead(loop.loop_id)),
            previous=shelf.previous,
            note=self._conductor.note,
            entered=stand.note,
            songs=self._conductor.songs,
            leave_frame=self._leave_frame(),
            skips_done=shelf.skips_done,
            backs_done=shelf.backs_done,
            held=shelf.held,
            sounding=self._transport.target > 0.0 or self._transport.left > 0,
            wanted=shelf.wanted,
            frames=mixer.frames,
        )

    # -- within -------------------------------------------------------------------------------------------------------

    def _apply(self, wanted: Wanted) -> None:
        self._volume.to(volume_gain(wanted.volume), VOLUME_FRAMES)
        if wanted.fade_out_s is None:
            self._sleep_left = None
            self._sleep.to(1.0, PAUSE_FRAMES)
            return
        self._sleep_left = round(wanted.fade_out_s * STATION_RATE)
        self._sleep_fade = min(SLEEP_FRAMES, self._sleep_left)
        if self._sleep_left > self._sleep_fade:
            self._sleep.to(1.0, PAUSE_FRAMES)

    def _leave_frame(self) -> int | None:
        """Worked out once a song: it follows from the song's form."""
        asked = (self._conductor.songs, self._conductor.song_frames, self._shelf.wanted.variation)
        if asked != self._asked:
            self._asked, self._leave = asked, self._conductor.leave_frame()
        return self._leave

    def _replan(self) -> None:
        self._mixer.replan(self._conductor.again(self._mixer.offset, self._mixer.overlapping))

    def _audible(self, frames: int) -> int:
        """How many of the next ``frames`` are to be heard: all, or those until the fade to silence ends."""
        count = frames if self._transport.target > 0.0 else min(frames, self._transport.left)
        return count if self._sleep_left is None else min(count, self._sleep_left)

    def _fall_asleep(self, block: Audio) -> None:
        """The sleep timer's gain: it runs on while paused, and fades over the last of its time."""
        if self._sleep_left is None:
            self._sleep.apply(block)
            return
        awake = min(len(block), max(0, self._sleep_left - self._sleep_fade))
        self._sleep.apply(block[:awake])
        if awake < len(block) and self._sleep.target != 0.0:
            self._sleep.to(0.0, self._sleep_fade)
        self._sleep.apply(block[awake:])
        self._sleep_left = max(0, self._sleep_left - len(block))
