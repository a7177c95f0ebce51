"""Sees to it that what was asked for gets made: workers, leases, receipts, and which backend is trusted. Pure.

It decides nothing about music: what is wanted, and how a job is put, the station tells it when a worker asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from services.controller.effects import Effect, ForgetClip, Measured, ToWorker
from services.controller.leases import Counts, Ending, Lease, LeaseTable
from services.controller.statistics import Attempt
from services.controller.workers import ASTRAY, FALLBACK, Trust, Worker, Workers, choose_backend
from shared.messages import (
    Cancel,
    Capabilities,
    ClipAccepted,
    ClipRejected,
    Done,
    Failed,
    Heartbeat,
    Job,
    Progress,
    Ready,
)

CROSSING_S = 2.0
"""A call for a job from the same process, so soon after one was sent to it, has crossed with that job."""
RETURN_S = 8.0
"""After a restart, so long until a worker that had a job is taken for gone."""


class Foreman:
    """The workers and their jobs. ``changed`` says that the lease table is to be written down."""

    def __init__(self, leases: Iterable[Lease], counts: Counts, now: float) -> None:
        self.leases = LeaseTable(leases, counts, now)
        self.workers = Workers()
        self.trust = Trust()
        self.changed = False
        self._began = now
        self._next_job_at = 0.0

    def pause_s(self, now: float) -> float:
        """For how long no new job is opened, after clips that were no good."""
        return max(0.0, self._next_job_at - now)

    def backend(self, wished: str, now: float) -> tuple[str, str]:
        """The backend that would be asked, and a sentence where it is another than was wished for."""
        return choose_backend(wished, self.workers.backends(), self.trust, now)

    def forgive(self) -> None:
        """The listener asks anew: every backend gets another chance at once."""
        self.trust.forget()
        self._next_job_at = 0.0

    # -- what workers say ---------------------------------------------------------------------------------------------

    def hear(self, message: Ready | Progress | Done | Failed | Heartbeat, key: str, now: float) -> list[Effect]:
        """Take in what the worker behind this link says."""
        self.workers.heard(key, now)
        match message:
            case Ready():
                return self._ready(key, message, now)
            case Progress():
                self.leases.heard(message, now)
            case Done():
                self.changed |= self.leases.delivered(message, now)
            case Failed():
                return self._failed(message, now)
            case Heartbeat():
                pass
        return []

    def _ready(self, key: str, ready: Ready, now: float) -> list[Effect]:
        before = self.workers.get(key)
        worker, earlier = self.workers.ready(key, ready, now)
        for gone in earlier:
            self._take_back(self.leases.of_worker(gone), ready.holding, now)
        mine = self.leases.of_worker(key)
        just_sent = any(now - lease.since < CROSSING_S and lease.phase == "sent" for lease in mine)
        if ready.holding is None and just_sent and before is not None and before.pid == ready.pid:
            worker.credit = False
            return []
        self._take_back(mine, ready.holding, now)
        if ready.holding is None:
            return []
        self.changed = True
        if self.leases.claimed(ready.holding, key, now):
            return []
        return [ToWorker(key, Cancel(job_id=ready.holding, reason="nobody waits for it"))]

    def _failed(self, message: Failed, now: float) -> list[Effect]:
        self.changed = True
        lease = self.leases.failed(message.job_id, message.token, message.retry, now)
        if lease is None or lease.phase == "cancelling":
            return []
        backend = message.backend or lease.job.backend
        self.trust.failed(backend, message.reason, now)
        self._next_job_at = now + self.trust.pause_s(backend)
        return [Measured(Attempt(at=0.0, backend=backend, model=lease.job.model or "", outcome="failed"))]

    # -- what the analyzer says ---------------------------------------------------------------------------------------

    def receipt(self, message: ClipAccepted | ClipRejected, now: float) -> list[Effect]:
        """The end of a lease. One that comes twice, or for a job that nobody knows, ends nothing and harms nothing."""
        self.changed = True
        if isinstance(message, ClipRejected) and message.damaged and message.job_id in self.leases:
            self.leases.put_back(message.job_id, now)
            return []
        ending: Ending = "accepted" if isinstance(message, ClipAccepted) else "rejected"
        lease = self.leases.close(message.job_id, ending)
        done: list[Effect] = [ForgetClip(message.job_id)]
        if lease is None:
            return done
        if lease.phase == "sent" and lease.worker:
            done.append(ToWorker(lease.worker, Cancel(job_id=message.job_id, reason="its receipt has come")))
        if isinstance(message, ClipAccepted):
            self.trust.succeeded(lease.job.backend)
            done.append(Measured(_attempt(lease, "accepted", message.analysis_s)))
        else:
            if message.code in ASTRAY:
                self.trust.astray(lease.job.backend, message.reason, now)
            else:
                self.trust.rejected(lease.job.backend, f"a clip was rejected: {message.reason}", now)
                self._next_job_at = now + self.trust.pause_s(lease.job.backend)
            done.append(Measured(_attempt(lease, message.code, message.analysis_s)))
        return done

    def analyzer_began_again(self, now: float) -> None:
        """What it had not answered it will not answer: it is asked for soon."""
        self.leases.hurry(now)

    # -- what time brings ---------------------------------------------------------------------------------------------

    def look_after(self, now: float) -> None:
        """Give out again what should have come and has not."""
        self.workers.drop_silent(now)
        for lease in self.leases.open:
            gone = lease.worker not in self.workers and now - max(lease.since, self._began) > RETURN_S
            if lease.phase in ("sent", "cancelling") and gone:
                self._put_back(lease, now)
        for lease in self.leases.overdue(now):
            if lease.phase == "sent" and (worker := self.workers.get(lease.worker)) is not None:
                worker.credit = True  # it tells of no work, so the job never reached it: it still waits for one
            self._put_back(lease, now)

    def unreachable(self, key: str, now: float) -> None:
        """A message could not be handed to this worker: what it had is given out again."""
        self.workers.drop(key)
        self._take_back(self.leases.of_worker(key), None, now)

    # -- what the station wants ---------------------------------------------------------------------------------------

    def call_back(self, reason: str, now: float) -> list[Effect]:
        """Nothing that is being made is wanted any more."""
        self.changed = True
        return [
            ToWorker(worker, Cancel(job_id=lease.job.job_id, reason=reason))
            for lease in self.leases.open
            if (worker := self.leases.call_back(lease.job.job_id, now))
        ]

    def give(
        self,
        wished: str,
        now: float,
        new_job: Callable[[Worker, str], Job | None],
        shape: Callable[[Job, Capabilities, int], Job],
    ) -> list[Effect]:
        """Give a job to each worker that asks for one: what waits to be given again first, then a new one.

        Parameters
        ----------
        wished : the backend that the listener wishes for.
        new_job : the next job for this worker and backend, or None where nothing is wanted.
        shape : the job as the backend of an offer takes it, for its n-th delivery.
        """
        done: list[Effect] = []
        for worker in self.workers.asking():
            backend, _ = choose_backend(wished, worker.capabilities, self.trust, now)
            if not backend:
                continue
            lease = self.leases.next_queued(worker.key)
            if lease is None:
                job = new_job(worker, backend)
                if job is None:
                    break
                lease = self.leases.begin(job, now)
            named = FALLBACK if lease.job.bridge else lease.job.backend if lease.job.remade else backend
            offer = worker.capabilities.get(named)
            if offer is None:  # of a worker that has gone; the next one may have it
                continue
            job = shape(lease.job, offer, lease.deliveries + 1)
            self.leases.send(job, worker.key, now)
            worker.credit = False
            self.changed = True
            done.append(ToWorker(worker.key, job))
        return done

    def _take_back(self, leases: Iterable[Lease], holding: str | None, now: float) -> None:
        for lease in leases:
            if lease.job.job_id != holding:
                self._put_back(lease, now)

    def _put_back(self, lease: Lease, now: float) -> None:
        self.leases.put_back(lease.job.job_id, now)
        self.changed = True


def _attempt(lease: Lease, outcome: str, analysis_s: float) -> Attempt:
    return Attempt(
        at=0.0,
        backend=lease.job.backend,
        model=lease.job.model or "",
        seconds=lease.seconds,
        generation_s=lease.generation_s,
        download_s=lease.download_s,
        analysis_s=analysis_s,
        outcome=outcome,
    )
