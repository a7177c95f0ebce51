"""The next job: for which prompt, out of what, fitting what. Pure."""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from services.controller import choice
from services.controller.foreman import Foreman
from services.controller.state import StationState
from services.controller.stock import Stock
from services.controller.workers import FALLBACK, Worker
from shared.messages import Capabilities, Job
from shared.music import Loop


def next_job(state: StationState, stock: Stock, offer: Capabilities, *, bridge: bool, grown: bool) -> Job:
    """A job for this prompt, named and with its seed; the state remembers that it was opened.

    Parameters
    ----------
    offer : of the backend that is to make it.
    bridge : a single section, composed at once, because this prompt's first song takes its time.
    grown : songs grow out of one another: it goes on from the last one, where the backend can.
    """
    state.jobs_named += 1
    dice = Random(f"{state.salt}:{state.epoch}:{state.jobs_named}")
    seed, first = _seed(state, dice, bridge=bridge)
    bpm, key = choice.ask_for(None if first else stock.find(state.anchor), state.prompt, dice)
    job = Job(
        job_id=f"{state.epoch}-{state.jobs_named}-{state.salt}",
        token="new",
        epoch=state.epoch,
        prompt=state.prompt,
        backend=offer.backend,
        bpm=bpm,
        key=key,
        seed=seed,
        bridge=bridge,
    )
    parent = parent_of(state, stock, offer) if grown else None
    return job if parent is None else _grown(job, parent, offer)


def parent_of(state: StationState, stock: Stock, offer: Capabilities) -> Loop | None:
    """The loop out of which this backend can have the next one grow."""
    parent = stock.find(state.parent)
    if parent is None or parent.recipe is None or parent.recipe.backend != offer.backend:
        return None
    if "continuation" not in offer.kinds or not (offer.exact_loops or parent.codes_path):
        return None
    return parent


def _grown(job: Job, parent: Loop, offer: Capabilities) -> Job:
    """The job as one that goes on from ``parent``: from its theme, or from where its loop ended in the clip.

    What is composed keeps tempo, key and seed of its parent: the seed is where its theme comes from.
    """
    if offer.exact_loops:
        seed = parent.recipe.seed if parent.recipe is not None else None
        return replace(job, parent_clip=parent.loop_id, parent_recipe=parent.recipe, seed=seed, bpm=None, key=None)
    return replace(
        job,
        parent_clip=parent.loop_id,
        parent_recipe=parent.recipe,
        splice_s=parent.source_end / offer.sample_rate if parent.source_end else None,
    )


BRIDGES_AGAIN = 2
"""So often a bridge that was refused is composed anew; then this prompt's first song is all that can be heard of it."""


def wants_bridge(state: StationState, stock: Stock, foreman: Foreman, worker: Worker) -> bool:
    """Whether this worker can compose a bridge, and this prompt has nothing yet, neither made nor in the making.

    A song that is to be changed is not left for another one meanwhile: it plays on where the composer did not make it.
    """
    composer = worker.capabilities.get(FALLBACK)
    return (
        composer is not None
        and composer.available
        and state.pace == "now"
        and (not state.growing or parent_of(state, stock, composer) is not None)
        and not stock.of_epoch(state.epoch)
        and not any(lease.job.epoch == state.epoch and lease.phase != "cancelling" for lease in foreman.leases.open)
    )


def _seed(state: StationState, dice: Random, *, bridge: bool) -> tuple[int, bool]:
    """A new seed; for a prompt's first song its bridge's, so that the composer goes on with the same music.

    The second value says that it is one of these two, which nothing else has to fit.
    """
    if bridge:
        state.bridge_seed = dice.randrange(2**31)
        return state.bridge_seed, True
    seed, state.bridge_seed = state.bridge_seed, None
    return (dice.randrange(2**31), False) if seed is None else (seed, True)
