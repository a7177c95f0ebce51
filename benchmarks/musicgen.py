"""MusicGen's speed, memory and fidelity against the loop of exported graphs and against transformers.

    python -m benchmarks.musicgen [--size small|medium] [--only memory,steps,clips,fidelity,goldens] [--blocks 5]
                                  [--folder DIR] [--cpu]

Builds a random checkpoint of the true size (speed and memory do not depend on the weights' values), converts it, and
runs the engines in turn, block by block, so that a change of the machine's load meets them all. Prints one JSON object
per figure. transformers takes part where it and torch are installed; the goldens are then made anew and compared.

A block during which other programs took more than a twentieth of the processors is measured again, up to ``--tries``
times; what they took at the most in the blocks that count is told with each figure (``others``).

``--cpu`` is for a machine that is busy with other things: one thread, and processor time instead of the wall clock.
Its ratios are lower than the wall clock's on an idle machine, where the re-fed loop waits for the memory.

Small needs 8 GB of disk and 8 GB of memory, medium four times as much.
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
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benchmarks.quiet import undisturbed
from benchmarks.refed import Refed, build_refed
from services.generator.backends.musicgen.checkpoint import Checkpoint
from services.generator.backends.musicgen.codec_stream import CodecStream
from services.generator.backends.musicgen.conversion import PRECISIONS, Converted, convert, open_converted
from services.generator.backends.musicgen.decoder import Decoder
from services.generator.backends.musicgen.engine import Engine, Work
from services.generator.backends.musicgen.large_pages import new_memory_on_large_pages
from services.generator.backends.musicgen.runtime import Watch, cores, default_threads, open_session
from services.generator.backends.musicgen.sampling import DelayedSequence, Sampling, draw, guide
from services.generator.backends.musicgen.text import encode_prompt
from tests.golden.musicgen_checkpoint import MEDIUM, SMALL, write_checkpoint

ROOT = Path(__file__).parents[1]
clock = time.perf_counter
"""Replaced by the processor's time with ``--cpu``."""
TOKENS = [*range(3, 20), 1]
POSITION = 240
"""Where steps are measured: the middle of a clip of ten seconds."""
SECONDS = 10
PARTS = ("memory", "steps", "clips", "fidelity", "goldens")
SAMPLING = Sampling()


def say(figure: str, value: float, unit: str, **more: object) -> None:
    line = {"benchmark": "musicgen", "figure": figure, "value": round(value, 4), "unit": unit}
    print(json.dumps(line | more), flush=True)


