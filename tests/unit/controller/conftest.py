"""A station's core with a clock of its own, and the messages that others would send to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

import msgspec
import pytest

from services.controller.core import Station
from services.controller.effects import Effect, ToWorker
from services.controller.state import StationState
from shared.messages import (
    AnyMessage,
    Cancel,
    Capabilities,
    ClipAccepted,
    ClipRejected,
    Done,
    Job,
    PlayerStatus,
    Ready,
    Status,
)
from shared.music import Loop, Recipe
from shared.settings import Settings

COMPOSER = Capabilities(
    backend="composer", available=True, exact_loops=True, tempo_control=True, key_control=True, seed_control=True
)
MUSICGEN = Capabilities(backend="musicgen", available=True, models=("small", "medium"), min_seconds=1, max_seconds=30)
E = TypeVar("E")


def a_loop(loop_id: str, *, epoch: int = 1, bpm: float | None = 80.0, key: str | None = "Am", **more: object) -> Loop:
    facts: dict[str, object] = {
        "job_id": f"job-{loop_id}",
        "path": f"/cache/loops/{loop_id}.wav",
        "frames": 480_000,
        "recipe": Recipe(prompt="calm", backend="composer", seed=1),
    }
    return Loop(loop_id=loop_id, epoch=epoch, bpm=bpm, key=key, **{**facts, **more})  # type: ignore[arg-type]


@dataclass
class House:
    """The core, its clock, and everything that it wanted done."""

    station: Station
    now: float = 100.0
    done: list[Effect] = field(default_factory=list)

    def hear(self, message: AnyMessage, worker: str = "") -> list[Effect]:
        return self.note(self.station.receive(message, self.now, worker))

    def note(self, effects: list[Effect]) -> list[Effect]:
        self.done += effects
        assert self.station.foreman.leases.balances()
        return effects

    def wait(self, seconds: float, *, alive: tuple[str, ...] = (), step: float = 0.5) -> list[Effect]:
        """Let time pass, a step at a time, while these workers give signs of life."""
        from shared.messages import Heartbeat

        end, effects = self.now + seconds, []
        while self.now < end:
            self.now += step
            for worker in alive:
                effects += self.hear(Heartbeat(), worker)
            effects += self.note(self.station.tick(self.now))
        return effects

    def ready(
        self, worker: str = "w1", *offers: Capabilities, holding: str | None = None, pid: int = 1
    ) -> list[Effect]:
        return self.hear(Ready(worker=worker, capabilities=offers or (COMPOSER,), holding=holding, pid=pid), worker)

    def deliver(self, job: Job, worker: str = "w1") -> list[Effect]:
        return self.hear(
            Done(job_id=job.job_id, token=job.token, backend=job.backend, seconds=12, generation_s=1), worker
        )

    def accept(self, job: Job, **more: object) -> list[Effect]:
        loop = a_loop(f"loop-{job.job_id}", epoch=job.epoch, job_id=job.job_id, bridge=job.bridge, **more)
        return self.hear(ClipAccepted(job_id=job.job_id, token=job.token, loop=loop))

    def reject(self, job: Job, *, damaged: bool = False) -> list[Effect]:
        return self.hear(
            ClipRejected(
                job_id=job.job_id, token=job.token, epoch=job.epoch, reason="no loop", code="no-loop", damaged=damaged
            )
        )

    def sounds(self, loop_id: str, *, pid: int = 7, output_ok: bool = True, held: tuple[str, ...] = ()) -> list[Effect]:
        state = PlayerStatus(playing=True, loop_id=loop_id, output_ok=output_ok, held=held)
        return self.note(self.station.observe(Status(service="player", pid=pid, uptime_s=1, state=state), self.now))

    def again(self, today: datetime | None = None) -> House:
        """The station as it comes back after it was killed: from what it had written."""
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(self.station.remembered()), type=StationState)
        return House(Station(state, self.station.settings, self.station.shelf.values(), 0.0, today=today), now=0.0)


def one_job(house: House, *offers: Capabilities) -> Job:
    """The job that this worker gets when it asks."""
    (job,) = jobs(house.ready("w1", *offers))
    return job


def make_loops(house: House, count: int) -> None:
    """Have so many loops made for the prompt, each from its job to its receipt."""
    for _ in range(count):
        job = one_job(house)
        house.deliver(job)
        house.accept(job)


def jobs(effects: list[Effect]) -> list[Job]:
    return [e.message for e in effects if isinstance(e, ToWorker) and isinstance(e.message, Job)]


def cancels(effects: list[Effect]) -> list[Cancel]:
    return [e.message for e in effects if isinstance(e, ToWorker) and isinstance(e.message, Cancel)]


def of(kind: type[E], effects: list[Effect]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]


WITHOUT_BRIDGES = replace(Settings(), controller=replace(Settings().controller, bridge=False))


@pytest.fixture
def house() -> House:
    """A new station that composes no bridges."""
    return House(Station(StationState(salt="5a17"), WITHOUT_BRIDGES, [], 100.0))


@pytest.fixture
def bridging() -> House:
    """A new station as it is by default."""
    return House(Station(StationState(salt="5a17"), Settings(), [], 100.0))
