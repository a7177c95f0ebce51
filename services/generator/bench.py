"""The inference child in the hands of a command: one clip after another, waited for, without a station."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from services.generator.choice import choose
from services.generator.frames import Made, Make, Missed, Report, Step, Up
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
        """Have one clip made into ``path``.

        Raises
        ------
        BackendUnavailable
            The backend that the job asks for cannot run here.
        JobRefused
            It cannot do what the job asks for.
        BackendError
            It failed; the sentence says why.
        """
        choice = choose(job.backend, self.capabilities())
        self._child.send(Make(job=job, backend=choice.backend, path=str(path)))
        stage = "beginning"
        while True:
            match self._next(stage):
                case Step() as step:
                    stage = step.stage or stage
                    progress(step.fraction, stage)
                case Made() as made:
                    return made
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
