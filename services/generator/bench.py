"""The inference child in the hands of a command: one clip after another, waited for, without a station."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from services.generator.choice import choose
from services.generator.frames import Made, Make, MakeMany, Missed, Report, Step, Up
from services.generator.inference import COMMAND, InferenceProcess
from services.generator.tasks import STALLED_AFTER_S
from shared.errors import BackendError, BackendUnavailable, JobRefused
from shared.messages import Capabilities, Job
from shared.paths import Paths
from shared.settings.generator import GeneratorSettings


class Bench:
    """A child for the length of a ``with``."""

    def __init__(self, paths: Paths, settings: GeneratorSettings, command: Sequence[str] = COMMAND) -> None:
        self._child = InferenceProcess(paths, settings, command)
        self._capabilities: tuple[Capabilities, ...] = ()
        self._waiting: list[Report] = []

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._child.kill()
        self._child.close()

    def capabilities(self) -> tuple[Capabilities, ...]:
        """What every backend can do; waits until the child knows.

        Raises
        ------
        BackendError
            The child ended or hangs.
        """
        if not self._capabilities:
            while not isinstance(report := self._next("beginning"), Up):
                pass
            self._capabilities = report.capabilities
        return self._capabilities

    def make(self, job: Job, path: Path, progress: Callable[[float, str], None]) -> Made:
        """Have one clip made into ``path``; see ``make_many``."""
        return next(self.make_many([job], [path], progress))

    def maker(self, job: Job) -> Capabilities:
        """What the backend that makes this job can do.

        Raises
        ------
        BackendUnavailable
            It cannot run here.
        """
        chosen = choose(job.backend, self.capabilities()).backend
        return next(each for each in self.capabilities() if each.backend == chosen)

    def make_many(
        self, jobs: Sequence[Job], paths: Sequence[Path], progress: Callable[[float, str], None]
    ) -> Iterator[Made]:
        """Have clips of one prompt made, at most as many as their maker's ``batch``; each as it is written.

        Raises
        ------
        BackendUnavailable
            The backend that the jobs ask for cannot run here.
        JobRefused
            It cannot do what the jobs ask for.
        BackendError
            It failed; the sentence says why.
        """
        backend = choose(jobs[0].backend, self.capabilities()).backend
        orders = [Make(job=job, backend=backend, path=str(path)) for job, path in zip(jobs, paths, strict=True)]
        self._child.send(orders[0] if len(orders) == 1 else MakeMany(orders=tuple(orders)))
        stage, left = "beginning", len(orders)
        while left:
            match self._next(stage):
                case Step() as step:
                    stage = step.stage or stage
                    progress(step.fraction, stage)
                case Made() as made:
                    left -= 1
                    yield made
                case Missed(reason=reason) as missed:
                    raise _error_of(missed)(reason)
                case _:
                    pass

    def _next(self, stage: str) -> Report:
        until = time.monotonic() + STALLED_AFTER_S
        while (left := until - time.monotonic()) > 0:
            if self._waiting:
                return self._waiting.pop(0)
            if self._child.closed:
                raise BackendError(f"The inference process {self._child.close()} at {stage}: try again.")
            select.select([self._child], [], [], left)
            self._waiting += self._child.read()
        raise BackendError(f"The inference process showed no progress for {STALLED_AFTER_S:g} s at {stage}: try again.")


def _error_of(missed: Missed) -> type[BackendError]:
    if missed.refused:
        return JobRefused
    return BackendError if missed.retry else BackendUnavailable
