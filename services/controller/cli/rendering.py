"""The station's programme without a station: songs composed ahead in processes of their own, played without a clock.

Everything follows from prompt and seed, so the same ones give the same bytes. A maker is this very module run as a
program: it reads jobs and answers with finished loops, one line each way, the audio in WAV files between.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from shared.errors import BackendError, NoLoopError, ProtocolError
from shared.messages import ClipRejected, Failed, Job, LoopReady, decode, encode
from shared.music import Loop

if TYPE_CHECKING:
    from services.generator.backend import Backend
    from services.player.offline import Transitions
    from services.player.store import LoadedLoop

MOST_MAKERS = 3
ATTEMPTS = 5
PARENT_VARIABLE = "INFINILOOP_PARENT"


def song_job(prompt: str, seed: int, number: int, anchor: Loop | None) -> Job:
    """What song ``number`` of this programme is asked to be; it fits the first one, the ``anchor``."""
    from services.controller.choice import ask_for

    dice = Random(f"{seed}:{prompt}:{number}")
    bpm, key = ask_for(anchor, prompt, dice)
    return Job(
        job_id=f"render-{number}",
        token="render",
        epoch=1,
        prompt=prompt,
        backend="composer",
        bpm=bpm,
        key=key,
        seed=dice.randrange(2**31),
        piece=True,
    )


class Makers:
    """Processes that compose, each one song at a time; the songs come in the order in which they were asked for."""

    def __init__(self, folder: Path, count: int | None = None) -> None:
        environment = {**os.environ, PARENT_VARIABLE: str(os.getpid())}
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment.setdefault(variable, "1")
        count = count or min(MOST_MAKERS, os.cpu_count() or 1)
        self._processes = [
            subprocess.Popen(
                (sys.executable, "-m", __name__, str(folder)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
            )
            for _ in range(count)
        ]
        self._turns = itertools.cycle(self._processes)
        self._asked: deque[subprocess.Popen[bytes]] = deque()

    @property
    def under_way(self) -> int:
        return len(self._asked)

    @property
    def count(self) -> int:
        return len(self._processes)

    def ask(self, job: Job) -> None:
        process = next(self._turns)
        assert process.stdin is not None
        process.stdin.write(base64.b64encode(encode(job)) + b"\n")
        process.stdin.flush()
        self._asked.append(process)

    def next(self) -> Loop:
        """The next finished loop; waits for it.

        Raises
        ------
        BackendError
            The composer failed, or its process ended.
        NoLoopError
            Nothing that it composed passed the analysis.
        """
        process = self._asked.popleft()
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            answer = decode(base64.b64decode(line))
        except (ValueError, ProtocolError) as error:
            raise BackendError("The composing process ended early: try again, and see `infiniloop doctor`.") from error
        match answer:
            case LoopReady(loop=loop):
                return loop
            case ClipRejected(reason=reason):
                raise NoLoopError(f"None of {ATTEMPTS} attempts made a loop: {reason}")
            case Failed(reason=reason):
                raise BackendError(reason)
            case _:
                raise BackendError("The composing process answered something else: try again.")

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            with contextlib.suppress(OSError):
                process.communicate(timeout=5)


def loops_of(prompt: str, seed: int, count: int, makers: Makers, folder: Path) -> Iterator[LoadedLoop]:
    """The programme's ``count`` loops, each made while the ones before it play."""
    from services.player.store import load_loop

    makers.ask(song_job(prompt, seed, 0, None))
    loop = anchor = makers.next()
    asked = 1
    for number in range(count):
        while asked < count and makers.under_way < makers.count + 1:
            makers.ask(song_job(prompt, seed, asked, anchor))
            asked += 1
        yield load_loop(loop, (folder,))
        Path(loop.path).unlink(missing_ok=True)
        if number + 1 < count:
            loop = makers.next()


def changes(style: str) -> Transitions | None:
    """Renders the changes between songs ahead, as the analyzer does for a station; None where none are wished."""
    if style == "off":
        return None
    from services.analyzer.transitions import plan_transition, render_transition
    from services.player.samples import Samples
    from services.player.store import LoadedTransition

    def rendered(first: LoadedLoop, second: LoadedLoop, exit_after: int) -> LoadedTransition:
        plan = plan_transition(first.loop, second.loop, style, exit_after)  # type: ignore[arg-type]
        audio = render_transition(plan, first.samples.audio(), second.loop, second.samples.audio())
        return LoadedTransition(plan.record(first.loop, second.loop, ""), Samples.of(audio))

    return rendered


@dataclass(frozen=True)
class Run:
    """How often the same pass came in a row."""

    longest: int
    passes: int


def longest_run(loop: Loop, frames: int, variation: str) -> Run:
    """The longest run of literally the same pass in a song of this loop that lasted so many frames."""
    from services.player.form import song

    longest = run = number = at = 0
    before: object = None
    while at < frames:
        taken = song(loop, number, variation)  # type: ignore[arg-type]
        same = (taken.spans, taken.move) == before and taken.move is None
        run = run + 1 if same else 1
        longest = max(longest, run)
        before = (taken.spans, taken.move)
        at += taken.frames
        number += 1
    return Run(longest, number)


def _make(job: Job, folder: Path, composer: Backend) -> LoopReady | ClipRejected:
    """Compose until the analysis is content; the seed of a later attempt follows from the first."""
    import numpy as np
    from msgspec.structs import replace

    from services.analyzer.making import FinishedLoop, make_loop
    from services.generator.backend import JobControl
    from shared.audio_files import write_wav
    from shared.units import STATION_RATE

    reason = ""
    for attempt in range(ATTEMPTS):
        tried = replace(job, seed=((job.seed or 0) + 7919 * attempt) % 2**31)
        generation = composer.generate(tried, JobControl())
        audio = np.concatenate(list(generation.blocks))
        facts = generation.facts()
        found = make_loop(audio, generation.sample_rate, truth=facts.truth)
        if isinstance(found, FinishedLoop):
            path = folder / f"{job.job_id}.wav"
            write_wav(path, found.samples, STATION_RATE)
            return LoopReady(loop=found.record(job.job_id, job.job_id, job.epoch, str(path), facts.recipe))
        reason = found.reason
    return ClipRejected(job_id=job.job_id, token=job.token, epoch=job.epoch, reason=reason, code="render")


def serve(folder: Path) -> None:
    """Be a maker: a job a line in, a loop a line out."""
    from services.generator.registry import BACKENDS, Shelf
    from shared.paths import Paths
    from shared.runtime import lifeline
    from shared.settings.generator import GeneratorSettings

    lifeline.end_with_parent(int(os.environ[PARENT_VARIABLE]))
    composer = Shelf(BACKENDS, Paths.from_environment(), GeneratorSettings()).take("composer")
    for line in sys.stdin.buffer:
        job = decode(base64.b64decode(line))
        if not isinstance(job, Job):
            continue
        answer: LoopReady | ClipRejected | Failed
        try:
            answer = _make(job, folder, composer)
        except BackendError as error:
            answer = Failed(job_id=job.job_id, token=job.token, reason=str(error))
        sys.stdout.buffer.write(base64.b64encode(encode(answer)) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
