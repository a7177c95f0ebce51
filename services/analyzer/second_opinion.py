"""What librosa says of a loop: a second opinion on tempo and key, and a description that the search has no need of.

Its import costs seconds and hundreds of megabytes, so that it never stands on the way to a loop: it is asked after,
by ``analyze --describe`` and by a service that has nothing else to do. Its compiled kernels are kept on disk.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from services.analyzer.key import find_key, related
from services.analyzer.records import Key
from shared.audio_files import read_audio
from shared.messages import SecondOpinion
from shared.music import Loop
from shared.units import Audio

RATE: Final = 22_050
LONGEST_S: Final = 30.0
SAME_TEMPO: Final = 0.04
FOLDS: Final = (1 / 3, 0.5, 2 / 3, 1.0, 1.5, 2.0, 3.0)


@dataclass(frozen=True)
class Description:
    """What librosa measured."""

    bpm: float
    key: Key | None
    tuning_cents: float
    """How far the piece is tuned from A = 440 Hz."""
    brightness_hz: float
    """Median spectral centroid."""
    percussive_share: float
    """Part of the power that lies in what is percussive rather than harmonic (Fitzgerald's median filters), 0–1."""

    def same_tempo(self, bpm: float) -> bool:
        """Whether both tempi are one, counted in the same, half, double or dotted beats."""
        return min(abs(self.bpm * fold / bpm - 1) for fold in FOLDS) <= SAME_TEMPO

    def same_key(self, name: str) -> bool:
        """Whether both keys share all but at most one note."""
        return self.key is not None and related(self.key.name, name)


def describe_further(audio: Audio, rate: int, kernels: Path | None = None) -> Description:
    """Describe a loop of float32 ``(frames, channels)``; at most its first half minute is listened to.

    ``kernels`` is a folder in which compiled kernels are kept; it counts until librosa is first imported.
    """
    if kernels is not None:
        os.environ.setdefault("NUMBA_CACHE_DIR", str(kernels))
    import librosa
    import soxr

    mono = audio[: round(LONGEST_S * rate)].mean(axis=1)
    samples = soxr.resample(mono, rate, RATE).astype(np.float32)
    onsets = librosa.onset.onset_strength(y=samples, sr=RATE)
    tempo = librosa.feature.tempo(onset_envelope=onsets, sr=RATE)
    tuning = float(librosa.estimate_tuning(y=samples, sr=RATE))
    spectrum = librosa.stft(samples)
    harmonic, percussive = librosa.decompose.hpss(np.abs(spectrum))
    chroma = librosa.feature.chroma_stft(S=harmonic**2, sr=RATE, tuning=tuning, norm=None)
    power = float((harmonic**2).sum()), float((percussive**2).sum())
    centroid = librosa.feature.spectral_centroid(S=np.abs(spectrum), sr=RATE)
    return Description(
        bpm=round(float(np.atleast_1d(tempo)[0]), 2),
        key=find_key(np.sqrt(chroma.T).astype(np.float32)),
        tuning_cents=round(100 * tuning, 1),
        brightness_hz=round(float(np.median(centroid)), 1),
        percussive_share=round(power[1] / (sum(power) + 1e-12), 3),
    )


def compile_kernels(kernels: Path) -> None:
    """Have librosa's kernels compiled into the folder, where none are there yet, by a process of its own.

    Compiling takes a hundred megabytes more than using them, which a long-lived process would keep.
    """
    if not any(kernels.rglob("*.nbi")):
        subprocess.run(
            (sys.executable, "-m", __name__, str(os.getpid()), str(kernels)), stdin=subprocess.DEVNULL, check=False
        )


def opinion_on(loop: Loop, kernels: Path) -> SecondOpinion:
    """What librosa says of a finished loop on disk, and whether it agrees.

    Raises
    ------
    AudioFileError
        The loop's file is gone: it was played and tidied away meanwhile.
    """
    samples, rate = read_audio(Path(loop.path))
    told = describe_further(samples, rate, kernels)
    return SecondOpinion(
        loop_id=loop.loop_id,
        bpm=told.bpm,
        same_tempo=told.same_tempo(loop.bpm) if loop.bpm else None,
        key=told.key.name if told.key is not None else None,
        same_key=told.same_key(loop.key) if loop.key else None,
        tuning_cents=told.tuning_cents,
        brightness_hz=told.brightness_hz,
        percussive_share=told.percussive_share,
    )


def _compile(parent: int, kernels: Path) -> None:
    """Describe some noise, so that all kernels are compiled; ends with the process ``parent``."""
    import signal

    from shared.runtime import lifeline

    lifeline.end_with_parent(parent, signal.SIGKILL)
    os.nice(10)
    describe_further(np.random.default_rng(0).normal(0, 0.1, (3 * RATE, 2)).astype(np.float32), RATE, kernels)


if __name__ == "__main__":
    _compile(int(sys.argv[1]), Path(sys.argv[2]))
