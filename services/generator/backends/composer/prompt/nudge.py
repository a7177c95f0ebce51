"""Nudging: the music that plays, changed by a few words ("darker, slower, no drums")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from services.generator.backends.composer import theory
from services.generator.backends.composer.plan import Plan
from services.generator.backends.composer.prompt.figures import TEMPO_RANGE
from services.generator.backends.composer.prompt.lexicon import find, lexicon, plain
from services.generator.backends.composer.prompt.understand import understand
from services.generator.backends.composer.style import Style
from shared.messages import PROMPT_LIMIT


def nudge(plan: Plan, words: str, styles: Mapping[str, Style]) -> Plan:
    """The plan with the words' wishes taken in; what they do not speak of stays, the seed and so the theme included.

    A word of mood means "more so" here: "dark" said of what plays is "darker".
    """
    wishes = understand(words, styles)
    style = styles.get(wishes.style or plan.style)
    low, high = TEMPO_RANGE
    factor = wishes.relative_tempo * wishes.tempo_factor
    bpm = wishes.bpm if wishes.bpm is not None else round(plan.bpm * factor, 1)
    if wishes.style not in {None, plan.style} and style is not None and wishes.bpm is None:
        # Another style has its own tempo; the old one is kept as far as the new one can go.
        bpm = round(max(style.data.tempo[0], min(style.data.tempo[1], bpm)), 1)
    mode = wishes.mode or plan.mode
    if wishes.mode is None and wishes.family and theory.is_minor(plan.mode) != (wishes.family == "minor"):
        own = style.data.modes if style is not None else ()
        mode = next((name for name in own if theory.is_minor(name) == (wishes.family == "minor")), wishes.family)
    refused = wishes.unwanted
    kept = tuple(entry for entry in plan.wanted if not _names(entry) <= refused)
    called = {name for entry in wishes.wanted for name in _names(entry)}
    return replace(
        plan,
        style=style.key if style is not None else plan.style,
        style_name=style.name if style is not None else plan.style_name,
        bpm=max(low, min(high, bpm)),
        tonic=wishes.tonic if wishes.tonic is not None else plan.tonic,
        mode=mode,
        meter=wishes.meter or plan.meter,
        energy=max(0.05, min(1.0, plan.energy + wishes.energy)),
        brightness=max(-1.5, min(1.5, plan.brightness + wishes.brightness)),
        lofi=max(0.0, min(1.0, plan.lofi + wishes.lofi)),
        wanted=tuple(dict.fromkeys((*kept, *wishes.wanted))),
        unwanted=(plan.unwanted | refused) - called - (_roles(words) - refused),
        only=tuple(sorted(wishes.only)) or tuple(name for name in plan.only if name not in refused),
    )


def _names(entry: str) -> set[str]:
    kind = lexicon().instruments.get(entry)
    return set(kind.names) if kind else {entry}


def _roles(words: str) -> frozenset[str]:
    """Roles that the words name: "more drums" after "no drums" calls them back."""
    bare = plain(words)
    return frozenset(f"role:{name}" for name, role in lexicon().roles.items() if find(role.words, bare))


def nudge_prompt(prompt: str, words: str) -> str:
    """A prompt for what plays, changed: understood by this composer and by models that read text.

    The newest words come last; a word that was said before is not said twice, and the oldest nudges go first when the
    prompt grows longer than it may be.
    """
    clauses = [clause.strip() for clause in prompt.split(",") if clause.strip()]
    for clause in (part.strip() for part in words.split(",")):
        if clause and not _same(clause, clauses):
            clauses.append(clause)
    while len(", ".join(clauses)) > PROMPT_LIMIT and len(clauses) > 2:
        del clauses[1]
    return ", ".join(clauses)[:PROMPT_LIMIT]


def _same(clause: str, said: list[str]) -> bool:
    """Only what is not relative can be said once and for all: "slower" twice is slower still."""
    bare = plain(clause)
    relative = any(find(mood.more, bare) for mood in lexicon().moods.values())
    return not relative and any(re.sub(r"\s+", " ", clause.casefold()) == other.casefold() for other in said)
