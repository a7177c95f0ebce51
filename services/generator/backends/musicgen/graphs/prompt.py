"""The prompt's graph: T5 encoder, projection, and the keys and values that every decoder layer attends to.

Runs once per prompt. T5: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
Transformer", 2020 (encoder with relative position buckets, RMS norm, no biases, unscaled attention).

Inputs
------
``ids`` int64 ``(1, tokens)``; ``buckets`` int64 ``(tokens, tokens)``, see :func:`position_buckets`.

Outputs
-------
``states`` ``(1, tokens, width)`` of the text encoder; ``cross_k.N``, ``cross_v.N`` ``(1, heads, tokens, head width)``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.musicgen.checkpoint import Checkpoint
from services.generator.backends.musicgen.graphs.writer import GraphWriter
from services.generator.backends.musicgen.quantisation import Blocks
from services.generator.backends.musicgen.shape import TextShape


def position_buckets(tokens: int, shape: TextShape) -> NDArray[np.int64]:
    """T5's bucket of each distance ``key - query`` [shape=(tokens, tokens)]: exact when near, logarithmic when far."""
    place = np.arange(tokens)
    distance = place[None, :] - place[:, None]
    half = shape.buckets // 2
    exact = half // 2
    away = np.abs(distance)
    spread = np.log(np.maximum(away, 1).astype(np.float32) / np.float32(exact))
    far = exact + (spread / np.float32(np.log(shape.max_distance / exact)) * (half - exact)).astype(np.int64)
    bucket = np.where(away < exact, away, np.minimum(far, half - 1))
    buckets: NDArray[np.int64] = (bucket + np.where(distance > 0, half, 0)).astype(np.int64)
    return buckets


def build_prompt(
    checkpoint: Checkpoint, folder: Path, blocks: Blocks | None, advance: Callable[[], None] = lambda: None
) -> None:
    """Write ``prompt.onnx`` into ``folder``; ``advance`` is called after each layer."""
    shape = checkpoint.shape.text
    with GraphWriter(folder, "prompt") as graph:
        graph.input("ids", np.int64, (1, "tokens"))
        graph.input("buckets", np.int64, ("tokens", "tokens"))
        graph.output("states", np.float32, (1, "tokens", shape.width))
        states = _encoder(checkpoint, graph, blocks, advance)
        _cross_states(checkpoint, graph, states, blocks, advance)
        graph.save()


def _encoder(checkpoint: Checkpoint, graph: GraphWriter, blocks: Blocks | None, advance: Callable[[], None]) -> str:
    shape = checkpoint.shape.text
    root = "text_encoder."
    embedding = root + "shared.weight"
    if embedding not in checkpoint:
        embedding = root + "encoder.embed_tokens.weight"
    size = (shape.vocabulary, shape.width)
    table = graph.table("tokens", size, np.float32, checkpoint.rows(embedding, *size))
    x = graph.node("Gather", [table, "ids"])

    first = root + "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    bias_table = graph.constant("position_bias", checkpoint.tensor(first, shape.buckets, shape.heads))
    bias = graph.node("Transpose", [graph.node("Gather", [bias_table, "buckets"])], perm=[2, 0, 1])

    split = graph.constant("split", np.array([0, 0, shape.heads, shape.head_width], np.int64))
    join = graph.constant("join", np.array([0, 0, shape.heads * shape.head_width], np.int64))
    inner = shape.heads * shape.head_width
    for layer in range(shape.layers):
        place = f"{root}encoder.block.{layer}.layer."
        attention = place + "0.SelfAttention."

        def project(source: str, name: str, outputs: int, inputs: int) -> str:
            weight = checkpoint.tensor(name, outputs, inputs)
            return graph.linear(source, name, [weight], outputs, inputs, blocks=blocks)

        def heads(source: str, perm: list[int]) -> str:
            return graph.node("Transpose", [graph.node("Reshape", [source, split])], perm=perm)

        normed = _rms_norm(checkpoint, graph, x, place + "0.layer_norm.weight", shape)
        query = heads(project(normed, attention + "q.weight", inner, shape.width), [0, 2, 1, 3])
        key = heads(project(normed, attention + "k.weight", inner, shape.width), [0, 2, 3, 1])
        value = heads(project(normed, attention + "v.weight", inner, shape.width), [0, 2, 1, 3])
        scores = graph.node("Add", [graph.node("MatMul", [query, key]), bias])
        mixed = graph.node("MatMul", [graph.node("Softmax", [scores], axis=-1), value])
        mixed = graph.node("Reshape", [graph.node("Transpose", [mixed], perm=[0, 2, 1, 3]), join])
        x = graph.node("Add", [x, project(mixed, attention + "o.weight", shape.width, inner)])

        normed = _rms_norm(checkpoint, graph, x, place + "1.layer_norm.weight", shape)
        dense = place + "1.DenseReluDense."
        hidden = graph.node("Relu", [project(normed, dense + "wi.weight", shape.inner, shape.width)])
        x = graph.node("Add", [x, project(hidden, dense + "wo.weight", shape.width, shape.inner)])
        advance()
    return _rms_norm(checkpoint, graph, x, root + "encoder.final_layer_norm.weight", shape, output="states")


def _rms_norm(
    checkpoint: Checkpoint, graph: GraphWriter, x: str, name: str, shape: TextShape, *, output: str = ""
) -> str:
    weight = graph.constant(name, checkpoint.tensor(name, shape.width))
    return graph.node("SimplifiedLayerNormalization", [x, weight], output, axis=-1, epsilon=shape.epsilon)


def _cross_states(
    checkpoint: Checkpoint,
    graph: GraphWriter,
    states: str,
    blocks: Blocks | None,
    advance: Callable[[], None],
) -> None:
    width, decoder = checkpoint.shape.text.width, checkpoint.shape.decoder
    if "enc_to_dec_proj.weight" in checkpoint:
        weight = checkpoint.tensor("enc_to_dec_proj.weight", decoder.width, width)
        projected = graph.linear(states, "enc_to_dec_proj", [weight], decoder.width, width, blocks=blocks)
        bias = graph.constant("enc_to_dec_proj.bias", checkpoint.tensor("enc_to_dec_proj.bias", decoder.width))
        states = graph.node("Add", [projected, bias])
    split = graph.constant("cross_split", np.array([0, 0, decoder.heads, decoder.head_width], np.int64))
    for layer in range(decoder.layers):
        place = f"decoder.model.decoder.layers.{layer}.encoder_attn."
        for letter in "kv":
            name = f"{place}{letter}_proj.weight"
            weight = checkpoint.tensor(name, decoder.width, decoder.width)
            flat = graph.linear(states, name, [weight], decoder.width, decoder.width, blocks=blocks)
            out = graph.output(f"cross_{letter}.{layer}", np.float32, (1, decoder.heads, "tokens", decoder.head_width))
            graph.node("Transpose", [graph.node("Reshape", [flat, split])], out, perm=[0, 2, 1, 3])
        advance()
