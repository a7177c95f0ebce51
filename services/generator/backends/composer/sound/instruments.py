"""The instruments by name: how each is synthesised, which preset replaces it, and how well it does without.

A musician adds an instrument by adding a row.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from services.generator.backends.composer.sound import beds, drums, keys, synths
from services.generator.backends.composer.sound.pads import Pad
from services.generator.backends.composer.sound.soundfont import Patch
from services.generator.backends.composer.sound.tone import Voice
from shared.errors import UsageError

Family = Literal["drums", "bass", "keys", "pluck", "wind", "strings", "pad", "lead", "fx"]
Alone = Literal["equal", "good", "fair", "plain"]
"""How own synthesis compares with samples: as good or better, convincing, recognisable, a stand-in."""


@dataclass(frozen=True)
class Instrument:
    name: str
    family: Family
    voice: Voice
    patch: Patch | None = None
    """Preferred where FluidSynth and a SoundFont are found; none where own synthesis is the better."""
    alone: Alone = "equal"
    attack_s: float = 0.002
    release_s: float = 0.15
    width: float = 0.0
    """How much of it is spread to the sides, for sounds that are born in one channel."""
    level_db: float = 0.0
    """Against the usual level of its family."""
    fits: bool = False
    """A gesture that is stretched over its note."""

    @property
    def rings(self) -> bool:
        """Struck and left: the length of the note does not matter."""
        return self.family == "drums"


def instrument(name: str) -> Instrument:
    """The instrument of this name.

    Raises
    ------
    UsageError
        There is none; says which names come near.
    """
    found = INSTRUMENTS.get(name)
    if found is None:
        near = difflib.get_close_matches(name, INSTRUMENTS, 3, 0.4)
        hint = f"; close to it: {', '.join(near)}" if near else f"; one of: {', '.join(INSTRUMENTS)}"
        raise UsageError(f"There is no instrument {name!r}{hint}.")
    return found


_LONG_BARS = ((1.0, 1.0, 1.8), (4.0, 0.22, 0.5), (10.0, 0.05, 0.08))
_BELL = ((0.5, 0.25, 2.4), (1.0, 1.0, 2.0), (2.0, 0.35, 1.3), (2.76, 0.3, 0.6), (5.4, 0.12, 0.25), (8.9, 0.05, 0.1))

_ROWS: Final[tuple[Instrument, ...]] = (
    # drums
    Instrument("kit-acoustic", "drums", drums.ACOUSTIC, Patch(0, drums=True), "fair", width=0.3),
    Instrument("kit-brush", "drums", drums.BRUSH, Patch(40, drums=True), "plain", width=0.3),
    Instrument("kit-lofi", "drums", drums.LOFI, width=0.3),
    Instrument("kit-808", "drums", drums.R808, width=0.3),
    Instrument("kit-909", "drums", drums.R909, width=0.3),
    Instrument("kit-house", "drums", drums.HOUSE, width=0.3),
    Instrument("kit-dnb", "drums", drums.DNB, width=0.3),
    Instrument("kit-rock", "drums", drums.ROCK, Patch(16, drums=True), "plain", width=0.3),
    Instrument("kit-latin", "drums", drums.LATIN, Patch(0, drums=True), "fair", width=0.3),
    Instrument("kit-chip", "drums", drums.CHIP),
    Instrument("kit-orchestral", "drums", drums.ORCHESTRAL, Patch(48, drums=True), "fair", width=0.3),
    # basses
    Instrument("bass-sub", "bass", synths.sub_bass, release_s=0.09),
    Instrument("bass-synth", "bass", synths.SynthBass(), release_s=0.08),
    Instrument("bass-acid", "bass", synths.acid_bass, release_s=0.06),
    Instrument("bass-organ", "bass", synths.organ_bass, release_s=0.08),
    Instrument(
        "bass-upright",
        "bass",
        keys.Plucked(0.12, 1.1, 0.3, pick=0.10, body=((62.0, 0.6), (110.0, 0.7))),
        Patch(32),
        "fair",
        release_s=0.12,
    ),
    Instrument(
        "bass-electric", "bass", keys.Plucked(0.32, 2.2, 0.2, pick=0.10, body=()), Patch(33), "fair", release_s=0.10
    ),
    Instrument(
        "bass-fretless", "bass", keys.Plucked(0.2, 2.4, 0.32, pick=0.03, body=()), Patch(35), "plain", release_s=0.12
    ),
    Instrument("bass-chip", "bass", synths.Chip("triangle", 0.0), release_s=0.03),
    Instrument("bass-reese", "bass", synths.reese_bass, release_s=0.10),
    # keys
    Instrument("piano", "keys", keys.Piano(), Patch(0), "good", release_s=0.28, width=0.2),
    Instrument("piano-felt", "keys", keys.Piano(0.7), None, "equal", release_s=0.35, width=0.25),
    Instrument("epiano", "keys", keys.electric_piano, None, "equal", release_s=0.25, width=0.3),
    Instrument("epiano-fm", "keys", keys.electric_piano_fm, None, "equal", release_s=0.3, width=0.35),
    Instrument("organ", "keys", synths.organ, None, "equal", release_s=0.06, width=0.3),
    Instrument("clav", "keys", synths.clavinet, Patch(7), "fair", release_s=0.05, width=0.25),
    Instrument(
        "harpsichord",
        "keys",
        keys.Plucked(0.95, 2.2, 0.09, pick=0.3, courses=2),
        Patch(6),
        "good",
        release_s=0.1,
        width=0.3,
    ),
    Instrument(
        "celesta",
        "keys",
        keys.Modal(((1.0, 1.0, 1.1), (2.0, 0.12, 0.6), (4.0, 0.22, 0.3)), 0.08),
        Patch(8),
        "good",
        release_s=0.6,
        width=0.4,
    ),
    Instrument("vibraphone", "keys", keys.Modal(_LONG_BARS, 0.04, 0.22), Patch(11), "good", release_s=0.5, width=0.3),
    Instrument(
        "marimba",
        "keys",
        keys.Modal(((1.0, 1.0, 0.42), (3.93, 0.28, 0.12), (9.5, 0.08, 0.04)), 0.12),
        Patch(12),
        "good",
        release_s=0.3,
        width=0.4,
    ),
    Instrument(
        "music-box",
        "keys",
        keys.Modal(((1.0, 1.0, 1.3), (3.0, 0.10, 0.5), (6.27, 0.18, 0.3), (11.0, 0.05, 0.1)), 0.1),
        None,
        "equal",
        release_s=0.8,
        width=0.4,
    ),
    Instrument(
        "kalimba",
        "keys",
        keys.Modal(((1.0, 1.0, 0.8), (2.9, 0.05, 0.2), (5.4, 0.2, 0.15), (8.4, 0.05, 0.06)), 0.2),
        None,
        "equal",
        release_s=0.5,
        width=0.4,
    ),
    # plucked strings
    Instrument("guitar-nylon", "pluck", keys.Plucked(0.32, 1.5, 0.24), Patch(24), "good", release_s=0.2, width=0.3),
    Instrument("guitar-steel", "pluck", keys.Plucked(0.6, 2.4, 0.16), Patch(25), "good", release_s=0.2, width=0.3),
    Instrument(
        "guitar-clean", "pluck", keys.Plucked(0.45, 2.6, 0.14, body=()), Patch(27), "fair", release_s=0.12, width=0.35
    ),
    Instrument("guitar-drive", "pluck", synths.driven_guitar, Patch(29), "plain", release_s=0.1, width=0.3),
    Instrument(
        "guitar-muted", "pluck", keys.Plucked(0.35, 0.28, 0.14, body=()), Patch(28), "fair", release_s=0.06, width=0.3
    ),
    Instrument("harp", "pluck", keys.Plucked(0.35, 2.8, 0.35, pick=0.06), Patch(46), "good", release_s=0.8, width=0.35),
    Instrument(
        "pizzicato",
        "pluck",
        keys.Plucked(0.28, 0.32, 0.22, body=((280.0, 0.6), (450.0, 0.5))),
        Patch(45),
        "good",
        release_s=0.2,
        width=0.35,
    ),
    Instrument("lute", "pluck", keys.Plucked(0.5, 1.3, 0.16, courses=2), None, "equal", release_s=0.25, width=0.3),
    Instrument(
        "banjo",
        "pluck",
        keys.Plucked(0.85, 0.55, 0.1, pick=0.2, body=((420.0, 0.7), (780.0, 0.4))),
        Patch(105),
        "good",
        release_s=0.15,
        width=0.25,
    ),
    Instrument(
        "sitar",
        "pluck",
        keys.Plucked(0.75, 2.6, 0.12, courses=2, buzz=0.9),
        Patch(104),
        "fair",
        release_s=0.4,
        width=0.3,
    ),
    Instrument("koto", "pluck", keys.Plucked(0.7, 1.8, 0.11, pick=0.2), Patch(107), "good", release_s=0.4, width=0.3),
    # winds
    Instrument("flute", "wind", synths.flute, Patch(73), "good", release_s=0.12, width=0.2),
    Instrument("clarinet", "wind", synths.Wind("reed", 2600.0, 0.02), Patch(71), "fair", release_s=0.1, width=0.2),
    Instrument("oboe", "wind", synths.Wind("double-reed", 4200.0, 0.02), Patch(68), "fair", release_s=0.1, width=0.2),
    Instrument("sax", "wind", synths.Wind("sax", 3600.0, 0.06), Patch(66), "plain", release_s=0.1, width=0.2),
    Instrument(
        "trumpet", "wind", synths.Wind("brass", 5200.0, 0.02, speak_s=0.05), Patch(56), "fair", release_s=0.1, width=0.2
    ),
    Instrument(
        "muted-trumpet", "wind", synths.Wind("muted", 5500.0, 0.03), Patch(59), "fair", release_s=0.1, width=0.2
    ),
    Instrument(
        "trombone", "wind", synths.Wind("brass", 2800.0, 0.02, scoop=35.0), Patch(57), "fair", release_s=0.12, width=0.2
    ),
    Instrument(
        "horn",
        "wind",
        synths.Wind("horn", 1500.0, 0.02, sway=5.0, rise_s=0.06),
        Patch(60),
        "fair",
        release_s=0.2,
        width=0.3,
    ),
    Instrument(
        "brass",
        "wind",
        synths.Wind("brass", 4400.0, 0.02, players=3, speak_s=0.06),
        Patch(61),
        "fair",
        release_s=0.14,
        width=0.3,
    ),
    Instrument("whistle", "wind", synths.whistle, None, "equal", release_s=0.1, width=0.3),
    Instrument(
        "accordion",
        "wind",
        synths.Saws(3, 9.0, 4500.0, 1.0, wave="accordion"),
        Patch(21),
        "good",
        release_s=0.08,
        width=0.3,
    ),
    # bowed and sung
    Instrument("strings", "strings", Pad(1.15, 15.0, 0.6, top=9000.0), Patch(48), "good", 0.10, 0.45),
    Instrument("string-slow", "strings", Pad(1.3, 16.0, 0.5, top=8000.0), Patch(49), "good", 0.45, 0.9),
    Instrument(
        "violin",
        "strings",
        synths.Wind("bowed", 5200.0, 0.03, sway=18.0, rise_s=0.07),
        Patch(40),
        "plain",
        release_s=0.15,
        width=0.3,
    ),
    Instrument(
        "cello",
        "strings",
        synths.Wind("cello", 3000.0, 0.03, sway=16.0, rise_s=0.08),
        Patch(42),
        "plain",
        release_s=0.2,
        width=0.25,
    ),
    Instrument("choir", "strings", Pad(0.8, 17.0, 1.0, voices=True), None, "equal", 0.18, 0.6),
    # synthesisers
    Instrument("pad-warm", "pad", Pad(1.75, 14.0, top=6000.0), None, "equal", 0.6, 1.4),
    Instrument("pad-glass", "pad", Pad(1.25, 12.0, 1.2, odd=0.5), None, "equal", 0.5, 1.6),
    Instrument("pad-choir", "pad", Pad(0.75, 17.0, 1.2, voices=True), None, "equal", 0.7, 1.6),
    Instrument("pad-dark", "pad", Pad(2.3, 13.0, octave=0.25, top=2500.0), None, "equal", 0.9, 1.8),
    Instrument("lead-saw", "lead", synths.Lead(), release_s=0.16, width=0.25),
    Instrument("lead-square", "lead", synths.Lead("square", 2200.0, 4.0), release_s=0.14, width=0.25),
    Instrument("lead-soft", "lead", synths.Lead("triangle", 1800.0, 3.0, 0.0), None, "equal", 0.02, 0.22, width=0.3),
    Instrument("lead-chip", "lead", synths.Chip("pulse"), release_s=0.03, width=0.15),
    Instrument("pluck-synth", "lead", synths.Saws(3, 8.0, 3000.0, 0.12, 0.11, 0.6, 0.55), release_s=0.2, width=0.2),
    Instrument(
        "arp-synth", "lead", synths.Saws(2, 6.0, 2400.0, 0.2, 0.14, 0.5, 0.8, "pulse"), release_s=0.1, width=0.3
    ),
    Instrument("bell", "keys", keys.Modal(_BELL), None, "equal", release_s=1.0, width=0.4),
    Instrument("supersaw", "lead", synths.Saws(), None, "equal", 0.006, 0.25),
    Instrument("stab", "lead", synths.Saws(5, 9.0, 3400.0, 0.2, 0.12, 0.2, 0.5), release_s=0.12),
    Instrument("drone-air", "pad", Pad(2.0, 16.0, 3.0, odd=0.35), None, "equal", 1.8, 3.0),
    Instrument("drone-deep", "pad", Pad(2.0, 11.0, octave=0.5, top=1600.0), None, "equal", 1.8, 3.0),
    # weather and gestures
    Instrument("noise-rain", "fx", beds.rain, None, "equal", 0.4, 0.4),
    Instrument("noise-vinyl", "fx", beds.vinyl, None, "equal", 0.4, 0.4),
    Instrument("riser", "fx", beds.riser, None, "equal", 0.05, 0.1, level_db=6.0, fits=True),
    Instrument("impact", "fx", beds.impact, None, "equal", 0.002, 1.5, level_db=10.0),
)

INSTRUMENTS: Final[Mapping[str, Instrument]] = MappingProxyType({row.name: row for row in _ROWS})
"""Every instrument that a score can name."""
