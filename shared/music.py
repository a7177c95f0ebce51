"""What a clip, a loop and a piece are: the records that travel with the audio.

All positions are frames of the file that the record describes, at that file's rate; ends are exclusive.
Optional fields are ``None`` or empty where nobody knows the answer: a guess is never sent as a fact.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Frame = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
Unit = Annotated[float, Meta(ge=0.0, le=1.0)]
Tempo = Annotated[float, Meta(gt=0.0, le=400.0)]
Identifier = Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9._-]+$")]
"""Names jobs, clips and loops; safe as a file name."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all records: immutable, unknown fields ignored, wrong types refused when decoded."""


class BeatGrid(Record, frozen=True, kw_only=True):
    """Beats and downbeats as frames. ``downbeats`` is a subset of ``beats``; both rise strictly."""

    beats: tuple[Frame, ...]
    downbeats: tuple[Frame, ...]


class Section(Record, frozen=True, kw_only=True):
    """A part of a piece that is an exact loop by itself: at ``end`` the music may go on at any section's ``start``."""

    label: Annotated[str, Meta(min_length=1, max_length=16)]
    """``A``, ``A'``, ``B``, ``fill``, ``break`` …"""
    start: Frame
    end: Frame
    bars: Count


class Jump(Record, frozen=True, kw_only=True):
    """Having played up to frame ``source``, the music may go on at frame ``target`` over ``crossfade`` frames.

    The crossfade lies before the join: ``source - crossfade … source`` fades into ``target - crossfade … target``.
    """

    source: Frame
    target: Frame
    crossfade: Frame = 0


class Chord(Record, frozen=True, kw_only=True):
    """A chord symbol and the frame at which it begins."""

    frame: Frame
    symbol: Annotated[str, Meta(max_length=16)]


class Truth(Record, frozen=True, kw_only=True):
    """What the maker of a clip knows exactly, because the music was written and not found."""

    loop_start: Frame
    loop_end: Frame
    bpm: Tempo | None = None
    beats_per_bar: Count | None = None
    meter: str | None = None
    bars: Count | None = None
    key: str | None = None
    grid: BeatGrid | None = None
    chords: tuple[Chord, ...] = ()
    sections: tuple[Section, ...] = ()


class Recipe(Record, frozen=True, kw_only=True):
    """How a clip was made: enough to make it again, and to say truthfully what it is."""

    prompt: str
    backend: str
    seed: int | None = None
    model: str | None = None
    model_revision: str | None = None
    code_licence: str | None = None
    weights_licence: str | None = None
    disclosure: str = ""
    """One line for exports, such as "composed by rules, no AI model; free to use"."""
    plan: str | None = None
    """How the prompt was understood: "lo-fi · 78 bpm · D minor · 4/4 · 8 bars"."""
    style: str | None = None
    versions: dict[str, str] = {}
    options: dict[str, str | int | float | bool | None] = {}
    parent_clip: Identifier | None = None
    splice_s: float | None = None


class Loop(Record, frozen=True, kw_only=True):
    """A finished loop: a WAV at the station's rate whose last frame is followed by its first (or by a section's)."""

    loop_id: Identifier
    job_id: Identifier
    epoch: Frame
    path: str
    frames: Count
    sample_rate: Count = 48_000
    mode: Literal["exact", "xfade"] = "xfade"
    """``exact``: wraps as it is. ``xfade``: a crossfade of ``crossfade`` frames was baked into its seam."""
    crossfade: Frame = 0
    source_start: Frame = 0
    source_end: Frame = 0
    """Where in the clip the loop lies, in frames of the clip's own rate."""
    bpm: Tempo | None = None
    beats_per_bar: Count | None = None
    bars: Count | None = None
    grid: BeatGrid | None = None
    key: str | None = None
    key_confidence: Unit = 0.0
    confidence: Unit = 0.0
    lufs: float = -16.0
    true_peak_dbtp: float = -1.0
    energy: tuple[float, ...] = ()
    """K-weighted level of each bar (each second where there is no grid), in decibels."""
    sections: tuple[Section, ...] = ()
    jumps: Annotated[tuple[Jump, ...], Meta(max_length=64)] = ()
    title: str = ""
    artist: str = ""
    genre: str = ""
    startup: bool = False
    """Shipped with the package: bridges the first seconds and ignores the length of a song."""
    bridge: bool = False
    """Composed at once to bridge the wait for a new prompt's first song."""
    continues: Identifier | None = None
    """The loop out of which this one grew."""
    codes_path: str | None = None
    recipe: Recipe | None = None


class Transition(Record, frozen=True, kw_only=True):
    """A change from one loop to another, rendered ahead of time; the player only splices it in."""

    from_loop: Identifier
    to_loop: Identifier
    kind: Literal["continue", "blend", "fade", "cut"]
    path: str
    frames: Count
    exit_frame: Frame
    """The frame of the first loop at which the transition takes over."""
    entry_frame: Frame
    """The frame of the second loop at which it goes on."""
    reason: str = ""
