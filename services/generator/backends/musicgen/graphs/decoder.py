"""The decoder's graph: one step, or one prefill, of the transformer that writes the codes.

Its keys and values stay where they are: past and present of each layer are the same buffer, into which
``GroupQueryAttention`` writes the new positions. The cross states come from the prompt's graph. Only the last
position's logits leave the graph. MusicGen: Copet et al., "Simple and Controllable Music Generation", 2023.

Inputs
------
``ids`` int64 ``(rows, codebooks, steps)``; ``positions`` int64 ``(steps,)``; ``last`` int32 ``(rows,)``, the index of
the last position after this run; ``total`` int32 ``()``, that plus one; ``past_k.N``, ``past_v.N``
``(rows, heads, room, head width)``; ``cross_k.N``, ``cross_v.N`` ``(rows, heads, tokens, head width)``.

Outputs
-------
``logits`` ``(rows, codebooks × codes)``; ``present_k.N``, ``present_v.N``, to be bound to the buffers of the past.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.musicgen.checkpoint import Checkpoint, DecoderShape
from services.generator.backends.musicgen.graphs.writer import MICROSOFT, GraphWriter
from services.generator.backends.musicgen.quantisation import Blocks

_EPSILON = 1e-5


def sinusoids(positions: int, width: int) -> NDArray[np.float32]:
    """The position table [shape=(positions, width)]: cosines, then sines."""
    half = width // 2
    rates = np.exp(np.arange(half, dtype=np.float32) * np.float32(-np.log(10_000) / (half - 1)))
    angles = np.arange(positions, dtype=np.float32)[:, None] * rates[None, :]
    table = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    return np.pad(table, ((0, 0), (0, width - 2 * half))).astype(np.float32)


def build_decoder(
    checkpoint: Checkpoint, folder: Path, blocks: Blocks | None, advance: Callable[[], None] = lambda: None
) -> None:
    """Write ``decoder.onnx`` into ``folder``; ``advance`` is called after each layer."""
    shape = checkpoint.shape.decoder
    with GraphWriter(folder, "decoder") as graph:
        graph.input("ids", np.int64, ("rows", shape.codebooks, "steps"))
        graph.input("positions", np.int64, ("steps",))
        graph.input("last", np.int32, ("rows",))
        graph.input("total", np.int32, ())
        graph.output("logits", np.float32, ("rows", shape.codebooks * shape.vocabulary))
        x = _embedding(checkpoint, graph, shape)
        for layer in range(shape.layers):
            x = _layer(checkpoint, graph, x, layer, shape=shape, blocks=blocks)
            advance()
        last = graph.node("Gather", [x, graph.constant("minus_one", np.array(-1, np.int64))], axis=1)
        last = _layer_norm(checkpoint, graph, last, "decoder.model.decoder.layer_norm", shape)
        heads = (
            checkpoint.tensor(f"decoder.lm_heads.{book}.weight", shape.vocabulary, shape.width)
            for book in range(shape.codebooks)
        )
        outputs = shape.codebooks * shape.vocabulary
        graph.linear(last, "lm_heads", heads, outputs, shape.width, blocks=blocks, output="logits")
        graph.save()


def _embedding(checkpoint: Checkpoint, graph: GraphWriter, shape: DecoderShape) -> str:
    """The codebooks' vectors, gathered from one table and summed, and the position's."""
    codes = shape.vocabulary + 1
    tables = (
        checkpoint.tensor(f"decoder.model.decoder.embed_tokens.{book}.weight", codes, shape.width)
        * np.float32(shape.embedding_scale)
        for book in range(shape.codebooks)
    )
    table = graph.table("codes", (shape.codebooks * codes, shape.width), np.float32, tables)
    offsets = graph.constant("offsets", np.arange(shape.codebooks, dtype=np.int64)[None, :, None] * codes)
    vectors = graph.node("Gather", [table, graph.node("Add", ["ids", offsets])])
    axis = graph.constant("axis", np.array([1], np.int64))
    summed = graph.node("ReduceSum", [vectors, axis], keepdims=0)
    places = graph.constant("places", sinusoids(shape.positions, shape.width))
    return graph.node("Add", [summed, graph.node("Gather", [places, "positions"])])


def _layer(
    checkpoint: Checkpoint, graph: GraphWriter, x: str, layer: int, *, shape: DecoderShape, blocks: Blocks | None
) -> str:
    place = f"decoder.model.decoder.layers.{layer}."
    width = shape.width

    def weight(name: str, outputs: int = width, inputs: int = width) -> NDArray[np.float32]:
        return checkpoint.tensor(f"{place}{name}.weight", outputs, inputs)

    def project(source: str, name: str, outputs: int = width, inputs: int = width) -> str:
        return graph.linear(source, place + name, [weight(name, outputs, inputs)], outputs, inputs, blocks=blocks)

    buffers = [
        graph.input(f"past_{letter}.{layer}", np.float32, ("rows", shape.heads, "room", shape.head_width))
        for letter in "kv"
    ]
    cross = [
        graph.input(f"cross_{letter}.{layer}", np.float32, ("rows", shape.heads, "tokens", shape.head_width))
        for letter in "kv"
    ]
    presents = [
        graph.output(f"present_{letter}.{layer}", np.float32, ("rows", shape.heads, "room", shape.head_width))
        for letter in "kv"
    ]
    normed = _layer_norm(checkpoint, graph, x, place + "self_attn_layer_norm", shape)
    packed = graph.linear(
        normed,
        place + "self_attn.qkv",
        (weight(f"self_attn.{letter}_proj") for letter in "qkv"),
        3 * width,
        width,
        blocks=blocks,
    )
    attended = graph.node(
        "GroupQueryAttention",
        [packed, "", "", *buffers, "last", "total"],
        [f"attended.{layer}", *presents],
        domain=MICROSOFT,
        num_heads=shape.heads,
        kv_num_heads=shape.heads,
        do_rotary=0,
    )
    x = graph.node("Add", [x, project(attended, "self_attn.out_proj")])

    normed = _layer_norm(checkpoint, graph, x, place + "encoder_attn_layer_norm", shape)
    query = project(normed, "encoder_attn.q_proj")
    attended = graph.node("MultiHeadAttention", [query, *cross], domain=MICROSOFT, num_heads=shape.heads)
    x = graph.node("Add", [x, project(attended, "encoder_attn.out_proj")])

    normed = _layer_norm(checkpoint, graph, x, place + "final_layer_norm", shape)
    hidden = graph.node("Gelu", [project(normed, "fc1", shape.inner, width)], domain=MICROSOFT)
    return graph.node("Add", [x, project(hidden, "fc2", width, shape.inner)])


def _layer_norm(checkpoint: Checkpoint, graph: GraphWriter, x: str, name: str, shape: DecoderShape) -> str:
    gain, shift = (
        graph.constant(f"{name}.{part}", checkpoint.tensor(f"{name}.{part}", shape.width))
        for part in ("weight", "bias")
    )
    return graph.node("LayerNormalization", [x, gain, shift], axis=-1, epsilon=_EPSILON)
