"""Keys and values in 8 bits: measures how large they grow, and keeps the result only if the logits hold.

The decoder's buffers are what a step reads most of, after the weights. In 8 bits they take a quarter of the memory and
less than half of the time (``benchmarks/results/musicgen.md``). Each channel of each head has one scale, found by
letting the model write a few seconds. Then it writes once more, and reads the same codes again from 8-bit buffers:
where the logits differ by more than :data:`LEAST_COSINE` allows, the buffers stay in float32.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.musicgen.checkpoint import TOKENIZER
from services.generator.backends.musicgen.decoder import Decoder
from services.generator.backends.musicgen.graphs.writer import MICROSOFT
from services.generator.backends.musicgen.runtime import cores, default_threads, of_runtime, open_session
from services.generator.backends.musicgen.sampling import DelayedSequence, Logits, Sampling, draw, guide
from services.generator.backends.musicgen.shape import Shape
from services.generator.backends.musicgen.text import CrossStates, encode_prompt, open_tokenizer, tokens
from shared.errors import BackendError, Cancelled

log = logging.getLogger(__name__)

LEAST_COSINE: Final = 0.9995
"""Mean over all rows and codebooks; the weights' own quantisation costs about as much."""
PROMPTS: Final = ("calm lo-fi with warm piano and soft drums", "fast loud rock with distorted guitars", "ambient drone")
_FRAMES: Final = 48
_MARGIN: Final = 1.25
"""Room above the largest value seen: other music, later positions."""

Scales = list[tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Per layer those of the keys and of the values, ``(heads × head width,)``."""


def shrink_buffers(folder: Path, shape: Shape, report: Callable[[float], None] = lambda _fraction: None) -> bool:
    """Turn a new conversion's ``decoder.onnx`` to 8-bit buffers, if its logits hold; says whether they did.

    ``report`` is called with the fraction done (0–1) at every step; what it raises ends the work.
    """
    threads = default_threads(cores())
    done, steps = 0, (len(PROMPTS) + 2) * (_FRAMES + max(shape.decoder.delays))

    def check() -> None:
        nonlocal done
        done += 1
        report(min(1.0, done / steps))

    prompt = open_session(folder / "prompt.onnx", threads)
    tokenizer = open_tokenizer(folder / TOKENIZER)
    crosses = [encode_prompt(prompt, tokens(tokenizer, text, shape), shape) for text in PROMPTS]
    del prompt
    exact = Decoder(open_session(folder / "decoder.onnx", threads), shape.decoder)
    largest = [(np.zeros(1, np.float32), np.zeros(1, np.float32))] * shape.decoder.layers
    for seed, cross in enumerate(crosses):
        _write(exact, shape, cross, seed, check)
        seen = [(_largest(keys), _largest(values)) for keys, values in exact.buffers()]
        largest = [(np.maximum(a, c), np.maximum(b, d)) for (a, b), (c, d) in zip(largest, seen, strict=True)]
    codes, wanted = _write(exact, shape, crosses[0], len(crosses), check)
    del exact  # two decoders at once would be the most memory that a conversion takes
    graph = (folder / "decoder.onnx").read_bytes()
    _rewrite(folder / "decoder.onnx", [(_scale(keys), _scale(values)) for keys, values in largest])
    try:
        small = Decoder(open_session(folder / "decoder.onnx", threads), shape.decoder)
        if _likeness(small, crosses[0], codes, wanted, check) >= LEAST_COSINE:
            return True
    except Exception as error:
        if isinstance(error, Cancelled) or not (isinstance(error, BackendError) or of_runtime(error)):
            raise
        log.info("This ONNX Runtime knows no 8-bit buffers: they stay in float32.", exc_info=True)
    (folder / "decoder.onnx").write_bytes(graph)
    return False


def _write(
    decoder: Decoder, shape: Shape, cross: CrossStates, seed: int, check: Callable[[], None]
) -> tuple[DelayedSequence, list[Logits]]:
    """Let the model write as it will; what it wrote, and the logits of each step."""
    sequence = DelayedSequence(shape.decoder, np.zeros((1, shape.decoder.codebooks, 0), np.int64), _FRAMES)
    random, sampling = np.random.default_rng(seed), Sampling()
    decoder.begin(cross, 1, sequence.length)
    said = []
    for position in range(1, sequence.length):
        check()
        said.append(decoder.step(sequence.at(position - 1)).copy())
        sequence.put(position, draw(guide(said[-1], sampling.guidance)[0], sampling, random)[None])
    return sequence, said


def _likeness(
    decoder: Decoder, cross: CrossStates, codes: DelayedSequence, wanted: list[Logits], check: Callable[[], None]
) -> float:
    """Mean cosine to the wanted logits over the same codes."""
    decoder.begin(cross, 1, codes.length)
    cosines = []
    for position, exact in enumerate(wanted):
        check()
        got = decoder.step(codes.at(position))
        norms = np.linalg.norm(exact, axis=-1) * np.linalg.norm(got, axis=-1)
        cosines.append(np.mean((exact * got).sum(axis=-1) / np.maximum(norms, 1e-9)))
    return float(np.mean(cosines))


def _largest(buffer: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest magnitude of each channel of a buffer ``(rows, heads, positions, head width)``."""
    largest: NDArray[np.float32] = np.abs(buffer).max(axis=(0, 2)).reshape(-1)
    return largest


def _scale(largest: NDArray[np.float32]) -> NDArray[np.float32]:
    scale: NDArray[np.float32] = np.maximum(largest, 1e-6) * np.float32(_MARGIN / 127)
    return scale


def _rewrite(path: Path, scales: Scales) -> None:
    """Give every attention of a decoder's graph 8-bit buffers with these scales; the weights stay where they are."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(path), load_external_data=False)
    attentions = [node for node in model.graph.node if node.op_type == "GroupQueryAttention"]
    for layer, (node, (keys, values)) in enumerate(zip(attentions, scales, strict=True)):
        assert node.domain == MICROSOFT
        names = [f"key_scale.{layer}", f"value_scale.{layer}"]
        node.input.extend([""] * (12 - len(node.input)) + names)
        node.attribute.extend(
            [
                helper.make_attribute("kv_cache_bit_width", 8),
                helper.make_attribute("k_quant_type", "PER_CHANNEL"),
                helper.make_attribute("v_quant_type", "PER_CHANNEL"),
            ]
        )
        tensors: list[Any] = [
            numpy_helper.from_array(each, name) for each, name in zip((keys, values), names, strict=True)
        ]
        model.graph.initializer.extend(tensors)
    for edge in (*model.graph.input, *model.graph.output):
        if edge.name.startswith(("past_", "present_")):
            edge.type.tensor_type.elem_type = TensorProto.INT8
    onnx.save_model(model, str(path))
