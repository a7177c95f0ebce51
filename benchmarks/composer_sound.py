"""How the composer's pieces sound, in figures: every style over several seeds, rendered with samples and without.

    python benchmarks/composer_sound.py [--seeds 3] [--style lo-fi] [--alone] [--clips] [--speed lo-fi]

One JSON object per style (medians and worst values over the seeds; with ``--clips`` one for each clip before it), then
speed and memory of a 30 s clip, each measured in a process of its own (those alone with ``--seeds 0``). CPU time is
what is judged: wall time is the machine's. ``--alone`` leaves FluidSynth aside. A style of your own folder is measured
when it is named.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import click
import numpy as np
from numpy.typing import NDArray

from services.generator.backends.composer.compose import compose
from services.generator.backends.composer.plan import Asked, make_plan
from services.generator.backends.composer.score import Score
from services.generator.backends.composer.sound import RenderedPiece, render_piece
from services.generator.backends.composer.sound.cache import NOTES
from services.generator.backends.composer.sound.circle import filtered, going_round, low_pass
from services.generator.backends.composer.sound.loudness import integrated_loudness, true_peak_db
from services.generator.backends.composer.style import Style, builtin, with_folder
from shared.paths import Paths
from shared.runtime import memory
from shared.units import Audio

RATE = 48_000
_WINDOW = 4096


def say(**figure: object) -> None:
    print(json.dumps(figure, ensure_ascii=False), flush=True)


@cache
def at_hand() -> dict[str, Style]:
    """The station's styles and the listener's own."""
    return dict(with_folder(Paths.from_environment().config / "styles").styles)


def piece(style: str, seed: int, seconds: float = 30.0, *, form: bool = False) -> Score:
    """A score of this style."""
    styles = at_hand()
    return compose(make_plan(styles[style].data.name, seed, styles, Asked(seconds=seconds, piece=form)), styles[style])


def decibels(power: float) -> float:
    return 10.0 * float(np.log10(max(power, 1e-12)))


def magnitudes(channel: NDArray[np.float32], hop: int = _WINDOW) -> NDArray[np.float32]:
    windows = np.lib.stride_tricks.sliding_window_view(channel, _WINDOW)[::hop]
    return np.abs(np.fft.rfft(windows * np.hanning(_WINDOW).astype(np.float32), axis=1))


def seam_rank(section: Audio, bars: int) -> float:
    """Spectral flux at the seam against the 90th percentile of that at the other bar lines: above 1 it stands out."""
    hop, around = 256, 8
    lap = going_round(section, 4096, 4096).mean(axis=0)

    def at(frame: int) -> float:
        start = frame + 4096 - hop * around // 2 - 512
        windows = np.lib.stride_tricks.sliding_window_view(lap[start : start + 1024 + hop * around], 1024)[::hop]
        spectra = np.log1p(100.0 * np.abs(np.fft.rfft(windows * np.hanning(1024).astype(np.float32), axis=1)))
        return float(np.maximum(np.diff(spectra, axis=0), 0.0).mean(axis=1).max())

    others = [at(bar * len(section) // bars) for bar in range(1, bars)]
    return at(0) / max(float(np.percentile(others, 90)), 1e-9) if others else 0.0


def figures(score: Score, rendered: RenderedPiece) -> dict[str, float]:
    """What is measured of one piece."""
    audio = rendered.samples
    middle, side = audio.mean(axis=1), (audio[:, 0] - audio[:, 1]) / 2
    seconds = [decibels(float(np.mean(second**2))) for second in np.array_split(middle, max(1, len(middle) // RATE))]
    spectra = magnitudes(middle)
    hertz = np.fft.rfftfreq(_WINDOW, 1 / RATE)
    low = filtered(audio, RATE, lambda hertz: low_pass(hertz, 120.0, 4))
    return {
        "lufs": integrated_loudness(audio, RATE),
        "true_peak": true_peak_db(np.concatenate([audio, audio[: RATE // 10]])),
        "spread_db": float(np.percentile(seconds, 95) - np.percentile(seconds, 5)),
        "side_db": decibels(float(np.mean(side**2))) - decibels(float(np.mean(middle**2))),
        "bass_correlation": float(np.corrcoef(low.T)[0, 1]) if np.abs(low).max() > 1e-4 else 1.0,
        "centroid": float(np.median((spectra * hertz).sum(axis=1) / np.maximum(spectra.sum(axis=1), 1e-9))),
        "dc_db": decibels(float(np.max(np.abs(audio.mean(axis=0))) ** 2)),
        "crest_db": decibels(float(np.max(audio**2))) - decibels(float(np.mean(audio**2))),
        "seam": max(
            seam_rank(audio[start:end], section.bars)
            for section, (start, end) in zip(score.sections, rendered.bounds, strict=True)
        ),
        "finite": float(np.isfinite(audio).all()),
    }


def summary(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    middle = {name: round(float(np.median([row[name] for row in rows])), 2) for name in rows[0]}
    lufs = [row["lufs"] for row in rows]
    return middle | {
        "lufs_off": round(max(abs(value + 16.0) for value in lufs), 2),
        "true_peak_worst": round(max(row["true_peak"] for row in rows), 2),
        "spread_least": round(min(row["spread_db"] for row in rows), 2),
        "side_least": round(min(row["side_db"] for row in rows), 2),
        "side_most": round(max(row["side_db"] for row in rows), 2),
        "bass_least": round(min(row["bass_correlation"] for row in rows), 3),
        "seams_below_p90": round(float(np.mean([row["seam"] <= 1.0 for row in rows])), 2),
    }


def speed(style: str, *, alone: bool) -> None:
    """Print speed and memory of this process: 30 s from cold, another piece of 30 s, 12 s warm."""
    memory.keep_flat()  # as in the station's worker
    spent = []
    for seed, seconds in ((1, 30.0), (2, 30.0), (3, 12.0)):
        began, began_at = time.process_time(), time.perf_counter()
        rendered = render_piece(piece(style, seed, seconds), RATE, samples=not alone)
        NOTES.clear()  # as after each clip of the worker
        spent.append((time.process_time() - began, len(rendered.samples) / RATE))
    wall = time.perf_counter() - began_at
    status = Path("/proc/self/status").read_text("ascii")
    peak_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    say(
        figure="speed",
        style=style,
        cold_x=round(spent[0][1] / spent[0][0], 1),
        second_x=round(spent[1][1] / spent[1][0], 1),
        cpu_12_s=round(spent[2][0], 2),
        wall_12_s=round(wall, 2),
        peak_mb=round(peak_kb / 1024),
    )


@click.command()
@click.option("--seeds", default=3, show_default=True)
@click.option("--style", "chosen", multiple=True)
@click.option("--alone", is_flag=True, help="Without FluidSynth.")
@click.option("--clips", is_flag=True, help="Each clip's figures, too.")
@click.option("--speed", "speed_styles", multiple=True, help="Styles whose speed is measured; all unless named.")
@click.option("--speed-of", hidden=True)
def main(
    *,
    seeds: int,
    chosen: tuple[str, ...],
    alone: bool,
    clips: bool,
    speed_styles: tuple[str, ...],
    speed_of: str | None,
) -> None:
    """Measure how the composer sounds."""
    if speed_of:
        speed(speed_of, alone=alone)
        return
    names = chosen or tuple(builtin())
    for name in names:
        rows = []
        for seed in range(seeds):
            score = piece(name, seed)
            rows.append(figures(score, render_piece(score, RATE, samples=not alone)))
            if clips:
                rounded = {name: round(float(value), 3) for name, value in rows[-1].items()}
                say(figure="clip", style=name, seed=seed, alone=alone, **rounded)
        if rows:
            say(figure="sound", style=name, alone=alone, **summary(rows))
    for name in speed_styles or names:
        flags = ["--speed-of", name, *(["--alone"] if alone else [])]
        subprocess.run([sys.executable, __file__, *flags], check=True)


if __name__ == "__main__":
    main()
