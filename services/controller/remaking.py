"""Making a loop again: the job that its recipe describes, with the same seed or another. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.errors import InfiniLoopError
from shared.messages import PROMPT_LIMIT, Job
from shared.music import Loop


def remake(loop: Loop, parent: Loop | None, seed: int | None) -> Job:
    """The job that makes this loop again; its name and epoch are the station's to give.

    Parameters
    ----------
    parent : the loop out of which this one grew, where it did and is still known.
    seed : another than the recipe's; None takes that.

    Raises
    ------
    InfiniLoopError
        The loop has no recipe.
    """
    recipe = loop.recipe
    if recipe is None:
        raise InfiniLoopError("Nobody wrote down how that loop was made, so it cannot be made again.")
    options = recipe.options
    piece = bool(options.get("piece"))
    composed = recipe.backend == "composer"
    given: dict[str, Any] = {
        "job_id": "remade",
        "token": "new",
        "epoch": loop.epoch,
        "prompt": str(options.get("heard") or recipe.prompt)[:PROMPT_LIMIT],
        "backend": recipe.backend,
        "model": recipe.model.removeprefix("musicgen-") if recipe.model else None,
        "seconds": None if composed else _number(options.get("seconds")) or _length(loop),
        "bars": loop.bars if composed and not piece else None,
        "bpm": _number(options.get("bpm")),
        "key": options.get("key"),
        "meter": options.get("meter"),
        "seed": recipe.seed if seed is None else seed,
        "piece": piece,
        "bridge": loop.bridge,
    }
    if recipe.parent_clip and parent is not None:
        given |= {"parent_clip": recipe.parent_clip, "parent_recipe": parent.recipe, "splice_s": recipe.splice_s}
    return msgspec.convert(given, Job)


def _length(loop: Loop) -> float:
    """The clip was a little longer than the loop that was found in it."""
    return min(30.0, max(5.0, round(loop.frames / loop.sample_rate * 1.2, 1)))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
