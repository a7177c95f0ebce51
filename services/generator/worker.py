"""What a worker does with jobs: takes one, has it made, hands the clip over, says so, asks for the next.

No sockets, no clock: what happened comes in together with the time, and what is to be done comes back as actions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import msgspec

from services.generator.actions import Action, Deliver, Reconnect, Renew, Say, Tell
from services.generator.choice import AUTO, choose
from services.generator.frames import Halt, Made, Make, Missed, Report, Step, Survey, Up
from services.generator.tasks import USUAL, Clock, Delivery, Limits, Tally, Task, finished
from shared.errors import BackendUnavailable
from shared.messages import (
    AnyMessage,
    Cancel,
    Capabilities,
    Failed,
    GeneratorStatus,
    Heartbeat,
    Job,
    Progress,
    Ready,
)

HEARTBEAT_S = 1.0
LIVENESS_S = 4.0
"""A controller that was not heard for so long is gone: the socket is opened anew."""
SURVEY_S = 10.0
PROGRESS_S = 0.2
DELIVER_AGAIN_S = 0.2
REMEMBERED = 32
"""Clips that can be sent again when the same job is delivered again."""


class Worker:
    """One worker with one child.

    Parameters
    ----------
    clips : the folder into which the child writes.
    suffix : ``.wav``, or ``.flac`` where the audio itself is sent.
    exists : whether a clip's file is still there.
    """

    def __init__(
        self,
        name: str,
        *,
        clips: Path,
        now: float,
        host: str = "",
        pid: int = 0,
        suffix: str = ".wav",
        exists: Callable[[Path], bool] = Path.exists,
        limits: Limits = USUAL,
    ) -> None:
        self._name, self._host, self._pid = name, host, pid
        self._clips, self._suffix, self._exists, self._limits = clips, suffix, exists, limits
        self._capabilities: tuple[Capabilities, ...] = ()
        self._task: Task | None = None
        self._delivery: Delivery | None = None
        self._remembered: OrderedDict[str, Delivery] = OrderedDict()
        self._child_alive = self._child_up = False
        self._clock = Clock(said=now, heard=now, progress=now, surveyed=now, child=now)
        self._tally = Tally()
        self.heard_at: float | None = None
        """When the controller was heard last."""

    @property
    def idle(self) -> bool:
        """Nothing is being made; a child may be exchanged without loss."""
        return self._task is None

    # -- the controller -----------------------------------------------------------------------------------------------

    def hear(self, message: AnyMessage, now: float) -> list[Action]:
        """Something came from the controller."""
        self._clock.heard = self.heard_at = now
        match message:
            case Job():
                return self._take(message, now)
            case Cancel():
                return self._cancel(message, now)
            case _:
                return []

    def _take(self, job: Job, now: float) -> list[Action]:
        again = self._take_again(job, now)
        if again is not None:
            return again
        task, delivery = self._task, self._delivery
        if task is not None or delivery is not None:
            busy = task.job.job_id if task is not None else delivery.clip.job_id if delivery is not None else ""
            return [self._failed(job, f"The worker {self._name} is busy with job {busy}.", now, retry=True)]
        if not self._capabilities:
            return [self._failed(job, f"The worker {self._name} has only just begun.", now, retry=True)]
        try:
            choice = choose(job.backend, self._capabilities)
        except BackendUnavailable as error:
            return [self._failed(job, str(error), now, retry=False), *self._ask(now)]
        path = self._clips / f"{job.job_id}{self._suffix}"
        self._task = Task(job=job, backend=choice.backend, path=path, began=now, sign_at=now)
        return [*self._order(now), self._progress(self._task, now)]

    def _take_again(self, job: Job, now: float) -> list[Action] | None:
        """A job that is known here: at work, on its way to the analyzer, or made before; None for any other."""
        task, delivery = self._task, self._delivery
        if task is not None:
            if task.job.job_id != job.job_id or task.cancelled_at is not None:
                return None
            task.job = msgspec.structs.replace(task.job, token=job.token)
            return [self._progress(task, now)]
        if delivery is None:
            made = self._remembered.get(job.job_id)
            delivery = made if made is not None and self._exists(made.path) else None
        if delivery is None or delivery.clip.job_id != job.job_id:
            return None
        self._delivery = delivery
        delivery.readdress(job)
        return self._attempt(delivery, now)

    def _cancel(self, cancel: Cancel, now: float) -> list[Action]:
        task, delivery = self._task, self._delivery
        reason = cancel.reason or "The job was called back."
        if task is not None and task.job.job_id == cancel.job_id and task.cancelled_at is None:
            task.cancelled_at = now
            failed = self._say(
                Failed(job_id=task.job.job_id, token=task.job.token, reason=reason, retry=False, backend=task.backend),
                now,
            )
            return [Tell(Halt(job_id=cancel.job_id)), failed] if task.ordered else [failed, *self._finish(now)]
        if delivery is not None and delivery.clip.job_id == cancel.job_id:
            self._delivery = None
            failed = self._say(Failed(job_id=cancel.job_id, token=delivery.clip.token, reason=reason, retry=False), now)
            return [failed, *self._ask(now)]
        return []

    # -- the child ----------------------------------------------------------------------------------------------------

    def child_began(self, now: float) -> list[Action]:
        """A child runs; orders may be given, though it is not up yet."""
        self._child_alive, self._child_up = True, False
        self._clock.child = now
        return self._order(now)

    def child_ended(self, how: str, now: float) -> list[Action]:
        """The child is gone, by itself or because it was killed. It costs the job that it worked at, no more."""
        was_up = self._child_up
        self._child_alive = self._child_up = False
        task = self._task
        if task is None:
            if not was_up:
                self._tally.last_error = f"The inference process {how} before it was ready."
            return []
        if task.cancelled_at is not None:
            return self._finish(now)
        return [
            self._failed(task.job, f"The inference process {how} at {task.stage}.", now, retry=True),
            *self._finish(now),
        ]

    def child_said(self, report: Report, now: float) -> list[Action]:
        """A report came from the child."""
        task = self._task
        match report:
            case Up():
                return self._surveyed(report, now)
            case Step() if task is not None and task.job.job_id == report.job_id:
                changed = task.stage != report.stage
                task.sign_at, task.fraction, task.stage = now, report.fraction, report.stage or task.stage
                if task.cancelled_at is None and (changed or now - self._clock.progress >= PROGRESS_S):
                    return [self._progress(task, now)]
            case Made() if task is not None and task.job.job_id == report.job_id:
                return self._made(task, report, now)
            case Missed() if task is not None and task.job.job_id == report.job_id:
                if task.cancelled_at is not None:
                    return self._finish(now)
                return [self._failed(task.job, report.reason, now, retry=report.retry), *self._finish(now)]
            case _:
                pass
        return []

    def _surveyed(self, report: Up, now: float) -> list[Action]:
        first = not self._child_up
        changed = report.capabilities != self._capabilities
        self._child_up, self._capabilities = True, report.capabilities
        self._clock.surveyed = now
        if first and self._task is not None:
            self._task.sign_at = now
        return [*self._ask(now)] if changed else []

    def _made(self, task: Task, made: Made, now: float) -> list[Action]:
        self._task = None
        if task.cancelled_at is not None:
            return [*self._ask(now)]
        self._tally.made += 1
        self._tally.measure(task.backend, made)
        clip, done = finished(task, made, local=self._suffix == ".wav")
        self._delivery = Delivery(clip, done, Path(made.path), tried_at=now)
        self._remembered[made.job_id] = self._delivery
        while len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
        return self._attempt(self._delivery, now)

    # -- the analyzer -------------------------------------------------------------------------------------------------

    def delivered(self, now: float) -> list[Action]:
        """The analyzer's socket took the clip."""
        if self._delivery is None:
            return []
        done, self._delivery = self._delivery.done, None
        return [self._say(done, now), *self._ask(now)]

    def lost(self, now: float) -> list[Action]:
        """The clip's file is gone before it was taken."""
        delivery, self._delivery = self._delivery, None
        if delivery is None:
            return []
        self._remembered.pop(delivery.clip.job_id, None)
        failed = Failed(job_id=delivery.clip.job_id, token=delivery.clip.token, reason="The clip's file is gone.")
        return [self._say(failed, now), *self._ask(now)]

    # -- time ---------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Action]:
        """What is due by now; called ten times a second or more."""
        actions: list[Action] = []
        if now - self._clock.heard >= LIVENESS_S:
            self._clock.heard = now
            actions += [Reconnect(), *self._present(now)]
        if (delivery := self._delivery) is not None and now - delivery.tried_at >= DELIVER_AGAIN_S:
            actions += self._attempt(delivery, now)
        actions += self._watch_child(now)
        if now - self._clock.said >= HEARTBEAT_S:
            actions.append(self._sign_of_life(now))
        return actions

    def _watch_child(self, now: float) -> list[Action]:
        task = self._task
        if not self._child_alive:
            return []
        if task is not None and task.cancelled_at is not None and now - task.cancelled_at >= self._limits.obey:
            return [Renew("went on with a job that was called back")]
        if task is not None and now - task.sign_at >= self._limits.stall:
            return [Renew(f"showed no progress for {self._limits.stall:g} s and was ended")]
        if not self._child_up and task is None and now - self._clock.child >= self._limits.stall:
            return [Renew(f"was not ready within {self._limits.stall:g} s and was ended")]
        if self._child_up and task is None and now - self._clock.surveyed >= SURVEY_S:
            self._clock.surveyed = now
            return [Tell(Survey())]
        return []

    def _sign_of_life(self, now: float) -> Say:
        if self._task is not None and self._task.cancelled_at is None:
            return self._progress(self._task, now)
        if self._delivery is not None:
            done = self._delivery.done
            waiting = Progress(job_id=done.job_id, token=done.token, fraction=1.0, stage="waiting for the analyzer")
            return self._say(waiting, now)
        # The call for a job is the sign of life of who has none: a controller that began anew hears it within a second.
        ready = self._present(now)
        return ready[0] if ready else self._say(Heartbeat(), now)

    def stop(self, now: float) -> list[Action]:
        """The service ends in good order: what is not done goes back at once."""
        task, self._task = self._task, None
        if task is None or task.cancelled_at is not None:
            return []
        return [self._failed(task.job, "The generator was stopped.", now, retry=True)]

    def status(self, now: float) -> GeneratorStatus:
        """The service's state as everyone may see it."""
        task = self._task if self._task is not None and self._task.cancelled_at is None else None
        capabilities = self._tally.measured(self._capabilities)
        try:
            choice = choose(AUTO, capabilities)
            chosen, reason = choice.backend, choice.reason
        except BackendUnavailable as error:
            chosen, reason = "", str(error) if capabilities else "The backends are being looked at."
        return GeneratorStatus(
            worker=self._name,
            backends=capabilities,
            chosen=chosen,
            chosen_reason=reason,
            job_id=task.job.job_id if task else self._delivery.clip.job_id if self._delivery else None,
            prompt=task.job.prompt if task else "",
            backend=task.backend if task else "",
            fraction=round(task.fraction, 3) if task else 0.0,
            stage=task.stage if task else "waiting for the analyzer" if self._delivery else "",
            eta_s=task.eta(now) if task else None,
            made=self._tally.made,
            failed=self._tally.failed,
            last_error=self._tally.last_error,
        )

    # -- small parts --------------------------------------------------------------------------------------------------

    def _order(self, now: float) -> list[Action]:
        """Give the waiting job to a child that can take it."""
        task = self._task
        if task is None or task.ordered or not self._child_alive:
            return []
        task.ordered, task.sign_at = True, now
        return [Tell(Make(job=task.job, backend=task.backend, path=str(task.path)))]

    def _finish(self, now: float) -> list[Action]:
        self._task = None
        return [*self._ask(now)]

    def _ask(self, now: float) -> list[Say]:
        """Ask for a job, if there is room for one and it is known what can be done."""
        return self._present(now) if self._task is None and self._delivery is None else []

    def _present(self, now: float) -> list[Say]:
        """Say Ready: free, or holding a job."""
        if not self._capabilities:
            return []
        task = self._task
        if task is not None and task.cancelled_at is not None:
            return []
        holding = task.job.job_id if task else self._delivery.clip.job_id if self._delivery else None
        ready = Ready(
            worker=self._name,
            capabilities=self._tally.measured(self._capabilities),
            holding=holding,
            host=self._host,
            pid=self._pid,
        )
        return [self._say(ready, now)]

    def _attempt(self, delivery: Delivery, now: float) -> list[Action]:
        delivery.tried_at = now
        return [Deliver(delivery.clip, delivery.path)]

    def _progress(self, task: Task, now: float) -> Say:
        self._clock.progress = now
        return self._say(
            Progress(
                job_id=task.job.job_id,
                token=task.job.token,
                fraction=task.fraction,
                stage=task.stage,
                eta_s=task.eta(now),
            ),
            now,
        )

    def _failed(self, job: Job, reason: str, now: float, *, retry: bool) -> Say:
        self._tally.failed += 1
        self._tally.last_error = reason
        task = self._task
        backend = task.backend if task is not None and task.job.job_id == job.job_id else job.backend
        return self._say(Failed(job_id=job.job_id, token=job.token, reason=reason, retry=retry, backend=backend), now)

    def _say(self, message: AnyMessage, now: float) -> Say:
        self._clock.said = now
        return Say(message)
