"""Small scores for the tests of sound."""

from __future__ import annotations

from services.generator.backends.composer.score import Meter, Note, Part, Score, SectionScore, Space
from shared.units import Bpm

CHORDS = ((57, 60, 64, 67), (53, 57, 60, 64), (48, 52, 55, 59), (55, 59, 62, 65))


def part(instrument: str, *notes: Note, name: str = "", **settings: float) -> Part:
    """A part named after its instrument."""
    return Part(name or instrument, instrument, tuple(notes), **settings)  # type: ignore[arg-type]


def section(*parts: Part, bars: int = 2, label: str = "A") -> SectionScore:
    return SectionScore(label, bars, 0.7, tuple(parts))


def score(*sections: SectionScore, bpm: float = 120.0, meter: Meter | None = None, **settings: object) -> Score:
    return Score(Bpm(bpm), meter or Meter(4, 4), 9, "minor", tuple(sections), **settings)  # type: ignore[arg-type]


def band(
    bars: int = 2, *, bpm: float = 110.0, space: Space | None = None, sections: int = 2, sparse: float = 1.0
) -> Score:
    """Drums, bass, chords and a lead, in four-four time; the last section is softer by the factor ``sparse``."""
    made = []
    for index in range(sections):
        loud = sparse if index == sections - 1 else 1.0
        drums, bass, keys, lead = [], [], [], []
        for bar in range(bars):
            q, chord = 4.0 * bar, CHORDS[(bar + index) % 4]
            drums += [Note(q + 2 * i, 0.25, 36, 0.9 * loud) for i in range(2)]
            drums += [Note(q + 1 + 2 * i, 0.25, 38, 0.8 * loud) for i in range(2)]
            drums += [Note(q + 0.5 * i, 0.25, 42, (0.5 + 0.1 * (i % 2)) * loud) for i in range(8)]
            bass += [Note(q, 1.5, chord[0] - 24, 0.8 * loud), Note(q + 2.5, 1.3, chord[0] - 24, 0.7 * loud)]
            keys += [Note(q + 0.01 * i, 2.2, pitch, 0.6 * loud) for i, pitch in enumerate(chord)]
            lead += [Note(q + 1.5, 0.5, chord[2] + 12, 0.6 * loud), Note(q + 3.5, 1.0, chord[1] + 12, 0.7 * loud)]
        parts = (
            Part("drums", "kit-house", tuple(drums), reverb=0.1, percussion=True),
            Part("bass", "bass-synth", tuple(bass), reverb=0.0, sidechain=0.5),
            Part("keys", "epiano", tuple(keys), reverb=0.3, sidechain=0.2, pan=-0.2),
            Part("lead", "lead-soft", tuple(lead), reverb=0.4, delay=0.4, pan=0.2),
        )
        made.append(SectionScore("AB"[index % 2], bars, 0.7, parts))
    return Score(Bpm(bpm), Meter(4, 4), 9, "minor", tuple(made), space or Space())
