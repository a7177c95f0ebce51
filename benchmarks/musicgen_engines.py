"""The engines that ``benchmarks/musicgen.py`` holds against one another, and the clips that they write."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.refed import Refed
from services.generator.backends.musicgen.codec_stream import CodecStream
from services.generator.backends.musicgen.conversion import Converted
from services.generator.backends.musicgen.decoder import Decoder
from services.generator.backends.musicgen.engine import Engine, Work
from services.generator.backends.musicgen.large_pages import new_memory_on_large_pages
from services.generator.backends.musicgen.runtime import Watch, open_session
from services.generator.backends.musicgen.sampling import DelayedSequence, Sampling, draw, guide
from services.generator.backends.musicgen.text import encode_prompt

clock = time.perf_counter
"""Replaced by the processor's time with ``--cpu``."""
TOKENS = [*range(3, 20), 1]
POSITION = 240
"""Where steps are measured: the middle of a clip of ten seconds."""
SAMPLING = Sampling()

Step = Callable[[np.ndarray], np.ndarray]


class Ours:
    """Our decoder, placed behind some positions."""

    def __init__(self, converted: Converted, threads: int) -> None:
        began = clock()
        with new_memory_on_large_pages():
            self.session = open_session(converted.folder / "decoder.onnx", threads)
        self.load_s = clock() - began
        self.decoder = Decoder(self.session, converted.shape.decoder)
        self.codebooks = converted.shape.decoder.codebooks
        prompt = open_session(converted.folder / "prompt.onnx", threads)
        self.cross = encode_prompt(prompt, TOKENS, converted.shape)

    def steps(self, count: int) -> float:
        """Steps a second, from ``POSITION`` on."""
        self.decoder.begin(self.cross, 1, 512)
        self.decoder.position = POSITION
        return _steps(self.decoder.step, count, self.codebooks)


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
    """The reference implementation: calls of its model, with its own cache."""

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


class Generate:
    """The reference implementation's own ``generate``, as its users call it, timed from step to step."""

    def __init__(self, like: Transformers) -> None:
        self._model = like.model

    def steps(self, count: int) -> float:
        import torch

        at: list[float] = []

        def tick(_ids: Any, scores: Any) -> Any:
            at.append(clock())
            return scores

        self._model.generate(
            torch.tensor([TOKENS]),
            decoder_input_ids=torch.full((self._model.config.decoder.num_codebooks, POSITION), 5),
            max_new_tokens=count + 3,
            do_sample=True,
            guidance_scale=SAMPLING.guidance,
            top_k=SAMPLING.top_k,
            logits_processor=[tick],
        )
        return count / (at[-1] - at[2])  # the first is reached by the prefill, and two steps are not counted


def _steps(step: Step, count: int, books: int = 4) -> float:
    """Steps a second of a decoder, guidance and drawing included; two steps are not counted."""
    random = np.random.default_rng(0)
    ids = draw(guide(step(np.full((1, books), 5)), 3.0)[0], SAMPLING, random)
    ids = draw(guide(step(ids[None]), 3.0)[0], SAMPLING, random)
    began = clock()
    for _ in range(count):
        ids = draw(guide(step(ids[None]), SAMPLING.guidance)[0], SAMPLING, random)
    return count / (clock() - began)


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