def note(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


# -- engines ----------------------------------------------------------------------------------------------------------

Step = Callable[[np.ndarray], np.ndarray]


class Ours:
    """Our decoder, placed behind some positions."""

    def __init__(self, converted: Converted, threads: int) -> None:
        began = clock()
        with new_memory_on_large_pages():
            self.session = open_session(converted.folder / "decoder.onnx", threads)
        self.load_s = clock() - began
        self.decoder = Decoder(self.session, converted.shape.decoder)
        prompt = open_session(converted.folder / "prompt.onnx", threads)
        self.cross = encode_prompt(prompt, TOKENS, converted.shape)

    def steps(self, count: int) -> float:
        """Steps a second, from ``POSITION`` on."""
        self.decoder.begin(self.cross, 1, 512)
        self.decoder.position = POSITION
        return _steps(self.decoder.step, count)


class TheRefed:
    """The yardstick."""

    def __init__(self, path: Path, like: Ours, converted: Converted, threads: int) -> None:
        began = clock()
        self.loop = Refed(open_session(path, threads), converted.shape.decoder)
        self.load_s = clock() - began
        self.cross = like.cross

    def steps(self, count: int) -> float:
        self.loop.begin(self.cross, POSITION)
        return _steps(self.loop.step, count)


class Transformers:
    """The reference implementation, with its own cache."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import MusicgenForConditionalGeneration

        began = clock()
        self._torch = torch
        if clock is time.process_time:
            torch.set_num_threads(1)
        self.model = MusicgenForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self.load_s = clock() - began

    def steps(self, count: int) -> float:
        torch, model = self._torch, self.model
        books, codes = model.config.decoder.num_codebooks, model.config.decoder.vocab_size
        with torch.no_grad():
            states = model.text_encoder(torch.tensor([TOKENS])).last_hidden_state
            given: dict[str, Any] = {
                "encoder_outputs": (torch.cat([states, torch.zeros_like(states)]),),
                "attention_mask": torch.tensor([[1] * len(TOKENS), [0] * len(TOKENS)]),
            }
            ids = torch.full((2 * books, POSITION), 5)
            past = model(decoder_input_ids=ids, use_cache=True, **given).past_key_values

            def step(drawn: np.ndarray) -> np.ndarray:
                both = torch.tensor(np.concatenate([drawn, drawn]).reshape(2 * books, 1))
                out = model(decoder_input_ids=both, past_key_values=past, use_cache=True, **given)
                logits: np.ndarray = out.logits[:, -1].numpy().reshape(2, books, codes)
                return logits

            return _steps(step, count)


def _steps(step: Step, count: int) -> float:
    """Steps a second of a decoder, guidance and drawing included; two steps are not counted."""
    random = np.random.default_rng(0)
    ids = draw(guide(step(np.full((1, 4), 5)), 3.0)[0], SAMPLING, random)
    ids = draw(guide(step(ids[None]), 3.0)[0], SAMPLING, random)
    began = clock()
    for _ in range(count):
        ids = draw(guide(step(ids[None]), SAMPLING.guidance)[0], SAMPLING, random)
    return count / (clock() - began)


# -- whole clips ------------------------------------------------------------------------------------------------------


def our_clip(engine: Engine, seconds: float, seed: int) -> tuple[float, float]:
    """Seconds until the first second of sound, and until all of it; text and sound included."""
    engine.close()  # forget the prompt
    began = clock()
    ear = engine.listen(1)
    first, made = 0.0, 0
    rate = engine.sample_rate
    for frame in engine.write(Work("calm piano", engine.frames(seconds), [seed]), Watch(lambda: False), lambda: None):
        audio = ear.add(frame, 50)
        if audio is not None:
            made += audio.shape[1]
            first = first or (clock() - began if made >= rate else 0.0)
    ear.finish()
    return first, clock() - began


def refed_clip(loop: Refed, engine: Engine, converted: Converted, threads: int, seconds: float) -> tuple[float, float]:
    """The same by the re-fed loop: text encoder and codec in float32, sound decoded when enough codes are there."""
    sessions = [open_session(converted.folder / f"{name}.onnx", threads) for name in ("prompt", "codes", "sound")]
    codec = engine.shape.codec
    random = np.random.default_rng(1)
    began = clock()
    loop.begin(encode_prompt(sessions[0], TOKENS, engine.shape))
    frames = engine.frames(seconds)
    sequence = DelayedSequence(engine.shape.decoder, np.zeros((1, 4, 0), np.int64), frames)
    codes: list[np.ndarray] = []
    first = 0.0

    def sound(part: list[np.ndarray]) -> None:
        stream = CodecStream(sessions[1], sessions[2], codec, 1)
        stream.feed(np.stack(part, axis=2))
        stream.finish()

    for position in range(1, sequence.length):
        logits = loop.step(sequence.at(position - 1))
        sequence.put(position, draw(guide(logits, 3.0)[0], SAMPLING, random)[None])
        frame = sequence.finished(position)
        if frame is not None:
            codes.append(frame)
        if len(codes) == 50 and not first:
            sound(codes)
            first = clock() - began
    sound(codes)
    return first, clock() - began


def memory_of(folder: Path, threads: int) -> None:
    """In a process of its own: peak memory of loading a model and writing a clip."""
    converted = open_converted(folder)
    assert converted is not None
    engine = Engine(converted, threads)
    our_clip(engine, SECONDS, 1)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


# -- the run ----------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("small", "medium"), default="small")
    parser.add_argument("--only", default=",".join(PARTS), help="comma-separated: which parts to measure")
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--threads", type=int, default=default_threads(cores()))
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--folder", type=Path, help="keeps checkpoint and graphs here for the next time")
    parser.add_argument("--no-transformers", action="store_true")
    parser.add_argument("--cpu", action="store_true", help="one thread, processor time: for a busy machine")
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        memory_of(arguments.memory, arguments.threads)
        return
    if arguments.cpu:
        global clock  # one clock for the whole run
        clock, arguments.threads = time.process_time, 1
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
    if not (source / "model.safetensors").exists():
        note(f"building a random checkpoint of {size}'s size in {folder}")
        write_checkpoint(source, SMALL if size == "small" else MEDIUM)
    checkpoint = Checkpoint(source)
    converted: dict[str, Converted] = {}
    for precision in arguments.precisions.split(","):
        found = open_converted(folder / precision)
        if found is None:
            began = clock()
            found = convert(checkpoint, folder / precision, precision)
            say(f"{size}.{precision}.conversion", clock() - began, "s")
        converted[precision] = found
        say(f"{size}.{precision}.on_disk", found.size / 1e6, "MB")
    refed = folder / "refed" / "refed.onnx"
    if not refed.exists():
        build_refed(checkpoint, folder / "refed")
    parts = arguments.only.split(",")
    if "memory" in parts:
        _measure_memory(size, converted, threads)
    if "steps" in parts:
        _measure_steps(arguments, source, converted, refed)
    if "clips" in parts:
        _measure_clips(arguments, converted, refed)
    if "fidelity" in parts:
        _measure_fidelity(size, converted)
    if "goldens" in parts and _has_transformers(arguments):
        done = subprocess.run([sys.executable, "-m", "tests.golden.make_musicgen", "--check"], check=False, cwd=ROOT)
        say("goldens.unchanged", float(done.returncode == 0), "")


def _has_transformers(arguments: argparse.Namespace) -> bool:
    if arguments.no_transformers:
        return False
    missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    if missing:
        note(f"left out, for {' and '.join(missing)} is not installed: the comparison with transformers")
    return not missing


def _measure_memory(size: str, converted: dict[str, Converted], threads: int) -> None:
    for precision, each in converted.items():
        command = [sys.executable, "-m", "benchmarks.musicgen", "--memory", str(each.folder), "--threads", str(threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        say(f"{size}.{precision}.peak_memory", float(done.stdout), "MB")


def _measure_steps(arguments: argparse.Namespace, source: Path, converted: dict[str, Converted], refed: Path) -> None:
    size, threads = arguments.size, arguments.threads
    engines: dict[str, tuple[Any, int]] = {}
    for precision, each in converted.items():
        engines[precision] = (Ours(each, threads), 50)
    any_converted = next(iter(converted.values()))
    ours = next(iter(engines.values()))[0]
    engines["refed"] = (TheRefed(refed, ours, any_converted, threads), 12)
    if _has_transformers(arguments):
        engines["transformers"] = (Transformers(source), 5)
    for name, (engine, _) in engines.items():
        say(f"{size}.{name}.load", engine.load_s, "s")
    speeds: dict[str, list[float]] = {name: [] for name in engines}
    others: dict[str, float] = dict.fromkeys(engines, 0.0)
    for _ in range(arguments.blocks):
        for name, (engine, count) in engines.items():
            speed, share = undisturbed(partial(engine.steps, count), arguments.tries)
            speeds[name].append(speed)
            others[name] = max(others[name], share)
    for name, values in speeds.items():
        every = [round(value, 1) for value in values]
        say(f"{size}.{name}.steps", statistics.median(values), "steps/s", all=every, others=round(others[name], 2))
    for other in ("refed", "transformers"):
        if other in speeds:
            for name in converted:
                ratios = [a / b for a, b in zip(speeds[name], speeds[other], strict=True)]
                say(f"{size}.{name}.steps_over_{other}", statistics.median(ratios), "×")


def _measure_clips(arguments: argparse.Namespace, converted: dict[str, Converted], refed: Path) -> None:
    size, threads = arguments.size, arguments.threads
    engines = {precision: Engine(each, threads) for precision, each in converted.items() if precision != "fp32"}
    exact = converted.get("fp32") or next(iter(converted.values()))
    loop = Refed(open_session(refed, threads), exact.shape.decoder)
    firsts: dict[str, list[float]] = {name: [] for name in (*engines, "refed")}
    wholes: dict[str, list[float]] = {name: [] for name in (*engines, "refed")}

    clips: dict[str, Callable[[], tuple[float, float]]] = {
        name: partial(our_clip, engine, SECONDS, 1) for name, engine in engines.items()
    }
    clips["refed"] = partial(refed_clip, loop, next(iter(engines.values())), exact, threads, SECONDS)
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
        if name != "refed":
            say(f"{size}.{name}.clip_over_refed", statistics.median(wholes["refed"]) / whole, "×")
            say(f"{size}.{name}.first_second_of_refed", first / statistics.median(firsts["refed"]), "")


def _measure_fidelity(size: str, converted: dict[str, Converted]) -> None:
    """24 steps on the same codes: how near the quantised logits are to float32's."""
    if "fp32" not in converted:
        return
    logits: dict[str, np.ndarray] = {}
    random = np.random.default_rng(3)
    codes = random.integers(0, 2048, (24, 1, 4))
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
