"""Recipes: what is kept of a composed clip, so that it can be composed again or gone on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import msgspec

import shared
from services.generator.backends.composer.plan import Asked, Plan, developed, make_plan
from services.generator.backends.composer.prompt.nudge import nudge
from services.generator.backends.composer.style import Style
from shared.errors import BackendError, InfiniLoopError, JobRefused
from shared.messages import Job
from shared.music import Recipe

DISCLOSURE: Final = "composed by rules, no AI model; free to use, also commercially"
_PLAN: Final = "composed"
"""The option that holds the whole plan: a prompt, its seed and figures do not tell what a piece grew out of."""


def plan_of(job: Job, seed: int, styles: Mapping[str, Style]) -> Plan:
    """The plan of a job: a new piece, or the next development of one that was composed before.

    A continuation is asked for by ``parent_recipe``, the recipe of the loop that it goes on from, as its clip's facts
    told it; ``parent_clip`` names that clip and is kept in the new recipe. With the parent's prompt the theme, key,
    tempo, metre and players stay, and its first section is the theme varied (0.5–0.9 of its strokes are the theme's),
    the others answer it in new ways. With the parent's prompt and further clauses (``nudge_prompt``) these change what
    they speak of. With another prompt the key stays, and the tempo where it is near. ``bpm``, ``key``, ``meter``,
    ``bars`` and ``seconds`` of the job come before all that; ``piece`` asks for a song, as always. The seed is not
    used. A recipe of another backend, or of a style that is no longer there, begins a new piece.

    Raises
    ------
    JobRefused
        What was asked for cannot be composed; the sentence says what can.
    """
    asked = Asked(job.bpm, job.key, job.meter, job.bars, job.seconds, job.piece)
    try:
        plan = make_plan(job.prompt, seed, styles, asked)
        parent = plan_in(job.parent_recipe, styles) if job.parent_recipe is not None else None
        if parent is None or job.parent_recipe is None:
            return plan
        return _continued(plan, parent, _added(job.prompt, job.parent_recipe.prompt), asked, styles)
    except BackendError:
        raise
    except InfiniLoopError as error:
        raise JobRefused(str(error)) from error


def plan_in(recipe: Recipe, styles: Mapping[str, Style]) -> Plan | None:
    """The plan that a clip of this recipe was composed from; none if it was not, or not with these styles."""
    told = recipe.options.get(_PLAN)
    if recipe.backend != "composer" or not isinstance(told, str):
        return None
    try:
        plan = msgspec.json.decode(told, type=Plan)
    except msgspec.DecodeError:
        return None
    return plan if plan.style in styles else None


def recipe_of(job: Job, seed: int, plan: Plan) -> Recipe:
    """Enough to compose it again: figures are given as they became, so that they hold whatever the prompt says."""
    options: dict[str, str | int | float | bool | None] = {
        "bpm": plan.bpm,
        "key": plan.shown_key,
        "meter": str(plan.meter),
        "piece": job.piece,
        "development": plan.development,
        _PLAN: msgspec.json.encode(plan).decode(),
    }
    return Recipe(
        prompt=job.prompt,
        backend="composer",
        seed=seed,
        code_licence="MIT",
        disclosure=DISCLOSURE,
        plan=plan.line,
        style=plan.style,
        versions={"infiniloop": shared.__version__},
        options=options,
        parent_clip=job.parent_clip,
        splice_s=job.splice_s,
    )


def _added(prompt: str, before: str) -> str | None:
    """The clauses by which a prompt is longer than the one before; none if it is another prompt."""
    rest = prompt.strip().removeprefix(before.strip())
    same = len(rest) < len(prompt.strip()) and (not rest or rest.lstrip().startswith(","))
    return rest.lstrip(" ,") if same else None


def _continued(plan: Plan, before: Plan, words: str | None, asked: Asked, styles: Mapping[str, Style]) -> Plan:
    if words is not None:
        heard = nudge(before, words, styles)
    else:
        near = before.meter == plan.meter and 0.88 < plan.bpm / before.bpm < 1.14
        heard = replace(
            plan,
            bpm=before.bpm if near else plan.bpm,
            tonic=before.tonic,
            mode=before.mode if before.style == plan.style else plan.mode,
            seed_text=before.seed_text,
            development=before.development,
        )
    fixed = replace(
        heard,
        bpm=plan.bpm if asked.bpm is not None or asked.seconds is not None else heard.bpm,
        tonic=plan.tonic if asked.key else heard.tonic,
        mode=plan.mode if asked.key else heard.mode,
        meter=plan.meter if asked.meter else heard.meter,
        form=plan.form,
    )
    return developed(fixed)
