"""The score: what composition hands to sound.

Conventions
-----------
Time is in quarter notes from the start of the section, whatever the metre. Swing, human timing and dynamics are already
in the notes: sound plays exactly what is written. A note may ring beyond its section's end; sound folds it round.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from shared.units import Bpm


@dataclass(frozen=True, slots=True)
class Note:
    start: float
    """Quarter notes from the section's start; may be slightly negative (an early note wraps round)."""
    length: float
    """Quarter notes that the key is held."""
    pitch: int
    """MIDI note number; for a drum part the General MIDI percussion number."""
    velocity: float
    """0 (silent) to 1 (as hard as it goes)."""


@dataclass(frozen=True)
class Part:
    """One instrument's notes within a section, with its place in the mix."""

    name: str
    """Unique in the piece, the same in every section: "drums", "bass", "pad", "lead" …; names the stem."""
    instrument: str
    """Key of the instrument registry."""
    notes: tuple[Note, ...]
    level_db: float = 0.0
    """Against the role's usual level in the style's mix."""
    pan: float = 0.0
    """-1 left to 1 right."""
    reverb: float = 0.2
    delay: float = 0.0
    """Sends, 0 to 1."""
    sidechain: float = 0.0
    """How deep the kick ducks this part, 0 to 1."""
    percussion: bool = False


@dataclass(frozen=True, slots=True)
class ChordAt:
    start: float
    """Quarter notes from the section's start."""
    symbol: str
    pitches: tuple[int, ...]
    """The chord's pitch classes, 0–11, root first."""


@dataclass(frozen=True)
class SectionScore:
    label: str
    bars: int
    energy: float
    """0 to 1."""
    parts: tuple[Part, ...]
    chords: tuple[ChordAt, ...] = ()


@dataclass(frozen=True)
class Meter:
    beats: int
    """The upper number."""
    unit: int
    """The lower number: 4 or 8."""

    @property
    def quarters(self) -> float:
        """Length of a bar in quarter notes."""
        return self.beats * 4 / self.unit

    def __str__(self) -> str:
        return f"{self.beats}/{self.unit}"


class Space(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the style's mix sounds as a whole; a style's file gives it as ``[space]``."""

    reverb: str = "room"
    """A named impulse response: room, hall, plate, chamber, cathedral …"""
    reverb_s: float = 1.2
    delay_quarters: float = 0.75
    delay_feedback: float = 0.35
    brightness_db: float = 0.0
    """Tilt of the master EQ's high shelf."""
    warmth_db: float = 0.0
    saturation: float = 0.1
    """0 clean to 1 driven."""
    lofi: float = 0.0
    """0 none to 1: wow, hiss, narrow band."""
    width: float = 1.0
    """Factor on the side signal."""
    glue: float = 0.3
    """Depth of the master compression, 0 to 1."""
    evenness: float = 0.0
    """How far the rise and fall of phrases is taken back, 0 to 1: for music that is not to call for attention."""


@dataclass(frozen=True)
class Score:
    """A piece: related sections of one tempo, metre and key."""

    bpm: Bpm
    meter: Meter
    tonic: int
    """Pitch class of the tonic, 0 = C."""
    mode: str
    """major, minor, dorian, phrygian, lydian, mixolydian, harmonic-minor, blues …"""
    sections: tuple[SectionScore, ...]
    space: Space = field(default_factory=Space)
    tuning_seed: int = 0
    """Seeds everything in the sound that is random (noise, detune), so that the same score gives the same bytes."""
