"""The ``musicgen`` backend: jobs in, blocks of sound out, on a model that stays loaded between them."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from services.generator.backend import ClipFacts, Generation, JobControl
from services.generator.backends.musicgen.checkpoint import Checkpoint
from services.generator.backends.musicgen.conversion import Converted, Precision, convert
from services.generator.backends.musicgen.engine import Engine
from services.generator.backends.musicgen.request import LONGEST_S, SHORTEST_S, device_of, seconds_of
from services.generator.backends.musicgen.runtime import Device, cores, default_threads
from services.generator.backends.musicgen.shape import CheckpointError
from services.generator.backends.musicgen.speed import read_speed, write_speed
from services.generator.backends.musicgen.writing import NAME, Writing
from services.generator.models.catalogue import LICENCE, MODELS, base_name
from services.generator.models.store import Installed, ModelStore, models_folder
from shared.codes import KeptCodes, find_codes
from shared.errors import BackendUnavailable, JobRefused, StoreError
from shared.messages import Capabilities, Job
from shared.paths import Paths
from shared.runtime import memory
from shared.settings.generator import GeneratorSettings
from shared.units import Audio

NEEDED: Final = ("onnxruntime", "onnx", "tokenizers")
_POLL_S: Final = 0.03
_BATCH: Final = 4


class MusicGenBackend:
    """MusicGen in this process, on ONNX Runtime.

    One thread uses it at a time; it keeps one model loaded, and loads in a thread of its own, so that a job can be
    called back meanwhile without the loading being lost.
    """

    def __init__(
        self,
        paths: Paths,
        settings: GeneratorSettings,
        *,
        store: ModelStore | None = None,
        threads: int | None = None,
    ) -> None:
        self._store = store or ModelStore.from_environment(models_folder(paths, settings.models_path))
        self._settings = settings
        self._codes_folder = paths.clips
        self._codes_folders = (paths.clips, paths.library)
        self._threads = threads or default_threads(cores())
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="musicgen-load")
        self._engine: _Loaded | None = None

    @property
    def name(self) -> str:
        return NAME

    def capabilities(self) -> Capabilities:
        """What it can do now; looks at files only, and at no more of the weights than their headers."""
        try:
            present = self._present()
            name = self._choose(None, present)
            if (source := present[name].source) is not None:
                Checkpoint(source.folder)
        except (BackendUnavailable, CheckpointError) as error:
            return Capabilities(backend=NAME, available=False, reason=str(error), weights_licence=LICENCE)
        converted = present[name].converted.get(self._settings.precision)
        speed = read_speed(converted.folder) if converted else None
        return Capabilities(
            backend=NAME,
            available=True,
            kinds=("clip", "continuation", "stream"),
            models=tuple(present),
            sample_rate=32_000,
            channels=2 if MODELS[name].stereo else 1,
            min_seconds=SHORTEST_S,
            max_seconds=LONGEST_S,
            tempo_control=True,
            key_control=True,
            seed_control=True,
            batch=_BATCH,
            weights_licence=LICENCE,
            memory_mb=round(converted.size / 1e6 + 250) if converted else None,
            real_time_factor=speed.real_time_factor if speed else None,
        )

    def generate(self, job: Job, control: JobControl) -> Generation:
        """Begin one clip; see ``Backend.generate``."""
        session = self._begin([job], control)
        facts: list[ClipFacts] = []

        def blocks() -> Iterator[Audio]:
            for block in session.blocks():
                yield block[0]
            facts.extend(session.facts())

        return Generation(session.engine.sample_rate, session.engine.channels, blocks(), lambda: facts[0])

    def generate_many(self, jobs: Sequence[Job], control: JobControl) -> tuple[list[Generation], Iterator[None]]:
        """Begin up to four clips at once; see ``BatchingBackend.generate_many``."""
        if not 1 <= len(jobs) <= _BATCH:
            raise JobRefused(f"{len(jobs)} clips cannot be made at once: ask for 1 to {_BATCH}.")
        first = jobs[0]
        same = ("prompt", "model", "seconds", "bars", "bpm", "key", "meter", "parent_clip", "splice_s", "device")
        if any(getattr(job, name) != getattr(first, name) for job in jobs for name in same):
            raise JobRefused("Clips that are made at once must be of one prompt, length and model.")
        session = self._begin(jobs, control)
        made: list[list[Audio]] = [[] for _ in jobs]
        facts: list[ClipFacts] = []

        def work() -> Iterator[None]:
            for block in session.blocks():
                for kept, audio in zip(made, block, strict=True):
                    kept.append(audio)
                yield
            facts.extend(session.facts())

        rate, channels = session.engine.sample_rate, session.engine.channels
        generations = [Generation(rate, channels, iter(made[index]), _at(facts, index)) for index in range(len(jobs))]
        return generations, work()

    def unload(self) -> None:
        """Give the memory back."""
        loaded, self._engine = self._engine, None
        if loaded is not None and loaded.future.done() and loaded.future.exception() is None:
            loaded.future.result().close()
        del loaded
        memory.give_back()

    # -- the steps of a job -------------------------------------------------------------------------------------------

    def _begin(self, jobs: Sequence[Job], control: JobControl) -> Writing:
        job = jobs[0]
        seconds = seconds_of(job)
        present = self._present()
        self._require(job, present)
        name = self._choose(job.model, present)
        began = time.monotonic()
        converted, revision, made = self._converted(name, control)
        preparing_s = time.monotonic() - began if made else 0.0
        device = device_of(job.device if job.device != "auto" else self._settings.device)
        engine = self._load(converted, device, control)
        parent = None
        if job.parent_clip is not None:
            parent = KeptCodes.load(find_codes(job.parent_clip, self._codes_folders))
            if parent.codes.shape[0] != engine.shape.decoder.codebooks or parent.sample_rate != engine.sample_rate:
                raise JobRefused(
                    f"The clip {job.parent_clip} was made by {parent.model}, which {name} cannot continue: choose that"
                    " model or start a new clip."
                )
        return Writing(
            engine=engine,
            jobs=jobs,
            control=control,
            seconds=seconds,
            model=name,
            revision=revision,
            precision=converted.manifest.precision,
            preparing_s=preparing_s,
            parent=parent,
            codes_folder=self._codes_folder,
            finished=lambda factor: write_speed(converted.folder, factor, self._threads, device),
        )

    def _present(self) -> dict[str, Installed]:
        """The models that could be used, by name."""
        missing = [package for package in NEEDED if importlib.util.find_spec(package) is None]
        if missing:
            raise BackendUnavailable(f"{missing[0]} is not installed: `pip install 'infiniloop[musicgen]'`.")
        try:
            return {each.name: each for each in self._store.installed()}
        except (OSError, StoreError) as error:
            raise BackendUnavailable(f"The models' folder {self._store.root} cannot be read: {error}.") from error

    def _require(self, job: Job, present: Container[str]) -> None:
        wanted = base_name(job.model) if job.model else None
        if wanted is not None and wanted not in MODELS:
            raise JobRefused(f"There is no model {job.model!r}: choose one of {', '.join(MODELS)}.")
        if wanted is not None and wanted not in present:
            raise BackendUnavailable(f"The model {wanted} is not here: `infiniloop models download {wanted}`.")

    def _choose(self, wanted: str | None, present: Mapping[str, Installed]) -> str:
        """The job's model, else the settings', else the first that is here."""
        if not present:
            raise BackendUnavailable("No MusicGen model is here: `infiniloop models download small`.")
        name = base_name(wanted or self._settings.model)
        return name if name in present else next(iter(present))

    def _converted(self, name: str, control: JobControl) -> tuple[Converted, str, bool]:
        """The model in the wanted precision, its revision, and whether it had to be made now."""
        here = self._store.look(name)
        precision = cast(Precision, self._settings.precision)
        found = here.converted.get(precision)
        if here.source is None:
            if found is None:
                found = next(iter(here.converted.values()))
            return found, found.manifest.revision, False
        checkpoint = Checkpoint(here.source.folder)
        stale = found is None or found.manifest.fingerprint != checkpoint.fingerprint()
        if found is None or stale:
            if self._engine is not None and self._engine.folder == self._store.converted_folder(name, precision):
                self.unload()
            found = convert(
                checkpoint,
                self._store.converted_folder(name, precision),
                precision,
                revision=here.source.revision,
                report=lambda done: control.report(done, "preparing the model, this once"),
                check=control.check,
            )
        return found, found.manifest.revision, stale

    def _load(self, converted: Converted, device: Device, control: JobControl) -> Engine:
        wanted = (converted.folder, converted.manifest.source_hash, device)
        if self._engine is None or self._engine.key != wanted:
            self.unload()
            future = self._loader.submit(Engine, converted, self._threads, device)
            self._engine = _Loaded(wanted, future)
        while True:
            control.check()
            control.report(0.0, "loading the model")
            try:
                return self._engine.future.result(_POLL_S)
            except FutureTimeout:
                continue
            except BaseException:
                self._engine = None
                raise


@dataclass(frozen=True)
class _Loaded:
    key: tuple[Path, str, str]
    future: Future[Engine]

    @property
    def folder(self) -> Path:
        return self.key[0]


def _at(facts: Sequence[ClipFacts], index: int) -> Callable[[], ClipFacts]:
    return lambda: facts[index]
