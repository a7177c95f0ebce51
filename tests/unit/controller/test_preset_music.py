"""Every preset of ours is tried with the composer, by its score, and written so that a model understands it, too."""

from __future__ import annotations

import re

import pytest

from services.controller.presets.store import Preset, read_catalogue
from services.generator.backends.composer.compose import compose
from services.generator.backends.composer.plan import Asked, make_plan
from services.generator.backends.composer.prompt.understand import understand
from services.generator.backends.composer.style import builtin

CATALOGUE = read_catalogue()
FIRST_TWELVE = (
    "deep-focus",
    "lofi-study",
    "jazz-cafe",
    "sleep-drone",
    "calm-piano",
    "deep-house",
    "minimal-techno",
    "synthwave",
    "bossa-dinner",
    "tavern",
    "chiptune",
    "lullaby",
)


@pytest.mark.parametrize("preset", CATALOGUE.values(), ids=CATALOGUE)
def test_the_composer_plays_what_the_preset_says(preset: Preset) -> None:
    styles = builtin()
    plan = make_plan(preset.prompt, 7, styles, Asked(bars=4))
    (tempo,) = re.findall(r"(\d+) bpm", preset.prompt)
    assert plan.bpm == float(tempo)
    assert understand(preset.prompt, styles).style is not None, "its words name no style"
    if metre := re.search(r"\b\d{1,2}/\d\b", preset.prompt):
        assert str(plan.meter) == metre[0]
    score = compose(plan, styles[plan.style])
    notes = {part.name: len(part.notes) for section in score.sections for part in section.parts if part.notes}
    assert sum(notes.values()) >= 8
    if "no drums" in preset.prompt:
        assert "drums" not in notes
    elif re.search(r"drums|kick", preset.prompt):
        assert "drums" in notes


@pytest.mark.parametrize("preset", CATALOGUE.values(), ids=CATALOGUE)
def test_the_words_are_such_as_a_model_was_trained_on(preset: Preset) -> None:
    parts = [part.strip() for part in preset.prompt.split(",")]
    assert len(parts) >= 4, "style, instruments, mood and tempo"
    assert len(preset.prompt.split()) <= 40
    assert preset.prompt == preset.prompt.strip()
    assert not re.search(r"seamless|loopable|no intro", preset.prompt), "loops are found, not asked for"


def test_the_first_twelve_are_those_of_the_composer_and_no_two_prompts_are_alike() -> None:
    assert set(FIRST_TWELVE) <= set(CATALOGUE)
    prompts = [preset.prompt for preset in CATALOGUE.values()]
    assert len(set(prompts)) == len(prompts)
