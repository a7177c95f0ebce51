"""What the analysis answers with: a loop, or the reason why there is none.

Conventions
-----------
- Positions are frames of the audio that was handed in, at its own rate; ends are exclusive.
- ``score`` of a seam: 0 is a repeat that cannot be told from the original, 1 a pair of random moments.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rejection:
    """Why a clip is not used, in one sentence, with the kind that statistics count by and the figures behind it."""

    reason: str
    code: str
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Metre:
    """Where the beats lie. ``beats`` and ``downbeats`` are frames, rising; every downbeat is a beat."""

    bpm: float
    beats_per_bar: int
    beats: tuple[int, ...]
    downbeats: tuple[int, ...]
    confidence: float


@dataclass(frozen=True)
class Key:
    """A key's name such as ``Am`` or ``F#`` and how far it leads over the next best, 0–1."""

    name: str
    confidence: float


@dataclass(frozen=True)
class JumpPoint:
    """Having played up to ``source``, the music may go on at ``target`` over ``crossfade`` frames, as at the seam."""

    source: int
    target: int
    crossfade: int


@dataclass(frozen=True)
class FoundLoop:
    """A loop inside a clip: after ``end`` the music goes on at ``start`` over a crossfade of ``crossfade`` frames.

    The crossfade lies before the join: ``end - crossfade … end`` fades into ``start - crossfade … start``.
    """

    start: int
    end: int
    crossfade: int
    score: float
    confidence: float
    metre: Metre | None = None
    bars: int | None = None
    key: Key | None = None
    jumps: tuple[JumpPoint, ...] = ()
    """Inside the loop."""
    beyond: tuple[JumpPoint, ...] = ()
    """Between the loop and the rest of the clip."""

    @property
    def frames(self) -> int:
        return self.end - self.start
