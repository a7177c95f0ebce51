"""The ``musicgen`` backend: jobs in, blocks of sound out, on a model that stays loaded between them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.generator.backend import ClipFacts, Generation, JobControl
from services.generator.backends.musicgen.checkpoint import Checkpoint
from services.generator.backends.musicgen.codes import KeptCodes, find_codes
from services.generator.backends.musicgen.conversion import Converted, Precision, convert
from services.generator.backends.musicgen.engine import Engine, Work
from services.generator.backends.musicgen.sampling import Sampling
from services.generator.backends.musicgen.sessions import Device, Watch, cores, default_threads
from services.generator.models.catalogue import LICENCE, MODELS, base_name
from services.generator.models.store import ModelStore
from shared.durable import replace_file
from shared.errors import BackendUnavailable, JobRefused, StoreError
from shared.messages import Capabilities, Job
from shared.music import Recipe
from shared.paths import Paths
from shared.settings.generator import GeneratorSettings
from shared.units import Audio

NAME: Final = "musicgen"
NEEDED: Final = ("onnxruntime", "onnx", "tokenizers")
SHORTEST_S: Final = 1.0
LONGEST_S: Final = 300.0
DEFAULT_S: Final = 12.0
TAIL_S: Final = 1.0
"""Written beyond what was asked for and thrown away: MusicGen leaves noise in the last second (transformers, 25277)."""
_FIRST_BLOCK: Final = 25
_BLOCK: Final = 50
"""Code frames of a block of sound: the first comes early, the others cost less that way. 50 are decoded in 0.06 s."""
_POLL_S: Final = 0.03
_BATCH: Final = 4
_SPEED_FILE: Final = "speed.json"


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a converted model was on this machine, kept beside it."""

    real_time_factor: float
    threads: int
    device: str


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
        root = Path(settings.models_path).expanduser() if settings.models_path else paths.models
        self._store = store or ModelStore.from_environment(root)
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
        """What it can do now; looks at files only."""
        missing = [package for package in NEEDED if importlib.util.find_spec(package) is None]
        if missing:
            return _unavailable(f"{missing[0]} is not installed: `pip install 'infiniloop[musicgen]'`.")
        try:
            present = {each.name: each for each in self._store.installed()}
        except (OSError, StoreError) as error:
            return _unavailable(f"The models' folder {self._store.root} cannot be read: {error}.")
        if not present:
            return _unavailable("No MusicGen model is here: `infiniloop models download small`.")
        name = self._choose(None, present)
        converted = present[name].converted.get(self._settings.precision)
        speed = _read_speed(converted.folder) if converted else None
        return Capabilities(
            backend=NAME,
            available=True,
            kinds=("clip", "continuation"),
            models=tuple(present),
            sample_rate=32_000,
            channels=2 if MODELS[name].stereo else 1,
            min_seconds=SHORTEST_S,
            max_seconds=LONGEST_S,
            seed_control=True,
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
        """Begin two to four clips of one prompt and length at once: together they take far less than one by one.

        Returns
        -------
        generations : one per job; their blocks hold what ``work`` has made so far
        work : to be exhausted first; each turn makes a block of every clip

        Raises
        ------
        BackendError
            The jobs differ in more than their ids and seeds.
        """
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

    # -- the steps of a job -------------------------------------------------------------------------------------------

    def _begin(self, jobs: Sequence[Job], control: JobControl) -> _Session:
        job = jobs[0]
        seconds = _seconds(job)
        present = {each.name: each for each in self._store.installed()}
        self._require(job, present)
        name = self._choose(job.model, present)
        began = time.monotonic()
        converted, revision, made = self._converted(name, control)
        preparing_s = time.monotonic() - began if made else 0.0
        device = _device(job.device if job.device != "auto" else self._settings.device)
        engine = self._load(converted, device, control)
        parent = None
        if job.parent_clip is not None:
            parent = KeptCodes.load(find_codes(job.parent_clip, self._codes_folders))
            if parent.codes.shape[0] != engine.shape.decoder.codebooks or parent.sample_rate != engine.sample_rate:
                raise JobRefused(
                    f"The clip {job.parent_clip} was made by {parent.model}, which {name} cannot continue: choose that"
                    " model or start a new clip."
                )
        return _Session(
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
            finished=lambda factor: _write_speed(converted.folder, factor, self._threads, device),
        )

    def _require(self, job: Job, present: dict[str, Any]) -> None:
        missing = [package for package in NEEDED if importlib.util.find_spec(package) is None]
        if missing:
            raise BackendUnavailable(f"{missing[0]} is not installed: `pip install 'infiniloop[musicgen]'`.")
        wanted = base_name(job.model) if job.model else None
        if wanted is not None and wanted not in MODELS:
            raise JobRefused(f"There is no model {job.model!r}: choose one of {', '.join(MODELS)}.")
        if wanted is not None and wanted not in present:
            raise BackendUnavailable(f"The model {wanted} is not here: `infiniloop models download {wanted}`.")
        if not present:
            raise BackendUnavailable("No MusicGen model is here: `infiniloop models download small`.")

    def _choose(self, wanted: str | None, present: dict[str, Any]) -> str:
        """The job's model, else the settings', else the first that is here."""
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


@dataclass
class _Session:
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
        known = self.parent.before(job.splice_s) if self.parent else None
        heard = engine.context(known) if known is not None else None
        frames = engine.frames(self.seconds)
        seeds = [_seed(each) for each in self.jobs]
        work = Work(prompt_text(job), frames + engine.frames(TAIL_S), seeds, self.sampling, heard)
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
                "heard": prompt_text(job),
            },
            parent_clip=job.parent_clip,
            splice_s=splice,
        )


