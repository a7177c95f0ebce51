"""How many jobs the station wants now, and what it waits for, in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.controller.leases import Lease

SONGS_AHEAD = 2
"""Restful: so many songs that nobody has heard yet are kept ahead of the one that sounds."""
UNHEARD_S = 1800.0
"""Where sound reaches neither a device nor a stream, and no command comes, the station rests after this long."""
DISK_FLOOR_BYTES = 200 << 20
"""Below this much free disk no clip can be written with safety."""


@dataclass(frozen=True)
class View:
    """What the decision rests on."""

    prompt: str
    paused: bool
    stopped: bool
    unheard_s: float
    """For how long the sound has reached nobody; 0 while somebody listens."""
    fresh: int
    """Songs of this prompt on the shelf that have not sounded, bridges not counted."""
    leases: Sequence[Lease]
    epoch: int
    workers: int
    backend: str
    """The backend that would be asked; empty if none can."""
    backend_note: str = ""
    pause_s: float = 0.0
    """Back-off: no new job for so long."""
    disk_free: int | None = None


@dataclass(frozen=True)
class Demand:
    jobs: int
    waiting: str
    """What is awaited and why, or why nothing is made."""


def weigh(view: View) -> Demand:
    """The number of jobs to open now, and the sentence that says what the station waits for."""
    mine = [lease for lease in view.leases if lease.job.epoch == view.epoch and lease.phase != "cancelling"]
    at_work = _at_work(mine, view.prompt)
    if rest := _rest(view):
        return Demand(0, f"{at_work} {rest}".strip())
    missing = SONGS_AHEAD - view.fresh - sum(not lease.job.bridge for lease in mine)
    if not view.workers:
        said = "" if missing <= 0 else "Waiting for a generator: none has reported yet; what is there plays on."
        return Demand(0, f"{at_work} {said}".strip() or _ahead(view.fresh))
    if not view.backend:
        return Demand(
            0, f"{view.backend_note or 'No backend can work here: see `infiniloop doctor`.'} What is there plays on."
        )
    if missing <= 0 and not at_work:
        return Demand(0, f"{_ahead(view.fresh)} {view.backend_note}".strip())
    said = f"{at_work} {view.backend_note}".strip()
    if missing > 0 and view.pause_s > 0:
        return Demand(
            0, f"{said} The next attempt begins in {view.pause_s:.0f} s, after clips that were no good.".strip()
        )
    return Demand(max(0, missing), said or "Waiting for the generator to ask for the next job.")


def _rest(view: View) -> str:
    if view.stopped:
        return "Stopped: nothing is made until `infiniloop start`."
    if view.paused:
        return "Paused and nobody listens to the stream: nothing is made."
    if view.disk_free is not None and view.disk_free < DISK_FLOOR_BYTES:
        return f"Only {view.disk_free >> 20} MB of disk are free: nothing is made; free some space."
    if view.unheard_s > UNHEARD_S:
        return "No sound device and no listener on the stream: nothing is made until somebody listens."
    return ""


def _ahead(fresh: int) -> str:
    songs = {0: "No song is", 1: "One song is", 2: "Two songs are"}.get(fresh, f"{fresh} songs are")
    return f"{songs} ready ahead: resting." if fresh >= SONGS_AHEAD else f"{songs} ready ahead."


def _at_work(leases: Sequence[Lease], prompt: str) -> str:
    if not leases:
        return ""
    lease = max(leases, key=lambda each: (each.phase == "sent", each.fraction))
    name = f"“{prompt if len(prompt) <= 60 else prompt[:59] + '…'}”"
    what = f"A bridge for {name}" if lease.job.bridge else f"A loop for {name}"
    if lease.phase == "delivered":
        return f"{what} is being analysed."
    if lease.phase == "queued":
        return f"{what} waits for a generator" + (": it is asked for again." if lease.deliveries else ".")
    how = f" ({lease.stage})" if lease.stage else ""
    percent = f", {100 * lease.fraction:.0f} %" if lease.fraction > 0 else ""
    eta = f", about {lease.eta_s:.0f} s left" if lease.eta_s else ""
    return f"{what} is being made by {lease.job.backend}{how}{percent}{eta}."
