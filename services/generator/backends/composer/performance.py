"""Performance: from written notes to played ones — swing, human timing, and dynamics that breathe."""

from __future__ import annotations

import random
from collections.abc import Sequence
from operator import attrgetter

from services.generator.backends.composer.passage import Passage
from services.generator.backends.composer.score import Meter, Note


def _swings(swing: float, unit: int, meter: Meter) -> bool:
    """Whether anything is swung: metres of three-eighths beats have no pairs and stay straight."""
    return swing != 0.5 and not (meter.unit == 8 and (unit == 8 or meter.beats % 3 == 0))


def _swung(time: float, swing: float, unit: int) -> float:
    """Where a time falls when pairs of eighths or sixteenths are swung.

    ``swing`` is the share of the pair that its first note takes: 0.5 is straight, 0.667 a triplet.
    """
    pair = 1.0 if unit == 8 else 0.5
    whole, part = divmod(time, pair)
    half = pair / 2
    if part <= half:
        return whole * pair + part / half * swing * pair
    return whole * pair + swing * pair + (part - half) / half * (1 - swing) * pair


def perform(
    notes: Sequence[Note],
    passage: Passage,
    bpm: float,
    rng: random.Random,
    *,
    swing: float,
    swing_on: int,
    human_ms: float,
    late_ms: float,
    dynamics: float,
    percussion: bool,
) -> list[Note]:
    """Play the notes of one part.

    Notes written for the same moment move together, as one hand does; drums keep tighter time than the others. The
    level follows an arch over each four bars and the section's energy.
    """
    per_ms = bpm / 60_000
    spread = human_ms * per_ms * (0.5 if percussion else 1.0)
    late = late_ms * per_ms
    uneven = min(1.0, human_ms / 4)
    level = 0.82 + 0.2 * passage.energy
    swings = _swings(swing, swing_on, passage.meter)
    moments: dict[float, float] = {}
    played = []
    for note in sorted(notes, key=attrgetter("start", "pitch")):
        written = note.start
        moment = round(written, 2)
        if moment not in moments:
            moments[moment] = max(-2.0, min(2.0, rng.gauss(0, 1))) * spread
        start, end = written, written + note.length
        if swings:
            start, end = _swung(start, swing, swing_on), _swung(end, swing, swing_on)
        tight = 0.3 if percussion and note.pitch == 36 else 1.0
        # The first moment of a section is where loops meet: nobody is early there.
        shift = moments[moment] * tight + (late if written > 0 or late > 0 else 0.0)
        shift = max(0.0, shift) if written < 0.05 and not percussion else shift
        gain = _arch(written, passage, dynamics) * level
        velocity = note.velocity * gain * (1 + rng.uniform(-0.05, 0.05) * uneven)
        played.append(Note(start + shift, max(0.04, end - start), note.pitch, max(0.03, min(1.0, velocity))))
    return played


def _arch(start: float, passage: Passage, dynamics: float) -> float:
    """The swell of a phrase of four bars: softest at its beginning, fullest in its third bar, easing off at the end.

    A section of eight bars or more grows as a whole besides.
    """
    bars = min(4, passage.bars)
    at = (start / passage.bar) % bars / bars
    shape = at / 0.7 if at < 0.7 else 1 - 0.7 * (at - 0.7) / 0.3
    growth = min(1.0, 1.4 * max(0.0, start) / passage.length) if passage.bars >= 8 else 1.0
    return (1 - dynamics * 0.5 * (1 - max(0.0, min(1.0, shape)))) * (1 - dynamics * 0.3 * (1 - growth))
