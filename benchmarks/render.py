"""Renders the station's programme twice and measures it: speed, loudness, peak, silence, songs, repeats, same bytes.

    python -m benchmarks.render [--minutes 10] [--seed 7]

One JSON object per figure. Wall time is the machine's; the ratio to real time is what is judged.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import pyloudnorm
import soundfile
import soxr
from numpy.typing import NDArray


def say(**figure: object) -> None:
    print(json.dumps(figure, ensure_ascii=False), flush=True)


def render(path: Path, minutes: float, seed: int) -> tuple[float, dict[str, object]]:
    """Render once; returns seconds taken and what the command reported."""
    command = [sys.executable, "-m", "services", "render", "-o", str(path)]
    began = time.perf_counter()
    run = subprocess.run(
        [*command, "--minutes", str(minutes), "--seed", str(seed), "--json"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return time.perf_counter() - began, json.loads(run.stdout.splitlines()[-1])


def true_peak_dbtp(samples: NDArray[np.float32]) -> float:
    """Four times oversampled peak (BS.1770-4, annex 2), a minute at a time."""
    minute = 60 * 48_000
    parts = (samples[start : start + minute] for start in range(0, len(samples), minute))
    return float(20 * np.log10(max(np.abs(soxr.resample(part, 1, 4)).max() for part in parts)))


def longest_silence_s(samples: NDArray[np.float32], rate: int) -> float:
    """The longest run of 10 ms frames under −80 dBFS."""
    size = rate // 100
    frames = samples[: len(samples) // size * size].reshape(-1, size * samples.shape[1])
    quiet = np.sqrt(np.mean(np.square(frames, dtype=np.float64), axis=1)) < 1e-4
    longest = run = 0
    for still in quiet:
        run = run + 1 if still else 0
        longest = max(longest, run)
    return longest / 100


@click.command()
@click.option("--minutes", default=10.0, show_default=True)
@click.option("--seed", default=7, show_default=True)
def main(minutes: float, seed: int) -> None:
    """Measure `infiniloop render`."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "first.flac"), Path(folder, "second.flac")
        taken, report = render(first, minutes, seed)
        again, _ = render(second, minutes, seed)
        same = hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()
        samples, rate = soundfile.read(first, dtype="float32", always_2d=True)
    say(
        figure="render speed",
        times_real_time=round(minutes * 60 / min(taken, again), 1),
        seconds=[round(taken, 1), round(again, 1)],
    )
    say(figure="length", seconds=round(len(samples) / rate, 3))
    say(figure="loudness", lufs=round(float(pyloudnorm.Meter(rate).integrated_loudness(samples)), 2))
    say(figure="true peak", dbtp=round(true_peak_dbtp(samples), 2))
    say(figure="longest silence", seconds=longest_silence_s(samples, rate))
    say(figure="same bytes twice", value=same)
    say(
        figure="programme",
        **{key: report[key] for key in report if key in ("songs", "longest_run_of_one_pass", "loops")},
    )


if __name__ == "__main__":
    main()
