"""Clips made for a command: taken from the inference child, held against what was asked, written where they belong."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from services.controller.cli.progress import ProgressLine
from services.controller.named import named_key, named_tempo
from services.controller.workers import ASTRAY, TRIES
from shared.errors import NoLoopError, UsageError
from shared.messages import Job
from shared.paths import Paths
from shared.settings import Settings

if TYPE_CHECKING:
    from services.analyzer.making import FinishedLoop
    from services.controller.saving import Tags
    from services.generator.bench import Bench
    from services.generator.frames import Made
    from shared.music import Loop
    from shared.settings.analyzer import AnalyzerSettings
    from shared.units import Audio

FORMATS = {".wav": "wav", ".flac": "flac", ".ogg": "ogg", ".mp3": "mp3"}


@dataclass(frozen=True)
class Target:
    """Where one clip goes."""

    audio: Path
    midi: Path | None
    stems: bool = False
    """Whether each part gets a file of its own beside it."""

    def part(self, name: str) -> Path:
        """Where a part goes."""
        from services.controller.saving import Target as Place

        return Place(self.audio.absolute(), FORMATS[self.audio.suffix.lower()]).beside(f"_{name}")


class _NotAsAsked(Exception):
    """A clip is music, but not what was asked for; the words are a sentence with the figures."""


def make_all(
    paths: Paths, chosen: Settings, job: Job, targets: list[Target], *, loop: bool, force: bool
) -> list[dict[str, Any]]:
    """Make a clip for each target, several at once where the backend can; what is told of each.

    Raises
    ------
    NoLoopError
        No loop is in a clip, or none of several tries has the tempo and key that were asked for.
    BackendError, StoreError, UsageError
        The backend failed, or the files cannot be written.
    """
    from services.generator.bench import Bench

    with (
        tempfile.TemporaryDirectory(prefix="infiniloop-") as folder,
        Bench(paths, chosen.generator) as bench,
        ProgressLine(len(targets)) as line,
    ):
        order = _Order(bench, line, Path(folder), paths, job, targets, chosen.analyzer if loop else None, force)
        return list(order.made())


@dataclass(frozen=True)
class _Order:
    """What one command wants, and what it is made with."""

    bench: Bench
    line: ProgressLine
    folder: Path
    paths: Paths
    job: Job
    targets: list[Target]
    loop: AnalyzerSettings | None
    """Where finished loops are wanted: how they are to be."""
    force: bool

    def made(self) -> Iterator[dict[str, Any]]:
        maker = self.bench.maker(self.job)
        asked = (("--midi", self.targets[0].midi), ("--stems", self.targets[0].stems))
        if not maker.score and (flags := " and ".join(flag for flag, wanted in asked if wanted)):
            raise UsageError(f"{maker.backend} writes no score: leave {flags} out, or add --backend composer.")
        for first in range(0, len(self.targets), maker.batch):
            numbers = range(first, min(first + maker.batch, len(self.targets)))
            jobs = [self._numbered(number) for number in numbers]
            clips = [self.folder / f"{each.job_id}.wav" for each in jobs]
            self.line.begin(first, self.targets[first].audio.name)
            for number, made in zip(numbers, self.bench.make_many(jobs, clips, self.line.show), strict=True):
                yield self._as_asked(number, made)
                for left in (*self.folder.glob(f"{made.job_id}*"), self.paths.clips / f"{made.job_id}.npz"):
                    left.unlink(missing_ok=True)

    def _numbered(self, number: int, attempt: int = 0) -> Job:
        """The job of a clip; every try of every clip has a seed of its own."""
        seed = self.job.seed
        if seed is not None:
            seed = (seed + number + attempt * len(self.targets)) % 2**31
        return msgspec.structs.replace(self.job, job_id=f"{self.job.job_id}-{number + 1}", seed=seed)

    def _as_asked(self, number: int, made: Made) -> dict[str, Any]:
        """A clip that has not the tempo or key that was asked for is made anew, a few times, then refused."""
        said: list[str] = []
        for attempt in range(1, TRIES + 1):
            self.line.show(1.0, "finding the loop" if self.loop is not None else "writing")
            try:
                return {**self._finished(made, self.targets[number]), "attempts": attempt}
            except _NotAsAsked as fault:
                said.append(str(fault))
            if attempt < TRIES:
                self.line.show(0.0, f"not as asked: once more ({attempt + 1} of {TRIES})")
                job = self._numbered(number, attempt)
                made = self.bench.make(job, self.folder / f"{job.job_id}.{attempt}.wav", self.line.show)
        raise NoLoopError(
            f"{TRIES} clips were made and none is as asked. {' '.join(said)} Ask for another tempo or key, or for none."
        )

    def _finished(self, made: Made, target: Target) -> dict[str, Any]:
        """Write what was made to where it was said, as a loop where one is wanted; returns what is told of it."""
        from shared.durable import replace_file

        sound = _as_loop(made, self.job, self.loop) if self.loop is not None else _as_clip(made, self.job)
        stems: dict[Path, Audio] = {}
        if target.stems:
            parts = sound.parts(self.paths, lambda fraction: self.line.show(fraction, "the parts"))
            stems = {target.part(name): stem for name, stem in parts.items()}
            _check_free(stems, force=self.force)
        sound.write(target.audio, stems, force=self.force)
        if target.midi is not None and made.midi is not None:
            replace_file(target.midi.absolute(), made.midi)
        seconds = made.frames / made.sample_rate
        return {
            "file": str(target.audio.absolute()),
            "midi": str(target.midi.absolute()) if target.midi else None,
            "stems": [str(path) for path in stems],
            "loop": self.loop is not None,
            "seconds": round(len(sound.audio) / sound.rate, 6),
            "frames": len(sound.audio),
            "sample_rate": sound.rate,
            **sound.facts,
            "channels": sound.audio.shape[1],
            "prompt": self.job.prompt,
            "plan": made.recipe.plan,
            "backend": made.recipe.backend,
            "model": made.recipe.model,
            "seed": made.recipe.seed,
            "weights_licence": made.recipe.weights_licence,
            "disclosure": made.recipe.disclosure,
            "generation_s": round(made.generation_s, 3),
            "download_s": round(made.download_s, 3),
            "real_time_factor": round(seconds / made.generation_s, 2) if made.generation_s else None,
        }


@dataclass(frozen=True)
class _Sound:
    """What is written of one clip, and what is told of it."""

    made: Made
    audio: Audio
    rate: int
    tags: Tags
    facts: dict[str, Any]
    loop: Loop | None = None

    def parts(self, paths: Paths, progress: Callable[[float], None]) -> dict[str, Audio]:
        """Each part by itself, by name."""
        from services.controller.cli.composed import recompose, score_of, taken_apart
        from services.controller.saving import section_of

        if self.loop is None:
            score = score_of(self.made.recipe, paths, "stems")
            return taken_apart(score, self.audio, rate=self.rate, progress=progress)
        return recompose(self.loop, section_of(self.loop), paths, "stems").stems(self.audio, progress)

    def write(self, path: Path, stems: dict[Path, Audio], *, force: bool) -> None:
        """Write the whole and its parts, and in each file what it is."""
        from services.controller.saving import write_file

        for place, audio in ((path.absolute(), self.audio), *stems.items()):
            name = place.stem.removeprefix(f"{path.stem}_") if place in stems else ""
            write_file(
                place,
                FORMATS[path.suffix.lower()],
                replace(self.tags, title=f"{self.tags.title} – {name}") if name else self.tags,
                [audio],
                frames=len(audio),
                rate=self.rate,
                channels=audio.shape[1],
                force=force,
            )


def _as_loop(made: Made, job: Job, wishes: AnalyzerSettings) -> _Sound:
    """The finished loop in a clip."""
    from services.controller.saving import section_of, tags_of
    from services.controller.saving.music import one_pass
    from shared.audio_files import read_audio
    from shared.units import STATION_RATE

    finished = _find_loop(*read_audio(Path(made.path)), made, job, wishes)
    record = finished.record("generated", made.job_id, 0, made.path, made.recipe)
    one = one_pass(finished.samples, record, section_of(record))
    facts = {
        "bpm": finished.bpm,
        "bars": record.sections[0].bars if record.sections else finished.bars,
        "key": finished.key,
        "mode": record.mode,
        "stretch": round(finished.stretch, 5),
        "lufs": round(finished.lufs, 2),
        "true_peak_dbtp": round(finished.true_peak_dbtp, 2),
        "confidence": round(finished.confidence, 3),
    }
    return _Sound(made, one, STATION_RATE, tags_of(record, len(one)), facts, record)


def _as_clip(made: Made, job: Job) -> _Sound:
    """The clip as it was made, in the tempo that was asked for."""
    import numpy as np

    from services.controller.saving import Tags
    from services.controller.saving.tags import disclosure, in_words, short_key
    from shared.audio_files import read_audio

    samples, rate = read_audio(Path(made.path))
    truth = made.truth
    facts: dict[str, Any] = {
        "bpm": truth.bpm if truth else None,
        "bars": truth.bars if truth else None,
        "key": truth.key if truth else None,
    }
    if truth is None:
        samples, measured = _measured(samples, rate, job)
        facts |= measured
    peak = float(np.abs(samples).max())
    tags = Tags(
        title=made.recipe.prompt,
        artist="INFINI LOOP",
        comment=in_words(made.recipe),
        facts=disclosure(made.recipe),
        bpm=truth.bpm if truth is not None else None,
        key=short_key(truth.key) if truth is not None else "",
    )
    return _Sound(made, samples / peak if peak > 1.0 else samples, rate, tags, facts)


def _measured(samples: Audio, rate: int, job: Job) -> tuple[Audio, dict[str, Any]]:
    """The clip in the asked tempo, and what was measured of it; nothing is measured where nothing was asked for."""
    from services.analyzer.asked import measure_clip
    from services.analyzer.records import Rejection

    bpm, key = _asked(job)
    if bpm is None and key is None:
        return samples, {}
    measured = measure_clip(samples, rate, bpm, key)
    if isinstance(measured, Rejection):
        if measured.code in ASTRAY:
            raise _NotAsAsked(measured.reason)
        return samples, {}
    return measured.samples, {"bpm": measured.bpm, "key": measured.key, "stretch": round(measured.stretch, 5)}


def _asked(job: Job) -> tuple[float | None, str | None]:
    """Tempo and key as the options say, else as the prompt names them itself."""
    return job.bpm or named_tempo(job.prompt), job.key or named_key(job.prompt)


def _find_loop(samples: Audio, rate: int, made: Made, job: Job, wishes: AnalyzerSettings) -> FinishedLoop:
    from services.analyzer.length import parse_wish
    from services.analyzer.making import make_loop
    from services.analyzer.records import Rejection

    bpm, key = _asked(job)
    finished = make_loop(
        samples,
        rate,
        truth=made.truth,
        wish=parse_wish(wishes.min_loop),
        asked_bpm=bpm,
        asked_key=key,
        target_lufs=wishes.loudness,
    )
    if isinstance(finished, Rejection):
        if finished.code in ASTRAY:
            raise _NotAsAsked(finished.reason)
        raise NoLoopError(finished.reason)
    return finished


def _check_free(stems: Iterable[Path], *, force: bool) -> None:
    """The names of the parts are known when the music is: they are seen to before anything is written."""
    from services.controller.saving import occupied, taken_error

    there = [path for path in stems if occupied(path)]
    if there and not force:
        raise taken_error(*there)
