"""The lease table: every job from the moment it is given out until its receipt. Pure; time comes in as an argument.

A job is *sent* to a worker, *delivered* when the worker says that its clip is on the way, and closed by the analyzer's
receipt alone. Without a receipt in time it waits as *queued* and is sent again with a new token; the worker that still
has the clip sends just that. The table always balances::

    opened = accepted + rejected + cancelled + failed + lost + open leases
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec.structs import replace

from shared.messages import Done, Job, Progress

RECEIPT_S = 20.0
"""So long after delivery a receipt may take before the clip is asked for again; doubles each time."""
SILENT_JOB_S = 8.0
"""A worker tells of its job once a second: one of which nothing was heard for so long has not reached it."""
CANCEL_S = 5.0
"""A job that was called back is closed after this time even if its worker does not confirm."""
MOST_UNANSWERED = 5
"""So often a clip is asked for again whose receipt does not come though nobody died."""
MOST_DELIVERIES = 40
"""A job outlives the death of those who have it, but not of so many: it may be what they die of."""
MOST_FAILURES = 2

Phase = Literal["queued", "sent", "delivered", "cancelling"]
Ending = Literal["accepted", "rejected", "cancelled", "failed", "lost"]


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """One job that has not got its receipt."""

    job: Job
    phase: Phase = "queued"
    worker: str = ""
    """Who has it, or had it last and may still hold its clip."""
    since: float = 0.0
    """When it came into this phase or was last heard of."""
    deliveries: int = 0
    unanswered: int = 0
    """How often its receipt did not come in time."""
    hurried: bool = False
    """The analyzer died over this delivery."""
    failures: int = 0
    fraction: float = 0.0
    stage: str = ""
    eta_s: float | None = None
    seconds: float = 0.0
    generation_s: float = 0.0
    download_s: float = 0.0
    cpu_s: float = 0.0
    """Of the clip, as its worker told them."""


class Counts(msgspec.Struct, kw_only=True):
    """How many jobs were opened, and how they ended."""

    opened: int = 0
    accepted: int = 0
    rejected: int = 0
    cancelled: int = 0
    failed: int = 0
    lost: int = 0
    redelivered: int = 0

    @property
    def sent(self) -> int:
        """Jobs that still count: neither called back nor given up by their backend."""
        return self.opened - self.cancelled - self.failed


class LeaseTable:
    """All open leases, by job."""

    def __init__(self, leases: Iterable[Lease] = (), counts: Counts | None = None, now: float = 0.0) -> None:
        # A time from before a restart means nothing now: every wait begins again.
        self._leases = {lease.job.job_id: replace(lease, since=now) for lease in leases}
        self.counts = counts or Counts()

    def __len__(self) -> int:
        return len(self._leases)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._leases

    @property
    def open(self) -> tuple[Lease, ...]:
        return tuple(self._leases.values())

    def get(self, job_id: str) -> Lease | None:
        return self._leases.get(job_id)

    def balances(self) -> bool:
        c = self.counts
        return c.opened == c.accepted + c.rejected + c.cancelled + c.failed + c.lost + len(self._leases)

    def of_worker(self, worker: str) -> tuple[Lease, ...]:
        """What this worker is making now."""
        return tuple(x for x in self._leases.values() if x.worker == worker and x.phase in ("sent", "cancelling"))

    def next_queued(self, worker: str) -> Lease | None:
        """The lease to give out next: rather one whose clip this worker may hold."""
        queued = [lease for lease in self._leases.values() if lease.phase == "queued"]
        return min(queued, key=lambda lease: lease.worker != worker, default=None)

    def begin(self, job: Job, now: float) -> Lease:
        """Open a lease for a new job."""
        lease = self._leases[job.job_id] = Lease(job=job, since=now)
        self.counts.opened += 1
        return lease

    def send(self, job: Job, worker: str, now: float) -> None:
        """``job`` (with its new token) goes to ``worker``."""
        lease = self._leases[job.job_id]
        if lease.deliveries:
            self.counts.redelivered += 1
        self._leases[job.job_id] = replace(
            lease,
            job=job,
            phase="sent",
            worker=worker,
            since=now,
            deliveries=lease.deliveries + 1,
            fraction=0.0,
            stage="",
        )

    def heard(self, progress: Progress, now: float) -> None:
        """Progress of the delivery that its token names; of any other it is ignored."""
        lease = self._leases.get(progress.job_id)
        if lease is not None and lease.job.token == progress.token and lease.phase == "sent":
            self._leases[progress.job_id] = replace(
                lease, since=now, fraction=progress.fraction, stage=progress.stage, eta_s=progress.eta_s
            )

    def claimed(self, job_id: str, worker: str, now: float) -> bool:
        """A worker says that it works at this job. False: nobody waits for it, call it back."""
        lease = self._leases.get(job_id)
        if lease is None or lease.phase == "cancelling":
            return False
        if lease.phase in ("queued", "sent"):
            self._leases[job_id] = replace(lease, phase="sent", worker=worker, since=now)
        return True

    def delivered(self, done: Done, now: float) -> bool:
        """The clip went to the analyzer; the receipt is awaited from now on. False if the job is closed already."""
        lease = self._leases.get(done.job_id)
        if lease is None:
            return False
        self._leases[done.job_id] = replace(
            lease,
            phase="delivered",
            since=now,
            fraction=1.0,
            stage="analysing",
            seconds=done.seconds,
            generation_s=done.generation_s,
            download_s=done.download_s,
            cpu_s=done.cpu_s,
        )
        return True

    def close(self, job_id: str, ending: Ending) -> Lease | None:
        """End a lease; None if it had ended before, as with a second receipt for the same job."""
        lease = self._leases.pop(job_id, None)
        if lease is not None:
            setattr(self.counts, ending, getattr(self.counts, ending) + 1)
        return lease

    def call_back(self, job_id: str, now: float) -> str:
        """The listener wants another thing: returns the worker that must be told, or "".

        A clip on its way to the analyzer is not called back: it is finished, and the library takes it.
        """
        lease = self._leases[job_id]
        if lease.phase == "queued":
            self.close(job_id, "cancelled")
        elif lease.phase == "sent":
            self._leases[job_id] = replace(lease, phase="cancelling", since=now)
            return lease.worker
        return ""

    def put_back(self, job_id: str, now: float) -> bool:
        """Its worker or its receipt is missing: give it out again, or give it up. False if it was given up."""
        lease = self._leases[job_id]
        if lease.phase == "cancelling":
            self.close(job_id, "cancelled")
            return False
        unanswered = lease.unanswered + (lease.phase == "delivered" and not lease.hurried)
        if lease.deliveries >= MOST_DELIVERIES or unanswered >= MOST_UNANSWERED:
            self.close(job_id, "lost")
            return False
        self._leases[job_id] = replace(lease, phase="queued", since=now, unanswered=unanswered)
        return True

    def failed(self, job_id: str, token: str, retry: bool, now: float) -> Lease | None:
        """A worker failed at this delivery. Returns the lease that the failure concerns, None if none."""
        lease = self._leases.get(job_id)
        if lease is None or lease.job.token != token:
            return None
        if lease.phase == "cancelling":
            self.close(job_id, "cancelled")
        elif not retry or lease.failures + 1 >= MOST_FAILURES:
            self.close(job_id, "failed")
        else:
            self._leases[job_id] = replace(lease, phase="queued", failures=lease.failures + 1, since=now)
        return lease

    def overdue(self, now: float) -> tuple[Lease, ...]:
        """Leases whose receipt, word or confirmation did not come in time."""
        return tuple(lease for lease in self._leases.values() if now - lease.since > _patience(lease))

    def hurry(self, now: float) -> None:
        """The analyzer began anew: what it had not answered it will not answer. One second for what is on its way."""
        for job_id, lease in self._leases.items():
            if lease.phase == "delivered":
                due = min(lease.since, now - _patience(lease) + 1.0)
                self._leases[job_id] = replace(lease, since=due, hurried=True)


def _patience(lease: Lease) -> float:
    if lease.phase == "delivered":
        return RECEIPT_S * 2.0**lease.unanswered
    return {"queued": float("inf"), "sent": SILENT_JOB_S, "cancelling": CANCEL_S}[lease.phase]
