"""How many jobs the station wants now, and what it waits for, in words. Pure.

*restful* keeps two songs ahead and takes at most a quarter of the machine; on battery it plays what there is. *evolve*
is restful, and each song grows out of the last, so that one is made at a time. *flow* keeps a stream of continuations
ahead of what sounds, whatever it costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from services.controller.leases import Lease

SONGS_AHEAD = 2
"""Restful: so many songs that nobody has heard yet are kept ahead of the one that sounds."""
FLOW_AHEAD_S = 60.0
"""Flow: so much of the stream that nobody has heard yet is kept ahead."""
UNHEARD_S = 600.0
"""Where sound reaches neither a device nor a stream, and no command comes, the station rests after this long."""
DISK_FLOOR_BYTES = 200 << 20
"""Below this much free disk no clip can be written with safety."""


Mode: TypeAlias = Literal["restful", "evolve", "flow"]
MAKERS = {"musicgen": "MusicGen", "musicgpt": "MusicGPT", "composer": "the composer"}


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
    mode: Mode = "restful"
    grown: bool = False
    """Songs grow out of one another: one is made at a time."""
    ahead_s: float = 0.0
    """Music of this prompt that has not sounded."""
    has_song: bool = True
    """This prompt has a song, so that a new one can wait."""
    on_battery: bool = False
    budget_s: float = 0.0
    """Restful: no new job for so long."""
    bridged: bool = False
    """A bridge is there for the wait."""
    guess_s: float | None = None
    """How long the backend takes for a clip, as far as its speed is known."""
    asleep: bool = False


@dataclass(frozen=True)
class Demand:
    jobs: int
    waiting: str
    """What is awaited and why, or why nothing is made."""


def weigh(view: View) -> Demand:
    """The number of jobs to open now, and the sentence that says what the station waits for."""
    mine = [lease for lease in view.leases if lease.job.epoch == view.epoch and lease.phase != "cancelling"]
    at_work = _at_work(mine, view)
    missing = _missing(view, sum(not lease.job.bridge for lease in mine))
    if rest := _rest(view) or (_patience(view) if missing > 0 else ""):
        return Demand(0, f"{at_work} {rest}".strip())
    if not view.workers:
        said = "" if missing <= 0 else "Waiting for a generator: none has reported yet; what is there plays on."
        return Demand(0, f"{at_work} {said}".strip() or _ahead(view))
    if not view.backend:
        return Demand(
            0, f"{view.backend_note or 'No backend can work here: see `infiniloop doctor`.'} What is there plays on."
        )
    if missing <= 0 and not at_work:
        return Demand(0, f"{_ahead(view)} {view.backend_note}".strip())
    said = f"{at_work} {view.backend_note}".strip()
    if missing > 0 and view.pause_s > 0:
        return Demand(
            0, f"{said} The next attempt begins in {view.pause_s:.0f} s, after clips that were no good.".strip()
        )
    return Demand(max(0, missing), said or "Waiting for the generator to ask for the next job.")


def _missing(view: View, under_way: int) -> int:
    """Songs to begin now, beside those under way."""
    if view.mode == "flow":
        return int(view.ahead_s < FLOW_AHEAD_S and not under_way)
    missing = SONGS_AHEAD - view.fresh - under_way
    return min(missing, 1 - under_way) if view.grown else missing


def _patience(view: View) -> str:
    """Why a song that is missing can wait; empty where it cannot. A prompt's first song never waits."""
    if view.mode == "flow" or not view.has_song:
        return ""
    if view.on_battery:
        return "On battery: what is there plays on, and nothing is made."
    if view.budget_s > 0:
        return f"Resting, so that making music takes at most a quarter of this machine: {_span(view.budget_s)} more."
    return ""


def _rest(view: View) -> str:
    if view.stopped and view.asleep:
        return "Asleep since the sleep timer ran out: nothing is made until `infiniloop start`."
    if view.stopped:
        return "Stopped: nothing is made until `infiniloop start`."
    if view.paused:
        return "Paused: nothing is made until `infiniloop resume`."
    if view.disk_free is not None and view.disk_free < DISK_FLOOR_BYTES:
        return f"Only {view.disk_free >> 20} MB of disk are free: nothing is made; free some space."
    if view.unheard_s > UNHEARD_S:
        return "No sound device and no listener on the stream: nothing is made until somebody listens."
    return ""


def _ahead(view: View) -> str:
    if view.mode == "flow":
        return f"{view.ahead_s:.0f} s of the stream are ready ahead."
    fresh = view.fresh
    songs = {0: "No song is", 1: "One song is", 2: "Two songs are"}.get(fresh, f"{fresh} songs are")
    return f"{songs} ready ahead: resting." if fresh >= SONGS_AHEAD else f"{songs} ready ahead."


def bridge_note(view: View) -> str:
    """ "bridge, MusicGen in about 20 s": what a bridge stands in for; empty where nothing is on its way."""
    coming = [
        lease
        for lease in view.leases
        if lease.job.epoch == view.epoch and not lease.job.bridge and lease.phase in ("sent", "delivered")
    ]
    if not coming:
        return ""
    lease = max(coming, key=lambda each: each.fraction)
    maker = MAKERS.get(lease.job.backend, lease.job.backend)
    left = lease.eta_s if lease.eta_s is not None else view.guess_s
    if lease.phase == "delivered":
        return f"bridge, {maker} in a few seconds"
    return f"bridge, {maker} in about {max(1.0, left):.0f} s" if left is not None else f"bridge, {maker} soon"


def _at_work(leases: Sequence[Lease], view: View) -> str:
    if not leases:
        return ""
    prompt = view.prompt
    lease = max(leases, key=lambda each: (each.phase == "sent", each.fraction))
    if view.bridged and not lease.job.bridge and (note := bridge_note(view)):
        percent = f" ({100 * lease.fraction:.0f} %)" if lease.fraction > 0 else ""
        return f"{note[0].upper()}{note[1:]}{percent}."
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


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
