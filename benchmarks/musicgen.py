"""MusicGen's speed, memory and fidelity against the loop of exported graphs and against transformers.

    python -m benchmarks.musicgen [--size small|medium|large|stereo-small|…] [--blocks 5] [--folder DIR] [--cpu]
                                  [--only memory,steps,clips,fidelity,goldens] [--alone]

Builds a random checkpoint of the true size (speed and memory do not depend on the weights' values), converts it, and
runs the engines in turn, block by block, so that a change of the machine's load meets them all. Prints one JSON object
per figure. transformers takes part where it and torch are installed, by bare calls of its model and by its own
``generate``; the goldens are then made anew and compared.

A block during which other programs took more than a twentieth of the processors is measured again, up to ``--tries``
times; what they took at the most in the blocks that count is told with each figure (``others``).

``--cpu`` is for a machine that is busy with other things: one thread, and processor time instead of the wall clock.
Its ratios are lower than the wall clock's on an idle machine, where the re-fed loop waits for the memory.

Small needs 8 GB of disk and 8 GB of memory, medium four times as much. ``--alone`` leaves the others out: then
medium takes 10 GB of disk and 3 GB of memory, large 18 and 5.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benchmarks import musicgen_engines as engines
from benchmarks.musicgen_engines import Generate, Ours, TheRefed, Transformers, our_clip, refed_clip
from benchmarks.quiet import undisturbed
from benchmarks.refed import Refed, build_refed
from services.generator.backends.musicgen.checkpoint import Checkpoint
from services.generator.backends.musicgen.conversion import PRECISIONS, Converted, Precision, convert, open_converted
from services.generator.backends.musicgen.engine import Engine
from services.generator.backends.musicgen.runtime import cores, default_threads, open_session
from services.generator.backends.musicgen.shape import CheckpointError
from tests.golden.musicgen_checkpoint import SIZES, write_checkpoint

ROOT = Path(__file__).parents[1]
SECONDS = 10
PARTS = ("memory", "steps", "clips", "fidelity", "goldens")


def say(figure: str, value: float, unit: str, **more: object) -> None:
    line = {"benchmark": "musicgen", "figure": figure, "value": round(value, 4), "unit": unit}
    print(json.dumps(line | more), flush=True)


def note(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


# -- what is measured in a process of its own --------------------------------------------------------------------------


def memory_of(folder: Path, threads: int) -> None:
    """In a process of its own: peak memory of loading a model and writing a clip."""
    converted = open_converted(folder)
    assert converted is not None
    engine = Engine(converted, threads)
    our_clip(engine, SECONDS, 1)
    print(_peak_mb())


def conversion_of(source: Path, target: Path) -> None:
    """In a process of its own: seconds and peak memory of a conversion, and the peak before it."""
    import onnx  # noqa: F401 - what is imported counts as being there before
    import onnxruntime  # noqa: F401

    before, began = _peak_mb(), time.perf_counter()
    convert(Checkpoint(source), target, cast(Precision, target.name))
    print(json.dumps({"seconds": time.perf_counter() - began, "peak_mb": _peak_mb(), "before_mb": before}))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# -- the run ----------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--only", default=",".join(PARTS), help="comma-separated: which parts to measure")
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--threads", type=int, default=default_threads(cores()))
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--folder", type=Path, help="keeps checkpoint and graphs here for the next time")
    parser.add_argument("--no-transformers", action="store_true")
    parser.add_argument("--alone", action="store_true", help="our engine only: for sizes that leave no room for others")
    parser.add_argument("--cpu", action="store_true", help="one thread, processor time: for a busy machine")
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--convert", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.convert:
        conversion_of(*arguments.convert)
        return
    if arguments.memory:
        memory_of(arguments.memory, arguments.threads)
        return
    if arguments.cpu:
        engines.clock, arguments.threads = time.process_time, 1  # one clock for the whole run
    with _folder(arguments.folder) as folder:
        _run(arguments, folder / arguments.size)


class _folder:  # noqa: N801 - a context manager that reads as a word
    """The given folder, or a temporary one."""

    def __init__(self, given: Path | None) -> None:
        self._given = given

    def __enter__(self) -> Path:
        self._path = self._given or Path(tempfile.mkdtemp(prefix="infiniloop-musicgen-"))
        return self._path

    def __exit__(self, *_: object) -> None:
        if self._given is None:
            shutil.rmtree(self._path, ignore_errors=True)


def _run(arguments: argparse.Namespace, folder: Path) -> None:
    size, threads = arguments.size, arguments.threads
    source = folder / "source"
    try:
        checkpoint = Checkpoint(source)
    except CheckpointError:
        note(f"building a random checkpoint of {size}'s size in {folder}")
        checkpoint = Checkpoint(write_checkpoint(source, SIZES[size]))
    converted: dict[str, Converted] = {}
    for precision in arguments.precisions.split(","):
        found = open_converted(folder / precision)
        if found is None:
            _measure_conversion(size, source, folder / precision)
            found = open_converted(folder / precision)
            assert found is not None
        converted[precision] = found
        say(f"{size}.{precision}.on_disk", found.size / 1e6, "MB")
    refed = None if arguments.alone else folder / "refed" / "refed.onnx"
    if refed is not None and not refed.exists():
        build_refed(checkpoint, refed.parent)
    parts = arguments.only.split(",")
    reference = not arguments.alone and not arguments.no_transformers and _has_transformers()
    if "memory" in parts:
        _measure_memory(size, converted, threads)
    if "steps" in parts:
        _measure_steps(arguments, source if reference else None, converted, refed)
    if "clips" in parts:
        _measure_clips(arguments, converted, refed)
    if "fidelity" in parts:
        _measure_fidelity(size, converted)
    if "goldens" in parts and reference:
        done = subprocess.run([sys.executable, "-m", "tests.golden.make_musicgen", "--check"], check=False, cwd=ROOT)
        say("goldens.unchanged", float(done.returncode == 0), "")


def _has_transformers() -> bool:
    missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    if missing:
        note(
            "The comparison with transformers and the making of the goldens anew are left out: "
            f"`pip install {' '.join(missing)}` for them."
        )
    return not missing


def _measure_conversion(size: str, source: Path, target: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.musicgen", "--convert", str(source), str(target)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    figures = json.loads(done.stdout)
    say(f"{size}.{target.name}.conversion", figures["seconds"], "s")
    graph = (target / "decoder.data").stat().st_size / 1e6
    peak = figures["peak_mb"] * 1.048576
    say(f"{size}.{target.name}.conversion_peak", peak, "MB", before=round(figures["before_mb"] * 1.048576))
    say(f"{size}.{target.name}.conversion_peak_over_decoder", peak / graph, "×")


def _measure_memory(size: str, converted: dict[str, Converted], threads: int) -> None:
    for precision, each in converted.items():
        command = [sys.executable, "-m", "benchmarks.musicgen", "--memory", str(each.folder), "--threads", str(threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        say(f"{size}.{precision}.peak_memory", float(done.stdout), "MB")


def _measure_steps(
    arguments: argparse.Namespace, source: Path | None, converted: dict[str, Converted], refed: Path | None
) -> None:
    size, threads = arguments.size, arguments.threads
    taking_part: dict[str, tuple[Any, int]] = {}
    for precision, each in converted.items():
        taking_part[precision] = (Ours(each, threads), 50)
    any_converted = next(iter(converted.values()))
    ours = next(iter(taking_part.values()))[0]
    if refed is not None:
        taking_part["refed"] = (TheRefed(refed, ours, any_converted, threads), 12)
    if source is not None:
        taking_part["transformers"] = (Transformers(source), 5)
    for name, (engine, _) in taking_part.items():
        say(f"{size}.{name}.load", engine.load_s, "s")
    if "transformers" in taking_part:
        taking_part["generate"] = (Generate(taking_part["transformers"][0]), 5)
    speeds: dict[str, list[float]] = {name: [] for name in taking_part}
    others: dict[str, float] = dict.fromkeys(taking_part, 0.0)
    for _ in range(arguments.blocks):
        for name, (engine, count) in taking_part.items():
            speed, share = undisturbed(partial(engine.steps, count), arguments.tries)
            speeds[name].append(speed)
            others[name] = max(others[name], share)
    for name, values in speeds.items():
        every = [round(value, 1) for value in values]
        say(f"{size}.{name}.steps", statistics.median(values), "steps/s", all=every, others=round(others[name], 2))
    for other in ("refed", "transformers", "generate"):
        if other in speeds:
            for name in converted:
                ratios = [a / b for a, b in zip(speeds[name], speeds[other], strict=True)]
                say(f"{size}.{name}.steps_over_{other}", statistics.median(ratios), "×")


def _measure_clips(arguments: argparse.Namespace, converted: dict[str, Converted], refed: Path | None) -> None:
    size, threads = arguments.size, arguments.threads
    ours = {precision: Engine(each, threads) for precision, each in converted.items() if precision != "fp32"}
    exact = converted.get("fp32") or next(iter(converted.values()))
    clips: dict[str, Callable[[], tuple[float, float]]] = {
        name: partial(our_clip, engine, SECONDS, 1) for name, engine in ours.items()
    }
    if refed is not None:
        loop = Refed(open_session(refed, threads), exact.shape.decoder)
        clips["refed"] = partial(refed_clip, loop, next(iter(ours.values())), exact, threads, SECONDS)
    firsts: dict[str, list[float]] = {name: [] for name in clips}
    wholes: dict[str, list[float]] = {name: [] for name in clips}
    others: dict[str, float] = dict.fromkeys(clips, 0.0)
    for _ in range(arguments.blocks):
        for name, clip in clips.items():
            (first, whole), share = undisturbed(clip, arguments.tries)
            firsts[name].append(first)
            wholes[name].append(whole)
            others[name] = max(others[name], share)
    for name, times in wholes.items():
        first, whole = statistics.median(firsts[name]), statistics.median(times)
        every = [round(value, 1) for value in times]
        say(f"{size}.{name}.clip", SECONDS / whole, "× real time", seconds=every, others=round(others[name], 2))
        say(f"{size}.{name}.first_second", first, "s")
        if refed is not None and name != "refed":
            say(f"{size}.{name}.clip_over_refed", statistics.median(wholes["refed"]) / whole, "×")
            say(f"{size}.{name}.first_second_of_refed", first / statistics.median(firsts["refed"]), "")


def _measure_fidelity(size: str, converted: dict[str, Converted]) -> None:
    """24 steps on the same codes: how near the quantised logits are to float32's."""
    if "fp32" not in converted:
        return
    logits: dict[str, np.ndarray] = {}
    random = np.random.default_rng(3)
    codes = random.integers(0, 2048, (24, 1, converted["fp32"].shape.decoder.codebooks))
    for name, each in converted.items():
        ours = Ours(each, default_threads(cores()))
        ours.decoder.begin(ours.cross, 1, 64)
        logits[name] = np.stack([ours.decoder.step(ids).copy() for ids in codes])
    exact = logits.pop("fp32")
    for name, value in logits.items():
        product = (value * exact).sum(-1) / np.linalg.norm(value, axis=-1) / np.linalg.norm(exact, axis=-1)
        say(f"{size}.{name}.cosine", float(product.mean()), "")
        greedy = [(v[:1] * 3 - v[1:] * 2).argmax(-1) for v in np.concatenate([value, exact])]
        same = np.mean([a == b for a, b in zip(greedy[:24], greedy[24:], strict=True)])
        say(f"{size}.{name}.greedy_agreement", float(same), "")


if __name__ == "__main__":
    main()
