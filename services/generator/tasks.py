"""What a worker remembers of its jobs: the one at hand, clips on their way, speeds, and how long things may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from services.generator.frames import Made
from shared.messages import Capabilities, Clip, Done, Job

OBEY_WITHIN_S = 0.5
"""A child that goes on with a job that was called back is killed after this."""
STALLED_AFTER_S = 90.0
"""A child that shows no progress for so long hangs; loading a large model from a slow disk takes less."""
_ETA_FROM = 0.1
"""Before, what it took to begin (a model to load, a score to write) would be taken for the pace."""


@dataclass
class Task:
    """The job at hand."""

    job: Job
    backend: str
    path: Path
    sign_at: float
    """When the child last showed that it gets on."""
    began: float
    fraction: float = 0.0
    stage: str = "beginning"
    ordered: bool = False
    cancelled_at: float | None = None

    def eta(self, now: float) -> float | None:
        """Seconds that it will still take, as it looks now."""
        if self.fraction < _ETA_FROM:
            return None
        return round((now - self.began) * (1.0 - self.fraction) / self.fraction, 1)


@dataclass
class Delivery:
    """A clip that is made, on its way to the analyzer or to be sent again."""

    clip: Clip
    done: Done
    path: Path
    tried_at: float

    def readdress(self, job: Job) -> None:
        """The same clip for a new delivery of its job."""
        self.clip = msgspec.structs.replace(self.clip, token=job.token, epoch=job.epoch)
        self.done = msgspec.structs.replace(self.done, token=job.token)


@dataclass
class Clock:
    """When each recurring thing was last done."""

    said: float
    heard: float
    progress: float
    surveyed: float
    child: float


@dataclass(frozen=True)
class Limits:
    """How long the child may take over what, in seconds."""

    obey: float = OBEY_WITHIN_S
    stall: float = STALLED_AFTER_S


USUAL = Limits()


@dataclass
class Tally:
    """What has become of the jobs so far."""

    made: int = 0
    failed: int = 0
    last_error: str = ""
    speeds: dict[str, float] = field(default_factory=dict)
    """Real-time factor of each backend, smoothed."""

    def measure(self, backend: str, made: Made) -> None:
        """Take the speed of one more clip into account."""
        if made.generation_s > 0:
            speed, before = made.frames / made.sample_rate / made.generation_s, self.speeds.get(backend)
            self.speeds[backend] = speed if before is None else 0.7 * before + 0.3 * speed

    def measured(self, capabilities: tuple[Capabilities, ...]) -> tuple[Capabilities, ...]:
        """The capabilities with the speeds that were measured here."""
        return tuple(
            msgspec.structs.replace(each, real_time_factor=round(self.speeds[each.backend], 2))
            if each.backend in self.speeds
            else each
            for each in capabilities
        )


def finished(task: Task, made: Made, *, local: bool) -> tuple[Clip, Done]:
    """What the analyzer and the controller are told of a clip; beyond this machine no path means anything."""
    job = task.job
    clip = Clip(
        job_id=job.job_id,
        token=job.token,
        epoch=job.epoch,
        recipe=made.recipe,
        path=made.path if local else None,
        sample_rate=made.sample_rate,
        frames=made.frames,
        channels=made.channels,
        truth=made.truth,
        asked_bpm=job.bpm,
        asked_key=job.key,
        insists=job.insists,
        bridge=job.bridge,
        codes_path=made.codes_path if local else None,
        min_loop=job.min_loop,
    )
    done = Done(
        job_id=job.job_id,
        token=job.token,
        backend=task.backend,
        model=made.recipe.model,
        seconds=made.frames / made.sample_rate,
        generation_s=made.generation_s,
        download_s=made.download_s,
        cpu_s=made.cpu_s,
    )
    return clip, done
