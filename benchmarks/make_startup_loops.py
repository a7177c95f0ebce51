"""Composes the two loops that ship with the player, so that a station sounds before anything has been made.

    python benchmarks/make_startup_loops.py

Writes ``services/player/startup/*.wav`` (16 bit, 48 kHz, stereo, 8 bars) and their records, ``startup.json``. At their
tempos 8 bars last 14 s at least, and both files together stay below 7 MB.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import click
import msgspec
import numpy as np
import soundfile

from services.generator.backends.composer.compose import compose
from services.generator.backends.composer.plan import Asked, make_plan
from services.generator.backends.composer.sound import render_piece
from services.generator.backends.composer.sound.loudness import block_power, integrated_loudness, true_peak_db
from services.generator.backends.composer.style import builtin
from services.generator.backends.composer.truth import truth_of
from shared.music import Loop, Recipe
from shared.units import STATION_RATE

FOLDER = Path(__file__).parents[1] / "services" / "player" / "startup"
DISCLOSURE = "composed by rules, no AI model; free to use"


@dataclass(frozen=True)
class Wanted:
    name: str
    title: str
    genre: str
    prompt: str
    seed: int
    bpm: float
    key: str


LOOPS = (
    Wanted("first-light", "First Light", "lo-fi", "calm lo-fi with electric piano and vibraphone", 3, 90.0, "Dm"),
    Wanted("still-water", "Still Water", "chill-out", "chill-out, no drums", 3, 130.0, "F"),
)


def make(wanted: Wanted, folder: Path) -> Loop:
    """Compose, render and write one loop; returns its record."""
    styles = builtin()
    plan = make_plan(wanted.prompt, wanted.seed, styles, Asked(bpm=wanted.bpm, key=wanted.key, bars=8))
    score = compose(plan, styles[plan.style])
    rendered = render_piece(score, STATION_RATE)
    truth = truth_of(plan, score, rendered.bounds)
    samples = rendered.samples
    dither = np.random.default_rng(wanted.seed).random((2, *samples.shape), np.float32)
    whole = np.clip(np.round(samples * 32_767.0 + dither[0] - dither[1]), -32_768, 32_767).astype(np.int16)
    path = folder / f"{wanted.name}.wav"
    soundfile.write(path, whole, STATION_RATE, "PCM_16")
    sounding = whole.astype(np.float32) / 32_768.0
    bars = [round(bar * len(samples) / plan.bars) for bar in range(plan.bars + 1)]
    energy = [
        -0.691 + 10 * float(np.log10(block_power(sounding[a:b], STATION_RATE).mean() + 1e-7)) for a, b in pairwise(bars)
    ]
    return Loop(
        loop_id=f"startup-{wanted.name}",
        job_id=f"startup-{wanted.name}",
        epoch=0,
        path=path.name,
        frames=len(whole),
        sample_rate=STATION_RATE,
        mode="exact",
        source_end=len(whole),
        bpm=plan.bpm,
        beats_per_bar=plan.meter.beats,
        bars=plan.bars,
        grid=truth.grid,
        key=plan.key,
        key_confidence=1.0,
        confidence=1.0,
        lufs=round(float(integrated_loudness(sounding, STATION_RATE)), 2),
        true_peak_dbtp=round(true_peak_db(np.concatenate([sounding, sounding[:STATION_RATE]])), 2),
        energy=tuple(round(value, 2) for value in energy),
        title=wanted.title,
        artist="INFINI LOOP",
        genre=wanted.genre,
        startup=True,
        recipe=Recipe(
            prompt=wanted.prompt,
            backend="composer",
            seed=wanted.seed,
            disclosure=DISCLOSURE,
            plan=plan.line,
            style=plan.style,
        ),
    )


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=FOLDER)
def main(folder: Path) -> None:
    """Write both loops and their records."""
    folder.mkdir(parents=True, exist_ok=True)
    loops = [make(wanted, folder) for wanted in LOOPS]
    (folder / "startup.json").write_bytes(msgspec.json.format(msgspec.json.encode(loops), indent=1) + b"\n")
    for loop in loops:
        size = (folder / loop.path).stat().st_size
        print(json.dumps({"loop": loop.path, "bytes": size, "seconds": loop.frames / STATION_RATE, "lufs": loop.lufs}))


if __name__ == "__main__":
    main()
