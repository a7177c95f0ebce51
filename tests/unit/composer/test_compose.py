"""What every piece of every style must be."""

from __future__ import annotations

import pytest

from services.generator.backends.composer.compose import compose
from services.generator.backends.composer.passage import spread
from services.generator.backends.composer.plan import Asked
from services.generator.backends.composer.relation import events, overlap, piece_events
from services.generator.backends.composer.style import builtin
from tests.unit.composer.pieces import STYLES, piece, planned

OTHER_METERS = ("3/4", "5/4", "6/8", "7/8", "2/4", "12/8")


def test_every_style_is_found_by_its_own_name() -> None:
    assert [planned(builtin()[style].name).style for style in STYLES] == STYLES


@pytest.mark.parametrize("style", STYLES)
def test_sections_are_related_and_differ(style: str) -> None:
    score = piece(builtin()[style].name)
    a, varied, b = (events({part.name: part.notes for part in section.parts}) for section in score.sections[:3])
    assert 0.5 <= overlap(a, varied) <= 0.9
    assert overlap(a, b) < 0.5


@pytest.mark.parametrize("style", STYLES)
def test_notes_are_playable(style: str) -> None:
    score = piece(builtin()[style].name)
    for section in score.sections:
        length = section.bars * score.meter.quarters
        for part in section.parts:
            assert not [
                note
                for note in part.notes
                if not (-0.25 < note.start < length + 0.25 and 0 < note.length <= 2 * length)
                or not (24 <= note.pitch <= 100 and 0 < note.velocity <= 1)
            ]


@pytest.mark.parametrize("style", STYLES)
def test_sections_have_the_same_parts_and_sound(style: str) -> None:
    score = piece(builtin()[style].name)
    names = [part.name for part in score.sections[0].parts]
    assert len(set(names)) == len(names)
    for section in score.sections:
        assert [part.name for part in section.parts] == names
        assert any(part.notes for part in section.parts)
        notes = any(not part.percussion for part in section.parts)
        assert [chord.start for chord in section.chords[:1]] == ([0.0] if notes else [])


@pytest.mark.parametrize("style", STYLES)
def test_seeds_give_different_pieces(style: str) -> None:
    first, second = (piece_events(piece(builtin()[style].name, seed, Asked(bars=4))) for seed in (1, 2))
    assert overlap(first, second) < 0.8


def test_same_seed_same_score() -> None:
    styles = builtin()
    for style in STYLES[::8]:
        assert compose(planned(styles[style].name), styles[style]) == piece(styles[style].name)


@pytest.mark.parametrize(("style", "turn"), [(style, turn) for turn, style in enumerate(STYLES)])
def test_styles_play_in_other_meters(style: str, turn: int) -> None:
    # One of six each, and each in eight styles or nine; benchmarks/composer.py has them all.
    meter = OTHER_METERS[(turn + 2) % 6]
    score = piece(builtin()[style].name, 1, Asked(meter=meter, bars=4))
    assert str(score.meter) == meter
    length = 4 * score.meter.quarters
    notes = [note for part in score.sections[0].parts for note in part.notes]
    assert max(note.start for note in notes) < length + 0.25
    # Something sounds in every bar.
    for bar in range(4):
        middle = (bar + 0.5) * score.meter.quarters
        assert any(
            note.start - 0.3 < middle + score.meter.quarters / 2 and note.start + note.length > middle - 1
            for note in notes
        )
    # A part may pause before the end, most do not.
    bars = [
        {int((note.start + 0.3) // score.meter.quarters) for note in part.notes} for part in score.sections[0].parts
    ]
    steady = [played for played in bars if played >= {0, 1, 2}]
    assert sum(3 in played for played in steady) > len(steady) / 2


def test_lines_fill_the_bars_and_no_more() -> None:
    assert spread(("8.5.", "3..."), 3, 4) == "8.5.3...8.5."
    assert spread(("8.5.3...",), 3, 4) == "8.5.3...8.5."
