"""A nudge changes what it speaks of, and nothing else."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.generator.backends.composer.plan import Plan
from services.generator.backends.composer.prompt.nudge import nudge, nudge_prompt
from services.generator.backends.composer.style import builtin
from shared.messages import PROMPT_LIMIT
from tests.unit.composer.pieces import planned

START = planned("house 124 bpm in C major with flute")


def changed(words: str, start: Plan = START) -> tuple[Plan, set[str]]:
    after = nudge(start, words, builtin())
    return after, {field.name for field in fields(Plan) if getattr(after, field.name) != getattr(start, field.name)}


@pytest.mark.parametrize(
    ("words", "touched"),
    [
        ("", set()),
        ("xyzzy", set()),
        ("slower", {"bpm", "energy"}),
        ("no drums", {"unwanted"}),
        ("darker", {"mode", "brightness"}),
        ("in F# minor", {"tonic", "mode"}),
        ("100 bpm", {"bpm"}),
        ("with trumpet", {"wanted"}),
        ("senza flauto", {"unwanted", "wanted"}),
        ("3/4", {"meter"}),
        ("jazz", {"style", "style_name"}),
    ],
)
def test_only_what_is_spoken_of_changes(words: str, touched: set[str]) -> None:
    assert changed(words)[1] - {"bpm" if words == "jazz" else ""} == touched


def test_directions_are_right() -> None:
    assert changed("slower")[0].bpm < START.bpm < changed("più veloce")[0].bpm
    assert changed("much slower")[0].bpm < changed("slower")[0].bpm
    assert changed("darker")[0].brightness < START.brightness < changed("più luminoso")[0].brightness
    assert changed("calmer")[0].energy < START.energy < changed("more energetic")[0].energy


def test_nudges_add_up_and_can_be_taken_back() -> None:
    without = changed("no drums")[0]
    assert "role:drums" in without.unwanted
    assert "role:drums" not in changed("more drums", without)[0].unwanted
    slow = changed("slower", changed("slower")[0])[0]
    assert slow.bpm < changed("slower")[0].bpm


def test_the_theme_stays() -> None:
    assert changed("darker, slower, no drums")[0].seed_text == START.seed_text


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200))
def test_any_words_are_harmless(words: str) -> None:
    plan = nudge(replace(START, only=("piano",)), words, builtin())
    assert plan.style in builtin()
    assert 20 <= plan.bpm <= 400


@given(st.text(min_size=1, max_size=3_000), st.text(max_size=300))
@settings(max_examples=40, deadline=None)
def test_a_nudged_prompt_is_never_too_long(prompt: str, words: str) -> None:
    assert len(nudge_prompt(prompt, words)) <= PROMPT_LIMIT


def test_a_nudged_prompt_is_understood_like_the_words() -> None:
    prompt = nudge_prompt("lo-fi 80 bpm", "darker, slower, no drums")
    assert prompt == "lo-fi 80 bpm, darker, slower, no drums"
    plan = planned(prompt)
    assert plan.bpm < 80
    assert "role:drums" in plan.unwanted
    assert nudge_prompt(prompt, "no drums, slower") == prompt + ", slower"
    assert planned(nudge_prompt(prompt, "slower")).bpm < plan.bpm


def test_accents_make_no_difference() -> None:
    prompt = nudge_prompt("lo-fi", "più lento")
    assert nudge_prompt(prompt, "più lento") == "lo-fi, più lento, più lento"
    without = changed("senza percussioni")[0]
    assert without.unwanted == {"role:drums"}
    assert not changed("più percussioni", without)[0].unwanted
