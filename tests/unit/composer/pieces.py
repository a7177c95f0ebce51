"""Pieces that the tests look at."""

from __future__ import annotations

from functools import cache

from services.generator.backends.composer.compose import compose
from services.generator.backends.composer.plan import Asked, Plan, make_plan
from services.generator.backends.composer.score import Score
from services.generator.backends.composer.style import builtin

STYLES = sorted(builtin())
PIECE = Asked(piece=True)


@cache
def planned(prompt: str, seed: int = 1, asked: Asked = PIECE) -> Plan:
    return make_plan(prompt, seed, builtin(), asked)


@cache
def piece(prompt: str, seed: int = 1, asked: Asked = PIECE) -> Score:
    plan = planned(prompt, seed, asked)
    return compose(plan, builtin()[plan.style])