# -- small decisions --------------------------------------------------------------------------------------------------


def prompt_text(job: Job) -> str:
    """The prompt as the model reads it: tempo, key and metre are words to it, and wishes."""
    words = [job.prompt.strip()]
    if job.bpm is not None:
        words.append(f"{job.bpm:g} bpm")
    if job.key:
        words.append(f"in {job.key}")
    if job.meter:
        words.append(f"{job.meter} time")
    return ", ".join(words)


def _at(facts: Sequence[ClipFacts], index: int) -> Callable[[], ClipFacts]:
    return lambda: facts[index]


def _seconds(job: Job) -> float:
    """The clip's length: as asked, or so many bars at the asked tempo (four beats each unless the metre says else).

    Raises
    ------
    JobRefused
        Out of range; the sentence names it.
    """
    seconds = job.seconds
    if seconds is None and job.bars is not None and job.bpm is not None:
        beats = int(job.meter.split("/")[0]) if job.meter and job.meter.split("/")[0].isdigit() else 4
        seconds = job.bars * beats * 60.0 / job.bpm
    seconds = DEFAULT_S if seconds is None else seconds
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise JobRefused(f"MusicGen makes {SHORTEST_S:g} to {LONGEST_S:g} s of music, not {seconds:g} s.")
    return seconds


def _seed(job: Job) -> int:
    return job.seed & 0xFFFF_FFFF_FFFF if job.seed is not None else secrets.randbelow(1 << 31)


def _device(wanted: str) -> Device:
    """``auto`` takes a GPU that ONNX Runtime can use, else the processor."""
    if wanted == "cuda":
        return "cuda"
    if wanted == "cpu" or importlib.util.find_spec("onnxruntime") is None:
        return "cpu"
    import onnxruntime as ort

    return "cuda" if "CUDAExecutionProvider" in ort.get_available_providers() else "cpu"


def _unavailable(reason: str) -> Capabilities:
    return Capabilities(backend=NAME, available=False, reason=reason, weights_licence=LICENCE)


def _read_speed(folder: Path) -> Speed | None:
    try:
        return msgspec.json.decode((folder / _SPEED_FILE).read_bytes(), type=Speed)
    except (OSError, msgspec.DecodeError):
        return None


def _write_speed(folder: Path, factor: float, threads: int, device: str) -> None:
    """Remember the speed, as a slow average: one clip beside a busy browser says little."""
    before = _read_speed(folder)
    if before is not None and (before.threads, before.device) == (threads, device):
        factor = 0.7 * before.real_time_factor + 0.3 * factor
    speed = Speed(real_time_factor=round(factor, 3), threads=threads, device=device)
    try:
        replace_file(folder / _SPEED_FILE, msgspec.json.encode(speed))
    except StoreError:
        return
