"""Decides what sounds next and when: songs, their forms, skips, and the changes between songs.

The controller says *what* and in which order (``Wanted``); the conductor says *when*. It knows no clock: its time is
the count of programme frames, so the same messages at the same frames give the same programme. Owned by one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from services.player.choice import Shelf, Target
from services.player.form import Pass, Span, song, stretch, stretch_frames
from services.player.mixer import Change, Part
from services.player.moves import MoveRequest
from services.player.samples import Samples
from services.player.schedule import (
    CUT_FADE,
    LONGEST_FADE,
    SKIP_FADE,
    bar_frames,
    entry_frame,
    fade_frames,
    leave_at,
    move_frames,
    next_bar,
)
from services.player.store import LoadedLoop, LoadedTransition
from shared.levels import playing_gain
from shared.messages import Wanted
from shared.units import STATION_RATE

_MOST_PASSES = 400
_LONGEST_WAIT = 30 * STATION_RATE
"""A rendered transition's exit is waited for so long; past that the player fades by itself."""
MoveMaker: TypeAlias = Callable[[MoveRequest], Samples | None]
"""Gives a move's audio, or None while it is being made; asked one pass ahead and again when it is needed."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Where the programme stands: what the part that sounds means."""

    loaded: LoadedLoop
    began: int
    """Programme frame at which the song began."""
    taken: Pass
    number: int = 0
    span: int = 0
    moved: bool = False
    """In the bars that a move replaces."""
    splice: LoadedTransition | None = None
    """A rendered transition sounds, which leads to ``loaded``."""
    note: str = ""
    """How this song was entered, in words."""

    @property
    def stretch(self) -> Span:
        return self.taken.spans[self.span]


@dataclass(frozen=True, slots=True)
class _Foreseen:
    change: Change
    stand: Stand
    target: Target | None = None


