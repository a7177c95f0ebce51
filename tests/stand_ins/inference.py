"""An inference process whose backends misbehave: run as ``python -m tests.stand_ins.inference PARENT``."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import numpy as np

from services.generator.backend import Backend, ClipFacts, Generation, JobControl
from services.generator.child import main
from shared.messages import Capabilities, Job
from shared.music import Recipe
from shared.paths import Paths
from shared.settings.generator import GeneratorSettings
from shared.units import Audio

RATE = 8_000


class Wayward:
    """Does what the prompt says, and half a second of silence otherwise."""

    name = "wayward"

    def capabilities(self) -> Capabilities:
        return Capabilities(backend=self.name, available=True, sample_rate=RATE, channels=1)

    def generate(self, job: Job, control: JobControl) -> Generation:
        return Generation(RATE, 1, self._blocks(job.prompt, control), lambda: _facts(job))

    def unload(self) -> None:
        return None

    def _blocks(self, prompt: str, control: JobControl) -> Iterator[Audio]:
        control.report(0.1, "working")
        match prompt:
            case "deaf":
                while True:
                    control.report(0.1, "working")
            case "hang":
                signal.pause()
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "leave":
                os._exit(3)
            case "raise":
                raise ZeroDivisionError("a model of my own\nwith a second line")
            case "memory":
                raise MemoryError
            case "print":
                print("noise on standard output")  # noqa: T201
            case "nothing":
                return
            case "not a number":
                yield np.full((10, 1), np.nan, dtype=np.float32)
            case "wrong shape":
                yield np.zeros((10, 2), dtype=np.float32)
        yield np.full((RATE // 2, 1), 0.1, dtype=np.float32)


def _facts(job: Job) -> ClipFacts:
    return ClipFacts(recipe=Recipe(prompt=job.prompt, backend="wayward", seed=job.seed))


def _wayward(_paths: Paths, _settings: GeneratorSettings) -> Backend:
    return Wayward()


def _broken(_paths: Paths, _settings: GeneratorSettings) -> Backend:
    raise RuntimeError("this one cannot be built")


def _missing(_paths: Paths, _settings: GeneratorSettings) -> Backend:
    raise ImportError("No module named 'unheard_of'", name="unheard_of")


if __name__ == "__main__":
    main({"wayward": _wayward, "broken": _broken, "missing": _missing})
