"""One run of the engine for the jobs of a batch: sound as it is made, then the codes kept and the facts told."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.generator.backend import ClipFacts, JobControl
from services.generator.backends.musicgen.engine import Engine, Work
from services.generator.backends.musicgen.request import seed_of
from services.generator.backends.musicgen.runtime import Watch
from services.generator.backends.musicgen.sampling import Sampling
from services.generator.models.catalogue import LICENCE
from services.generator.wording import wording
from shared.codes import KeptCodes
from shared.messages import Job
from shared.music import Recipe
from shared.units import Audio

NAME: Final = "musicgen"
TAIL_S: Final = 1.0
"""Written beyond what was asked for and thrown away: MusicGen leaves noise in the last second (transformers, 25277)."""
_FIRST_BLOCK: Final = 25
_BLOCK: Final = 50
"""Code frames of a block of sound: the first comes early, the others cost less that way. 50 are decoded in 0.06 s."""


@dataclass
class Writing:
    """One run of the engine for the jobs of a batch."""

    engine: Engine
    jobs: Sequence[Job]
    control: JobControl
    seconds: float
    model: str
    revision: str
    precision: str
    preparing_s: float
    """Spent on converting the model: no more generation than its download."""
    parent: KeptCodes | None
    codes_folder: Path
    finished: Callable[[float], None]
    sampling: Sampling = field(default_factory=Sampling)
    _facts: list[ClipFacts] = field(default_factory=list)

    def facts(self) -> list[ClipFacts]:
        return self._facts

    def blocks(self) -> Iterator[list[Audio]]:
        """Sound as it is made: per turn one block ``(frames, channels)`` for each clip, all of one length."""
        job, control, engine = self.jobs[0], self.control, self.engine
        began = time.monotonic()
        known = self._known()
        heard = engine.context(known) if known is not None else None
        frames = engine.frames(self.seconds)
        seeds = [seed_of(each) for each in self.jobs]
        work = Work(wording(job), frames + engine.frames(TAIL_S), seeds, self.sampling, heard)
        ear = engine.listen(len(self.jobs), heard)
        steps, done = engine.steps(work), 0

        def step() -> None:
            nonlocal done
            control.check()
            done += 1
            if done % 5 == 0 or done == steps:
                control.report(min(1.0, done / steps), "composing")

        control.check()
        control.report(0.0, "reading the prompt")
        codes: list[NDArray[np.int64]] = []
        left = round(self.seconds * engine.sample_rate)
        wanted = _FIRST_BLOCK
        for frame in engine.write(work, Watch(control.cancelled), step):
            codes.append(frame)
            audio = ear.add(frame, wanted) if left else None
            if audio is not None:
                wanted = _BLOCK
                audio = audio[:, :left]
                left -= audio.shape[1]
                yield list(audio)
        control.check()
        if left:
            yield list(ear.finish()[:, :left])
        self._keep(np.stack(codes[:frames], axis=2), known, seeds)
        self.finished(self.seconds * len(self.jobs) / (time.monotonic() - began))

    def _known(self) -> NDArray[np.int64] | None:
        """The parent's codes up to the splice, which is told by a second of its clip or a frame of its loop."""
        job = self.jobs[0]
        if self.parent is None:
            return None
        second = job.splice_s
        if second is None and job.splice_frame is not None:
            second = self.parent.second_of_loop(job.splice_frame)
        return self.parent.before(second)

    def _keep(self, written: NDArray[np.int64], known: NDArray[np.int64] | None, seeds: Sequence[int]) -> None:
        """Store each clip's codes, with those it grew out of, and gather its facts."""
        shape = self.engine.shape.codec
        for job, seed, new in zip(self.jobs, seeds, written, strict=True):
            whole = new if known is None else np.concatenate([known, new], axis=1)
            start = (whole.shape[1] - new.shape[1]) * shape.hop
            path = self.codes_folder / f"{job.job_id}.npz"
            KeptCodes(whole, self.model, shape.sample_rate, shape.hop, shape.sample_rate, start).save(path)
            self._facts.append(
                ClipFacts(recipe=self._recipe(job, seed, known), codes_path=path, download_s=self.preparing_s)
            )

    def _recipe(self, job: Job, seed: int, known: NDArray[np.int64] | None) -> Recipe:
        splice = None
        if self.parent is not None and known is not None:
            splice = self.parent.second_of(known.shape[1])
        return Recipe(
            prompt=job.prompt,
            backend=NAME,
            seed=seed,
            model=f"musicgen-{self.model}",
            model_revision=self.revision or None,
            code_licence="MIT",
            weights_licence=LICENCE,
            disclosure=f"AI-generated with MusicGen {self.model}; weights {LICENCE}, non-commercial",
            versions={"onnxruntime": importlib.metadata.version("onnxruntime")},
            options={
                "precision": self.precision,
                "guidance": self.sampling.guidance,
                "top_k": self.sampling.top_k,
                "temperature": self.sampling.temperature,
                "heard": wording(job),
                "seconds": job.seconds,
            },
            parent_clip=job.parent_clip,
            splice_s=splice,
        )
