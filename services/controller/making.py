"""The next job: for which prompt, out of what, fitting what. Pure."""

from __future__ import annotations

from random import Random

from services.controller import choice
from services.controller.foreman import Foreman
from services.controller.state import StationState
from services.controller.stock import Stock
from services.controller.workers import FALLBACK, Worker
from shared.messages import Job


def next_job(state: StationState, stock: Stock, backend: str, *, bridge: bool) -> Job:
    """A job for this prompt, named and with its seed; the state remembers that it was opened.

    Parameters
    ----------
    bridge : a single section, composed at once, because this prompt's first song takes its time.
    """
    state.jobs_named += 1
    dice = Random(f"{state.salt}:{state.epoch}:{state.jobs_named}")
    seed, first = _seed(state, dice, bridge=bridge)
    bpm, key = choice.ask_for(None if first else stock.find(state.anchor), state.prompt, dice)
    return Job(
        job_id=f"{state.epoch}-{state.jobs_named}-{state.salt}",
        token="new",
        epoch=state.epoch,
        prompt=state.prompt,
        backend=backend,
        bpm=bpm,
        key=key,
        seed=seed,
        bridge=bridge,
    )


def wants_bridge(state: StationState, stock: Stock, foreman: Foreman, worker: Worker) -> bool:
    """Whether this worker can compose a bridge, and this prompt has nothing yet, neither made nor in the making."""
    composer = worker.capabilities.get(FALLBACK)
    return (
        composer is not None
        and composer.available
        and not stock.of_epoch(state.epoch)
        and not any(lease.job.epoch == state.epoch for lease in foreman.leases.open)
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
