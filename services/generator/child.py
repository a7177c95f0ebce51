"""The inference process: makes one clip at a time, stays warm between them, and may be killed at any moment.

Threads: the main thread builds backends and makes clips. A reading thread takes orders from the pipe; it notes at once
which job was called back, and ends the process when the pipe closes, for then the service is gone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from services.generator.backend import BatchingBackend, ClipFacts, Generation, JobControl
from services.generator.frames import (
    Begin,
    FrameReader,
    Halt,
    Made,
    Make,
    MakeMany,
    Missed,
    Order,
    Report,
    Step,
    Survey,
    Up,
    pack,
)
from services.generator.frames import orders as order_decoder
from services.generator.registry import BACKENDS, Builder, Shelf, first_line
from shared.errors import BackendError, BackendUnavailable, Cancelled, InfiniLoopError, JobRefused, UsageError
from shared.messages import Job
from shared.paths import Paths
from shared.runtime import lifeline, memory

if TYPE_CHECKING:
    from shared.units import Audio

log = logging.getLogger(__name__)

NICENESS = 10
"""The player comes first."""
SEED_BITS = 31
_STEP_S = 0.1
"""Progress is told this often at most, unless the stage changes."""
_READ = 1 << 16


class Inference:
    """Takes orders from one pipe and reports into another."""

    def __init__(self, inward: int, outward: int, builders: Mapping[str, Builder]) -> None:
        self._inward, self._outward = inward, outward
        self._builders = builders
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._halted: set[str] = set()

    def run(self) -> None:
        threading.Thread(target=self._read, daemon=True, name="orders").start()
        first = self._orders.get()
        if not isinstance(first, Begin):
            raise TypeError(f"The first order was {type(first).__name__} instead of Begin.")
        paths = Paths(*(Path(each) for each in (first.config, first.data, first.cache, first.state, first.runtime)))
        shelf = Shelf(self._builders, paths, first.settings)
        able = shelf.survey()
        # Only now: whoever waits for the first job shall not wait for a machine that is busy with something else.
        os.nice(NICENESS)
        self._tell(Up(capabilities=able))
        while True:
            match self._orders.get():
                case Make() as order:
                    self._tell(self._make(order, shelf))
                    self._halted.discard(order.job.job_id)
                    memory.give_back()
                case MakeMany(orders=several):
                    for answer in self._make_many(several, shelf):
                        self._tell(answer)
                    self._halted.difference_update(each.job.job_id for each in several)
                    memory.give_back()
                case Survey():
                    self._tell(Up(capabilities=shelf.survey()))
                case Begin() | Halt():
                    pass

    def _read(self) -> None:
        reader = FrameReader(order_decoder)
        try:
            while data := os.read(self._inward, _READ):
                for order in reader.feed(data):
                    if isinstance(order, Halt):
                        self._halted.add(order.job_id)
                    else:
                        self._orders.put(order)
        finally:
            os._exit(0)

    def _tell(self, report: Report) -> None:
        data = memoryview(pack(report))
        while data:
            data = data[os.write(self._outward, data) :]

    def _make(self, order: Make, shelf: Shelf) -> Made | Missed:
        """Make one clip; whatever goes wrong becomes one sentence."""
        try:
            backend = shelf.take(order.backend)
            job, cost = with_seed(order.job), Cost()
            control = self._control(job.job_id)
            control.check()
            return finish(order, backend.generate(job, control), control, cost)
        except Exception as error:
            return self._missed(order, error)

    def _make_many(self, orders: Sequence[Make], shelf: Shelf) -> Iterator[Made | Missed]:
        """Make several clips: together, where the backend can; else one by one."""
        cost = Cost(together=len(orders))
        try:
            backend = shelf.take(orders[0].backend)
            if not isinstance(backend, BatchingBackend):
                yield from (self._make(order, shelf) for order in orders)
                return
            control = self._control(*(order.job.job_id for order in orders))
            control.check()
            generations, work = backend.generate_many([with_seed(order.job) for order in orders], control)
            for _ in work:
                control.check()
        except Exception as error:
            yield from (self._missed(order, error) for order in orders)
            return
        for order, generation in zip(orders, generations, strict=True):
            try:
                yield finish(order, generation, control, cost)
            except Exception as error:
                yield self._missed(order, error)

    def _missed(self, order: Make, error: Exception) -> Missed:
        if not isinstance(error, (InfiniLoopError, MemoryError)):
            log.error("The backend %s failed at job %s", order.backend, order.job.job_id, exc_info=error)
        return missed(order, error)

    def _control(self, *job_ids: str) -> JobControl:
        """Progress is told of the first; calling any of them back ends them all."""
        return JobControl(
            report=self._steps(job_ids[0]), cancelled=lambda: any(each in self._halted for each in job_ids)
        )

    def _steps(self, job_id: str) -> _Steps:
        return _Steps(lambda fraction, stage: self._tell(Step(job_id=job_id, fraction=fraction, stage=stage)))


def processor_s() -> float:
    """Seconds of processor that this process and those of its children that have ended have taken."""
    taken = os.times()
    return taken.user + taken.system + taken.children_user + taken.children_system


@dataclass(frozen=True)
class Cost:
    """What the clips that are made from now on take; of those made together each has its part."""

    together: int = 1
    began: float = field(default_factory=time.monotonic)
    worked: float = field(default_factory=processor_s)

    def seconds(self, download_s: float) -> float:
        """On the clock, downloads left out."""
        return max(0.0, time.monotonic() - self.began - download_s) / self.together

    def processor(self) -> float:
        """Of the processors, all threads together."""
        return round((processor_s() - self.worked) / self.together, 3)


class _Steps:
    """Passes progress on, not faster than anyone can read it."""

    def __init__(self, tell: Callable[[float, str], None]) -> None:
        self._tell = tell
        self._told_at, self._stage = 0.0, ""

    def __call__(self, fraction: float, stage: str) -> None:
        now = time.monotonic()
        if stage != self._stage or now - self._told_at >= _STEP_S:
            self._told_at, self._stage = now, stage
            self._tell(min(1.0, max(0.0, fraction)), stage)


def finish(order: Make, generation: Generation, control: JobControl, cost: Cost) -> Made:
    """Take a clip's blocks, write it, and say what was made and what it took."""
    blocks: list[Audio] = []
    for block in generation.blocks:
        control.check()
        blocks.append(block)
    facts: ClipFacts = generation.facts()
    frames = write_clip(Path(order.path), blocks, generation.sample_rate, generation.channels)
    control.check()
    return Made(
        job_id=order.job.job_id,
        path=order.path,
        sample_rate=generation.sample_rate,
        frames=frames,
        channels=generation.channels,
        recipe=facts.recipe,
        truth=facts.truth,
        codes_path=str(facts.codes_path) if facts.codes_path else None,
        midi=facts.midi,
        generation_s=cost.seconds(facts.download_s),
        download_s=facts.download_s,
        cpu_s=cost.processor(),
    )


