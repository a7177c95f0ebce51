"""Draws the composer's music: one picture for each family of styles, its piano roll over its spectrogram.

    python benchmarks/composer_pictures.py [--folder docs/pictures] [--seed 1]

Each picture is of 16 s or so of one style, small enough for a page (at most 150 kB).
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import click
import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from PIL import Image

from services.generator.backends.composer.compose import compose
from services.generator.backends.composer.plan import Asked, Plan, make_plan
from services.generator.backends.composer.score import Score
from services.generator.backends.composer.sound import INSTRUMENTS, RenderedPiece, render_piece
from services.generator.backends.composer.style import builtin

RATE = 48_000
SECONDS = 16.0
LARGEST = 150_000
TYPICAL = ("hip-hop", "deep-house", "lo-fi", "cinematic", "game-tavern", "folk", "bossa", "jazz-cafe")
_WINDOW = 4096
_PITCHES = (24, 96)


def families() -> dict[str, str]:
    """A style of each family: a typical one where the first by name is not."""
    shown: dict[str, str] = {}
    for key, style in builtin().items():
        if style.data.family not in shown or key in TYPICAL:
            shown[style.data.family] = key
    return shown


def roll(axes: Axes, score: Score, rendered: RenderedPiece) -> None:
    """Every note a line, every part a colour, louder notes stronger; drums as ticks below."""
    colours = {part.name: f"C{index}" for index, part in enumerate(score.sections[0].parts)}
    quarter = 60 / score.bpm
    for section, (start, end) in zip(score.sections, rendered.bounds, strict=True):
        for part in section.parts:
            if INSTRUMENTS[part.instrument].family == "fx":
                continue
            for note in part.notes:
                at = start / RATE + note.start * quarter
                if part.percussion:
                    row = 18 if note.pitch in (35, 36) else 15 if note.pitch in (37, 38, 39, 40) else 12
                    axes.plot([at], [row], "|", color="0.35", markersize=4, alpha=0.3 + 0.7 * note.velocity)
                else:
                    until = min(at + note.length * quarter, end / RATE)
                    axes.plot(
                        [at, until],
                        [note.pitch] * 2,
                        color=colours[part.name],
                        linewidth=2.2,
                        solid_capstyle="butt",
                        alpha=0.25 + 0.75 * note.velocity,
                    )
        for chord in section.chords:
            axes.text(start / RATE + chord.start * quarter, _PITCHES[1] + 1, chord.symbol, fontsize=6, color="0.3")
        axes.axvline(end / RATE, color="0.6", linewidth=0.8)
    axes.set_ylim(10, _PITCHES[1] + 5)
    axes.set_ylabel("pitch")
    handles = [
        plt.Line2D([], [], color=colours[part.name], label=f"{part.name}: {part.instrument}")
        for part in score.sections[0].parts
        if not part.percussion and INSTRUMENTS[part.instrument].family != "fx"
    ]
    axes.legend(handles=handles, fontsize=6, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)


def spectrogram(axes: Axes, rendered: RenderedPiece) -> None:
    middle = rendered.samples.mean(axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(middle, _WINDOW)[::1536]
    level = 20 * np.log10(np.abs(np.fft.rfft(windows * np.hanning(_WINDOW), axis=1)) + 1e-4)
    edges = np.geomspace(30, 18_000, 160)
    bins = np.clip(np.round(edges * _WINDOW / RATE).astype(int), 1, _WINDOW // 2)
    axes.imshow(
        level[:, bins].T,
        aspect="auto",
        origin="lower",
        extent=(0.0, len(middle) / RATE, 0.0, float(len(edges))),
        vmin=-30,
        vmax=50,
        cmap="magma",
    )
    marks = (60, 125, 250, 500, 1000, 2000, 4000, 8000, 16_000)
    axes.set_yticks(np.searchsorted(edges, marks), [f"{m // 1000}k" if m >= 1000 else str(m) for m in marks])
    axes.set_ylabel("Hz")
    axes.set_xlabel("seconds")


def picture(plan: Plan, score: Score, rendered: RenderedPiece, path: Path) -> int:
    """Draw one piece; returns the file's size in bytes."""
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(9, 5.2), sharex=True, height_ratios=(1.1, 1))
    roll(upper, score, rendered)
    spectrogram(lower, rendered)
    upper.set_title(plan.line, fontsize=9, pad=12)
    for axes in (upper, lower):
        axes.tick_params(labelsize=7)
    figure.tight_layout()
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=75)
    plt.close(figure)
    Image.open(drawn).convert("RGB").quantize(128).save(path, optimize=True)
    return path.stat().st_size


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path(__file__).parents[1] / "docs" / "pictures")
@click.option("--seed", default=1, show_default=True)
@click.option("--family", "chosen", multiple=True)
def main(folder: Path, seed: int, chosen: tuple[str, ...]) -> None:
    """Draw a picture for each family of styles."""
    folder.mkdir(parents=True, exist_ok=True)
    styles = builtin()
    for family, key in families().items():
        if chosen and family not in chosen:
            continue
        plan = make_plan(styles[key].data.name, seed, styles, Asked(seconds=SECONDS))
        score = compose(plan, styles[plan.style])
        path = folder / f"{family}.png"
        size = picture(plan, score, render_piece(score, RATE), path)
        if size > LARGEST:
            raise click.ClickException(f"{path} has {size} bytes, more than {LARGEST}.")
        print(json.dumps({"family": family, "style": plan.style, "file": path.name, "bytes": size}))


if __name__ == "__main__":
    main()