class Conductor:
    """The mixer's `Lead`.

    Parameters
    ----------
    shelf
        The loops at hand and the choice among them.
    moves
        Makes the audio of a move (see ``MoveMaker``).
    loudness
        LUFS to which a loop is brought that is off by more than 0.5 LU.
    """

    def __init__(self, first: LoadedLoop, shelf: Shelf, moves: MoveMaker, *, loudness: float = -16.0) -> None:
        self._shelf = shelf
        self._moves = moves
        self._loudness = loudness
        self._transitions: dict[tuple[str, str], LoadedTransition] = {}
        self._base = 0
        self.songs = 1
        stand = self._opening(first, 0, "")
        self._stand = stand
        self._playing = self._part(stand)
        self._foreseen = _Foreseen(Change(0, self._playing), stand)

    @property
    def stand(self) -> Stand:
        return self._stand

    @property
    def coming(self) -> Target | None:
        """The song that comes at the change foreseen, if it is a change of song."""
        return self._foreseen.target

    @property
    def song_frames(self) -> int:
        """How long the song that sounds is to last."""
        wanted = self._shelf.wanted
        return stretch_frames(self._stand.loaded.loop) if wanted.once else round(wanted.min_duration_s * STATION_RATE)

    @property
    def note(self) -> str:
        """The change that is foreseen, in words; else how the song that sounds was entered."""
        return self._foreseen.stand.note if self._foreseen.target is not None else self._stand.note

    def add_transition(self, loaded: LoadedTransition) -> None:
        self._transitions[loaded.transition.from_loop, loaded.transition.to_loop] = loaded

    def keep_transitions(self, loops: set[str]) -> None:
        """Forget transitions between loops that are not among these."""
        self._transitions = {pair: kept for pair, kept in self._transitions.items() if loops.issuperset(pair)}

    def entered(self, change: Change | None) -> Change:
        made = self._foreseen
        if change is None:
            return made.change
        self._base += change.at
        self._playing = change.part
        before, self._stand = self._stand, made.stand
        if made.target is not None:
            self.songs += 1
            self._shelf.entered(made.target, before.loaded.loop)
        self._foreseen = self._plan(max(1, change.overlap))
        return self._foreseen.change

    def again(self, offset: int, overlapping: int) -> Change:
        """The plan made anew after a message: the change to be expected now, ``offset`` frames into the part."""
        self._foreseen = self._plan(max(1, offset + overlapping))
        return self._foreseen.change

    # -- the plan -----------------------------------------------------------------------------------------------------

    def _plan(self, floor: int) -> _Foreseen:
        """What comes after the part that sounds, at ``floor`` frames into it or later."""
        stand = self._stand
        target = self._shelf.target(stand.loaded)
        if stand.splice is not None:
            left = self._leave_splice(stand, target, floor) if target is not None else None
            return left or self._after_splice(stand)
        left = self._leave(stand, target, floor) if target is not None else None
        natural = self._next_part(stand, floor, moves=left is None)
        return left if left is not None and left.change.at <= natural.change.at else natural

    def _leave(self, stand: Stand, target: Target, floor: int) -> _Foreseen | None:
        """The change to ``target`` if it comes within the stretch that sounds."""
        loop, span = stand.loaded.loop, stand.stretch
        start = self._playing.origin + self._playing.begin
        now = start + floor
        wanted = self._shelf.wanted
        if target.why in _AT_ONCE:
            leave = next_bar(loop, span, now) if bar_frames(loop) is not None else now
            longest = SKIP_FADE if target.why in ("skip", "back") else LONGEST_FADE
        else:
            due = stand.began + self.song_frames if target.why == "due" else 0
            earliest = max(now, start + due - self._base)
            splice = self._transitions.get((loop.loop_id, target.loaded.loop_id))
            if splice is not None and splice.transition.kind in _RENDERED[wanted.transition]:
                exit_frame = splice.transition.exit_frame
                # It goes on from the loop itself, so not out of the middle of a move.
                neutral = not stand.moved or exit_frame == span.end
                if neutral and earliest <= exit_frame <= span.end and span.start < exit_frame:
                    return self._splice(target, splice, exit_frame - start)
                if self._exit_ahead(stand, exit_frame):
                    return None
            found = leave_at(loop, span, earliest)
            if found is None:
                return None
            leave, longest = found, LONGEST_FADE
        if leave < now:
            return None
        begun = self._opening(target.loaded, self._base + leave - start, self._said(target, wanted))
        first = begun.stretch
        hard = wanted.transition in ("cut", "off")
        overlap = CUT_FADE if hard else fade_frames(loop, target.loaded.loop, longest)
        overlap = min(overlap, (first.end - first.start) // 2)
        return _Foreseen(Change(leave - start, self._part(begun), overlap), begun, target)

    def _splice(self, target: Target, splice: LoadedTransition, at: int) -> _Foreseen:
        done = splice.transition
        note = f"{done.kind}: {done.reason}" if done.reason else done.kind
        begun = replace(self._opening(target.loaded, self._base + at, note, entry=done.entry_frame), splice=splice)
        part = Part(splice.samples, 0, 0, splice.samples.frames)
        return _Foreseen(Change(at, part), begun, target)

    def _leave_splice(self, stand: Stand, target: Target, floor: int) -> _Foreseen | None:
        """The change to ``target`` out of a rendered transition, which may last many bars, at a bar line of its own.

        None where it can wait: it is no wish of the listener's, or the transition ends with this bar.
        """
        bar = bar_frames(stand.loaded.loop)
        assert stand.splice is not None
        frames = stand.splice.samples.frames
        if target.why not in _AT_ONCE or bar is None:
            return None
        left = int((frames - floor) / bar)
        if left < 1:
            return None
        at = frames - round(left * bar)
        wanted = self._shelf.wanted
        begun = self._opening(target.loaded, self._base + at, self._said(target, wanted))
        first = begun.stretch
        hard = wanted.transition in ("cut", "off")
        overlap = CUT_FADE if hard else fade_frames(stand.loaded.loop, target.loaded.loop, SKIP_FADE)
        overlap = min(overlap, frames - at, (first.end - first.start) // 2)
        return _Foreseen(Change(at, self._part(begun), overlap), begun, target)

    def _after_splice(self, stand: Stand) -> _Foreseen:
        assert stand.splice is not None
        after = replace(stand, splice=None)
        return _Foreseen(Change(stand.splice.samples.frames, self._part(after)), after)

    def _exit_ahead(self, stand: Stand, exit_frame: int) -> bool:
        """Whether the song comes past this frame soon, on its own way."""
        waited = stand.stretch.end - self._playing.origin - self._playing.begin
        for span in self._ahead(stand):
            if waited > _LONGEST_WAIT:
                return False
            if span.start < exit_frame <= span.end:
                return True
            waited += span.end - span.start
        return False

    def leave_frame(self) -> int | None:
        """Where in the loop's file this song will have lasted its time; None if it has, or that is too far ahead.

        For who renders the change ahead: no exit before this frame is of use.
        """
        stand = self._stand
        due = stand.began + self.song_frames - self._base
        at = self._playing.origin + self._playing.begin
        if stand.splice is not None:
            due, at = due - stand.splice.samples.frames, stand.stretch.start
        if due <= 0:
            return None
        if at + due <= stand.stretch.end:
            return at + due
        due -= stand.stretch.end - at
        for span in self._ahead(stand):
            if due <= span.end - span.start:
                return span.start + due
            due -= span.end - span.start
        return None

    def _ahead(self, stand: Stand) -> Iterator[Span]:
        """The stretches that follow the one that sounds, as far as anybody looks."""
        yield from stand.taken.spans[stand.span + 1 :]
        for number in range(stand.number + 1, stand.number + _MOST_PASSES):
            yield from self._pass(stand.loaded, number).spans

    def _next_part(self, stand: Stand, floor: int, *, moves: bool) -> _Foreseen:
        """How the song goes on by itself: a move, the next stretch of this pass, or the next pass."""
        span, start = stand.stretch, self._playing.origin + self._playing.begin
        last = stand.span == len(stand.taken.spans) - 1
        if moves and last and not stand.moved and stand.taken.move is not None:
            request = self._request(stand)
            clip = self._moves(request) if request is not None else None
            if request is not None and clip is not None and request.start - start >= floor:
                moved = replace(stand, moved=True)
                return _Foreseen(Change(request.start - start, self._part(moved, clip)), moved)
        if not last:
            after = replace(stand, span=stand.span + 1)
        else:
            after = replace(
                stand, number=stand.number + 1, taken=self._pass(stand.loaded, stand.number + 1), span=0, moved=False
            )
            self._prefetch(after)
        join = after.stretch.join
        at = span.end - start - join
        if at < floor:  # the stretch is shorter than the overlap that led into it: join hard at its end, or go round
            join, at = 0, span.end - start
        while at < floor:
            at += span.high - span.low
        return _Foreseen(Change(at, self._part(after, join=join), join), after)

    def _prefetch(self, stand: Stand) -> None:
        if stand.taken.move is not None and (request := self._request(stand)) is not None:
            self._moves(request)

    # -- pieces -------------------------------------------------------------------------------------------------------

    def _pass(self, loaded: LoadedLoop, number: int, entry: int = 0) -> Pass:
        wanted = self._shelf.wanted
        if wanted.once:
            return stretch(loaded.loop, number, entry)
        return song(loaded.loop, number, wanted.variation, entry)

    def _opening(self, loaded: LoadedLoop, began: int, note: str, entry: int | None = None) -> Stand:
        first = entry_frame(loaded.loop) if entry is None else entry
        return Stand(loaded, began, self._pass(loaded, 0, first), note=note)

    def _part(self, stand: Stand, clip: Samples | None = None, join: int | None = None) -> Part:
        span, gain = stand.stretch, playing_gain(stand.loaded.loop, self._loudness)
        if clip is not None:
            request = self._request(stand)
            assert request is not None
            return Part(clip, 0, 0, clip.frames, gain, origin=request.start)
        lead = span.join if join is None else join
        return Part(stand.loaded.samples, span.start - lead, span.low, span.high, gain)

    def _request(self, stand: Stand) -> MoveRequest | None:
        """The move at the end of this pass; None where its last stretch is too short for one."""
        span, loop = stand.taken.spans[-1], stand.loaded.loop
        found = move_frames(loop, span)
        if stand.taken.move is None or found is None:
            return None
        frames, beat = found
        return MoveRequest(
            loop.loop_id, stand.loaded.samples, span.end - frames, span.end, span.low, span.high, stand.taken.move, beat
        )

    def _said(self, target: Target, wanted: Wanted) -> str:
        """The change in words, for the status."""
        how = "cut on the bar" if wanted.transition in ("cut", "off") else "fade on the bar"
        return f"{how} ({_REASONS[target.why]})"


_AT_ONCE = ("skip", "back", "prompt", "startup")
"""Why a song is left at the next bar, whatever is left of it."""
_RENDERED: dict[str, tuple[str, ...]] = {
    "smart": ("continue", "blend", "fade", "cut"),
    "blend": ("continue", "blend", "fade"),
    "fade": ("fade",),
    "cut": ("cut",),
    "off": (),
}
"""Which rendered transitions each wish takes: one that was rendered under another wish is left alone."""
_REASONS = {
    "skip": "skipped",
    "back": "back to the song before",
    "prompt": "a new prompt",
    "startup": "the first fresh loop is ready",
    "bridge": "what was asked for is ready",
    "due": "the song has lasted its time",
}
