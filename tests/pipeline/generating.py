"""The other ends of a generator's lines: what the controller and the analyzer would say to a real worker process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from shared.bus import Bus, Link, Received
from shared.messages import (
    AnyMessage,
    Capabilities,
    Clip,
    Done,
    Failed,
    GeneratorStatus,
    Heartbeat,
    Job,
    Progress,
    Ready,
    Status,
)
from shared.paths import Paths
from shared.topology import CLIPS, JOBS

STAND_IN = Path(__file__).parents[1] / "stand_ins" / "musicgpt"
WAITS_S = 30.0
"""No wait of these tests is ever this long but on a machine that is busy with everything else."""


def with_musicgpt(paths: Paths, model: str = "small") -> dict[str, str]:
    """An environment in which the stand-in for MusicGPT is installed, with one model and its library."""
    data = paths.data.parent / "xdg"
    release = "onnxruntime-linux-x64-1.20.1"
    library = data / "musicgpt" / "dynlibs" / "1.20.1" / release / "lib" / "libonnxruntime.so"
    size = data / "musicgpt" / "v1"
    names = [f"{model}/config.json", f"{model}/tokenizer.json"]
    names += [f"{model}_fp32/{part}.onnx" for part in ("text_encoder", "decoder_model_merged", "encodec_decode")]
    for path in (library, *(size / name for name in names)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return {"XDG_DATA_HOME": str(data), "INFINILOOP_GENERATOR_MUSICGPT": str(STAND_IN)}


def family(pid: int) -> list[psutil.Process]:
    """A process's children and theirs."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def all_gone(processes: Iterable[psutil.Process], within_s: float = 2.0) -> bool:
    """Whether every one of these has ended in time; one that only awaits its adopted parent's attention has."""
    left = psutil.wait_procs(list(processes), timeout=within_s)[1]
    return not [each for each in left if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


@contextmanager
def running(
    paths: Paths, *command: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours in this home; ended with all it began."""
    process = subprocess.Popen(
        [sys.executable, "-m", "services", *command],
        env={**os.environ, "INFINILOOP_HOME": str(paths.config.parent), **(environment or {})},
    )
    try:
        yield process
    finally:
        below = family(process.pid)
        process.terminate()
        try:
            process.wait(10)
        finally:
            for each in below:
                if each.is_running():
                    each.kill()


class Ends:
    """The controller's and the analyzer's sockets in the hands of a test."""

    def __init__(self, bus: Bus, jobs: Link | None = None, clips: Link | None = None) -> None:
        self.bus = bus
        self.jobs = jobs or bus.bind(JOBS)
        self.clips = clips or bus.bind(CLIPS)
        self.worker = b""
        self.pid = 0
        """Of the worker's service."""
        self.ready: list[Ready] = []
        self.progress: list[Progress] = []
        self.done: list[Done] = []
        self.failed: list[Failed] = []
        self.clip: list[Received] = []
        self.heartbeats = 0
        self._beat_at = 0.0

    def turn(self, wait_s: float = 0.05) -> None:
        """Take in what has come; give the sign of life that is due."""
        if self.worker and time.monotonic() - self._beat_at >= 0.5:
            self._beat_at = time.monotonic()
            self.jobs.send(Heartbeat(), to=self.worker)
        self.bus.wait(wait_s)
        while (received := self.jobs.receive()) is not None:
            self.worker = received.peer
            self._keep(received.message)
        while (received := self.clips.receive()) is not None:
            assert isinstance(received.message, Clip)
            self.clip.append(received)

    def until(self, what: Callable[[], object], within_s: float = WAITS_S) -> None:
        """Turn until it is so; fail with what has come if it never is."""
        until = time.monotonic() + within_s
        while not what():
            assert time.monotonic() < until, f"Nothing of the kind within {within_s} s; failed: {self.failed}"
            self.turn()

    def able(self, backend: str) -> Capabilities:
        """What the worker said last of a backend."""
        return next(each for each in self.ready[-1].capabilities if each.backend == backend)

    def give(self, job: Job) -> None:
        """Wait until the worker asks for a job, then give it this one."""
        self.until(lambda: self.ready and self.ready[-1].holding is None)
        self.ready.clear()
        assert self.jobs.send(job, to=self.worker)

    def _keep(self, message: AnyMessage) -> None:
        match message:
            case Ready():
                self.ready.append(message)
                self.pid = message.pid
            case Progress():
                self.progress.append(message)
            case Done():
                self.done.append(message)
            case Failed():
                self.failed.append(message)
            case Heartbeat():
                self.heartbeats += 1
            case _:
                raise AssertionError(f"A worker never says {type(message).__name__}.")


def last_status(bus: Bus, link: Link, within_s: float = WAITS_S) -> GeneratorStatus:
    """The next status that the generator publishes."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        bus.wait(0.05)
        received = link.receive()
        if received and isinstance(received.message, Status) and isinstance(received.message.state, GeneratorStatus):
            return received.message.state
    raise AssertionError("The generator published no status.")
