"""MusicGPT as a backend: MusicGen's models, run by a program that the listener installed.

Its command line (version 0.3.28): ``musicgpt [--model MODEL] [--secs 1..30] [--output FILE] [--gpu] [--data-path DIR]
[--no-playback] [--no-interactive] [--ui-no-open] [--] PROMPT``. It writes float WAV, mono, 32 kHz, and takes no seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from services.generator.backend import ClipFacts, Generation, JobControl
from services.generator.backends.musicgpt import installation
from services.generator.backends.musicgpt.installation import MODELS, Installation
from services.generator.backends.musicgpt.patience import Patience
from services.generator.backends.musicgpt.run import Run, TooSlow
from services.generator.backends.musicgpt.screen import DOWNLOADING, GENERATING
from services.generator.models.consent import Consent
from services.generator.models.store import models_folder
from services.generator.wording import seconds_of_bars, wording
from shared.audio_files import read_audio
from shared.errors import AudioFileError, BackendError, BackendUnavailable, JobRefused
from shared.messages import Capabilities, Job
from shared.music import Recipe
from shared.paths import Paths
from shared.settings.generator import GeneratorSettings
from shared.units import Audio

NAME = "musicgpt"
SAMPLE_RATE = 32_000
CHANNELS = 1
SHORTEST_S, LONGEST_S = 1, 30
TRIMMED_S = 1
"""MusicGen leaves noise in a clip's last second: one more is asked for and cut off."""
CODE_LICENCE = "MIT"
WEIGHTS_LICENCE = "CC-BY-NC 4.0"
_BLOCK = SAMPLE_RATE
_SUFFIX = ".musicgpt.wav"


class MusicGptBackend:
    """Runs the binary once for each clip."""

    def __init__(self, paths: Paths, settings: GeneratorSettings) -> None:
        self._paths, self._settings = paths, settings
        self._patience = Patience(paths.state / "musicgpt.json")
        self._consent = Consent(models_folder(paths, settings.models_path))

    @property
    def name(self) -> str:
        return NAME

    def capabilities(self) -> Capabilities:
        found = installation.find(self._paths, self._settings)
        reason = self._obstacle(found, self._settings.model)
        return Capabilities(
            backend=NAME,
            available=reason is None,
            reason=reason or "",
            models=found.models(),
            sample_rate=SAMPLE_RATE,
            channels=CHANNELS,
            min_seconds=SHORTEST_S,
            max_seconds=LONGEST_S,
            tempo_control=True,
            key_control=True,
            code_licence=CODE_LICENCE,
            weights_licence=WEIGHTS_LICENCE,
        )

    def generate(self, job: Job, control: JobControl) -> Generation:
        """Begin a clip.

        Raises
        ------
        BackendUnavailable
            The binary, its model or its library is missing; the sentence says how to get it.
        JobRefused
            The job asks for something that the program cannot do.
        """
        model = job.model or self._settings.model
        seconds = self._seconds(job)
        found = installation.find(self._paths, self._settings)
        if (obstacle := self._obstacle(found, model)) is not None:
            raise BackendUnavailable(obstacle)
        clip = _Clip(backend=self, job=job, found=found, model=model, seconds=seconds, control=control)
        return Generation(SAMPLE_RATE, CHANNELS, clip.blocks(), clip.facts)

    def unload(self) -> None:
        """Nothing is held between two clips."""

    def _seconds(self, job: Job) -> float:
        seconds = job.seconds or seconds_of_bars(job) or self._settings.duration
        if not SHORTEST_S <= seconds <= LONGEST_S:
            raise JobRefused(f"MusicGPT makes {SHORTEST_S} to {LONGEST_S} s at a time: {seconds:g} s is out of that.")
        return seconds

    def _obstacle(self, found: Installation, model: str) -> str | None:
        """Why this model cannot be run, and what would change that; None if it can."""
        if model not in MODELS:
            return f"MusicGPT has no model {model!r}: choose one of {', '.join(MODELS)}."
        if found.binary is None:
            return (
                f"MusicGPT was not found {found.looked_for}: install it (github.com/gabotechs/MusicGPT) or say "
                "`infiniloop set musicgpt PATH`."
            )
        if model in found.models() and found.has_runtime():
            return None
        what = "runtime library" if model in found.models() else f"model {model}"
        if self._settings.offline:
            return f"MusicGPT's {what} is not in {found.data}, and the station is set to stay offline."
        if self.may_download(model):
            return None
        return f"MusicGPT's {what} is not in {found.data}: `infiniloop models` shows how to get it."

    def command(self, found: Installation, model: str, secs: int, output: Path, job: Job) -> list[str]:
        """The program and its arguments; the prompt stands after ``--`` and can never be taken for an option."""
        command = [str(found.binary), "--model", model, "--secs", str(secs), "--output", str(output)]
        command += ["--no-playback", "--no-interactive", "--ui-no-open"]
        if found.data != installation.default_data():
            command += ["--data-path", str(found.data)]
        if (job.device if job.device != "auto" else self._settings.device) == "cuda":
            command.append("--gpu")
        return [*command, "--", said(job)]

    def may_download(self, model: str) -> bool:
        """Whether the listener said yes to this model's download by the program."""
        return not self._settings.offline and self._consent.said(f"{NAME}:{model}") == "yes"

    @property
    def patience(self) -> Patience:
        return self._patience

    @property
    def folder(self) -> Path:
        return self._paths.clips


