"""Whether the finder hears the bars of composed clips: their exact grid is known, and withheld.

    python benchmarks/loop_downbeats.py [--seeds 501] [--style lo-fi] [--seconds 30]

Every style of the composer is rendered unfolded (played through once, the last notes ringing out) and made a loop as
any clip is. One JSON object per clip: what was found, and the F-measure of the downbeats inside the loop at 70 ms, the
tempo not folded; then the means over the clips with drums and over all. A clip that is refused has an F of 0.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import click
import numpy as np
from numpy.typing import NDArray

from services.analyzer.making import make_loop
from services.analyzer.records import Rejection
from services.generator.backends.composer.compose import compose
from services.generator.backends.composer.plan import Asked, make_plan
from services.generator.backends.composer.sound import render_piece
from services.generator.backends.composer.style import builtin
from services.generator.backends.composer.truth import truth_of
from shared.music import Truth
from shared.units import STATION_RATE, Audio

RATE = 32_000
TOLERANCE_S = 0.07


def composed(style: str, seed: int, seconds: float) -> tuple[Audio, Truth]:
    """A clip at ``RATE`` and its grid."""
    styles = builtin()
    plan = make_plan(styles[style].data.name, seed, styles, Asked(seconds=seconds))
    score = compose(plan, styles[style])
    rendered = render_piece(score, RATE, fold=False)
    return rendered.samples, truth_of(plan, score, rendered.bounds)


def f_measure(found: NDArray[np.float64], true: NDArray[np.float64]) -> float:
    """Harmonic mean of precision and recall of two lists of seconds, each counted once."""
    if not len(found) or not len(true):
        return 0.0
    free, hits = list(true), 0
    for at in found:
        near = min(free, key=lambda one: abs(one - at), default=np.inf)
        if abs(near - at) <= TOLERANCE_S:
            hits += 1
            free.remove(near)
    return 2 * hits / (len(found) + len(true))


def judge(clip: Audio, truth: Truth) -> dict[str, Any]:
    """What is found in a clip against what was written."""
    loop = make_loop(clip, RATE)
    written = {"bpm": truth.bpm, "beats_per_bar": truth.beats_per_bar}
    if isinstance(loop, Rejection):
        return {**written, "refused": loop.code, "f": 0.0}
    start, end = loop.source_start / RATE, loop.source_end / RATE
    grid = np.array(loop.grid.downbeats if loop.grid else ()) / STATION_RATE + start
    assert truth.grid is not None
    bars = np.array(truth.grid.downbeats) / RATE
    inside = bars[(bars >= start - TOLERANCE_S) & (bars < end - TOLERANCE_S)]
    heard = {"found_bpm": loop.bpm, "found_beats_per_bar": loop.beats_per_bar, "seconds": round(end - start, 3)}
    return {**written, **heard, "f": round(f_measure(grid, inside), 3)}


@click.command()
@click.option("--seeds", default="501", show_default=True, help="With commas.")
@click.option("--style", "chosen", multiple=True)
@click.option("--seconds", default=30.0, show_default=True)
def main(seeds: str, chosen: tuple[str, ...], seconds: float) -> None:
    """Find the bars of composed clips."""
    scores: dict[bool, list[float]] = {True: [], False: []}
    refused = 0
    for style in chosen or tuple(builtin()):
        drums = builtin()[style].data.drums is not None
        for seed in (int(seed) for seed in seeds.split(",")):
            told = judge(*composed(style, seed, seconds))
            scores[drums].append(told["f"])
            refused += "refused" in told
            print(json.dumps({"style": style, "seed": seed, "drums": drums, **told}), flush=True)
    both = scores[True] + scores[False]
    for name, values in (("with drums", scores[True]), ("all", both)):
        if values:
            figure = f"downbeats at 70 ms, F-measure, {name}"
            row = {"benchmark": "loop downbeats", "figure": figure, "value": round(float(np.mean(values)), 3)}
            print(json.dumps({**row, "unit": "", "n": len(values)}))
    row = {"benchmark": "loop downbeats", "figure": "refused", "value": refused, "unit": "clips", "n": len(both)}
    print(json.dumps(row))


if __name__ == "__main__":
    main()