def missed(order: Make, error: Exception) -> Missed:
    """Why there is no clip, and whether another try may bring one."""
    refused = isinstance(error, (JobRefused, UsageError))
    reason = str(error)
    if isinstance(error, MemoryError):
        reason = f"{order.backend} ran out of memory: choose a smaller model."
    elif not isinstance(error, InfiniLoopError):
        reason = f"{order.backend} failed: {first_line(error)}."
    return Missed(
        job_id=order.job.job_id,
        reason=reason,
        retry=not refused and not isinstance(error, (Cancelled, BackendUnavailable)),
        cancelled=isinstance(error, Cancelled),
        refused=refused,
    )


def with_seed(job: Job) -> Job:
    """The job with a seed of its own if it has none, so that its recipe makes the same clip again."""
    return job if job.seed is not None else msgspec.structs.replace(job, seed=secrets.randbits(SEED_BITS))


def write_clip(path: Path, blocks: list[Audio], sample_rate: int, channels: int) -> int:
    """Write a clip, whole or not at all, as it was made: float WAV, or FLAC for another machine; returns its frames.

    Raises
    ------
    BackendError
        There is no sound in it, or not of the announced shape, or it holds values that are not numbers.
    AudioFileError
        The disk is full or the folder cannot be written to.
    """
    import numpy as np

    from shared.audio_files import to_flac, write_wav
    from shared.durable import replace_file

    if not blocks or not sum(map(len, blocks)):
        raise BackendError("The backend made no sound: try again, or choose another backend.")
    for block in blocks:
        if block.ndim != 2 or block.shape[1] != channels:
            raise BackendError(f"The backend announced {channels} channels and made audio of shape {block.shape}.")
    samples: Audio = np.concatenate(blocks).astype(np.float32, copy=False)
    blocks.clear()
    peak = float(np.abs(samples).max())
    if not np.isfinite(peak):
        raise BackendError("The backend made values that are not numbers: try again, or choose another model.")
    if path.suffix == ".flac":
        # FLAC holds full scale at most; the analyzer sets the level anyway.
        replace_file(path, to_flac(samples / peak if peak > 1.0 else samples, sample_rate))
    else:
        write_wav(path, samples, sample_rate, subtype="FLOAT")
    return len(samples)


def main(builders: Mapping[str, Builder] = BACKENDS) -> None:
    """Run as ``python -m services.generator.child PARENT`` with both pipes as standard input and output."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the service decides
    lifeline.end_with_parent(int(sys.argv[1]), signal.SIGKILL)
    _die_first()
    memory.keep_flat()
    # Whatever a library prints must not get between the frames.
    inward, outward = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    try:
        Inference(inward, outward, builders).run()
    except BrokenPipeError:
        os._exit(0)


def _die_first() -> None:
    """Offer this process to the kernel before the player, should memory run out."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


if __name__ == "__main__":
    main()