@dataclass(kw_only=True)
class _Clip:
    """One job's run, its audio and its facts."""

    backend: MusicGptBackend
    job: Job
    found: Installation
    model: str
    seconds: float
    control: JobControl
    download_s: float = 0.0

    def blocks(self) -> Iterator[Audio]:
        """The clip's audio, once the program has written it."""
        secs = min(LONGEST_S, math.ceil(self.seconds) + TRIMMED_S)
        output = self.backend.folder / f".{self.job.job_id}{_SUFFIX}"
        try:
            self._run(secs, output)
            samples = self._read(output)
        finally:
            output.unlink(missing_ok=True)
        samples = samples[: round(self.seconds * SAMPLE_RATE)]
        for start in range(0, len(samples), _BLOCK):
            self.control.check()
            yield samples[start : start + _BLOCK]

    def facts(self) -> ClipFacts:
        return ClipFacts(
            recipe=Recipe(
                prompt=self.job.prompt,
                backend=NAME,
                model=self.model,
                code_licence=CODE_LICENCE,
                weights_licence=WEIGHTS_LICENCE,
                disclosure=f"AI-generated with MusicGen {self.model} by MusicGPT; weights {WEIGHTS_LICENCE}",
                options={"seconds": self.seconds, "heard": said(self.job)},
            ),
            download_s=self.download_s,
        )

    def _run(self, secs: int, output: Path) -> None:
        patience, allowed = self.backend.patience, self.backend.may_download(self.model)
        command = self.backend.command(self.found, self.model, secs, output, self.job)
        limit = patience.limit(self.model, secs)

        def look() -> None:
            self.control.check()
            screen = run.screen
            if screen.stage == DOWNLOADING and not allowed:
                raise BackendUnavailable(
                    f"MusicGPT wanted to download something for the model {self.model} and was ended: `infiniloop "
                    "models` shows how to allow it."
                )
            self.control.report(screen.fraction if screen.stage == GENERATING else 0.0, screen.stage)

        with Run(command, network=allowed) as run:
            try:
                took = run.attend(limit, look)
            except TooSlow:
                patience.learn(self.model, secs, run.working_s)
                raise
            self.download_s = run.download_s
        patience.learn(self.model, secs, took)

    def _read(self, output: Path) -> Audio:
        try:
            samples, rate = read_audio(output)
        except AudioFileError as error:
            what = str(error).removeprefix(str(output)).strip()
            raise BackendError(f"MusicGPT ended without a usable clip (it {what.rstrip('.')}): try again.") from error
        if rate != SAMPLE_RATE or samples.shape[1] != CHANNELS:
            raise BackendError(
                f"MusicGPT wrote {samples.shape[1]} channels at {rate} Hz where {CHANNELS} at {SAMPLE_RATE} Hz were "
                "expected: use version 0.3."
            )
        return samples


def said(job: Job) -> str:
    """The prompt as the program takes it."""
    words = wording(job).replace("\0", " ")
    # "exit" alone is a command of the program.
    return f"{words} music" if words in ("", "exit") else words
