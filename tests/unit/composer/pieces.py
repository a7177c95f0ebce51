"""Pieces that the tests look at."""

from __future__ import annotations

from functools import cache

from services.generator.backends.composer.compose import compose
from services.generator.backends.composer.plan import Asked, Plan, make_plan
from services.generator.backends.composer.score import Score
from services.generator.backends.composer.style import builtin

STYLES = sorted(builtin())
PIECE = Asked(piece=True)


def planned(prompt: str, seed: int = 1, asked: Asked = PIECE) -> Plan:
    return _planned(prompt, seed, asked)


def piece(prompt: str, seed: int = 1, asked: Asked = PIECE) -> Score:
    return _composed(prompt, seed, asked)


# Kept by all three, so that a default and the same value that is said are one.


@cache
def _planned(prompt: str, seed: int, asked: Asked) -> Plan:
    return make_plan(prompt, seed, builtin(), asked)


@cache
def _composed(prompt: str, seed: int, asked: Asked) -> Score:
    plan = _planned(prompt, seed, asked)
    return compose(plan, builtin()[plan.style])
