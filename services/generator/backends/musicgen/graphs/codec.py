"""EnCodec's decoder as two graphs, so that sound can be made while codes still come, exactly as in one go.

``codes.onnx`` carries the recurrent state in and out: any cut gives the same latents. ``sound.onnx`` is convolutions
only, whose reach is finite: with :func:`reach` latents of context on either side any cut gives the same samples.
EnCodec: Défossez et al., "High Fidelity Neural Audio Compression", 2022.

codes.onnx
    ``codes`` int64 ``(rows, codebooks, frames + kernel - 1)``, padded by the caller (mirrored at the ends of the music,
    neighbours elsewhere); ``h.N``, ``c.N`` ``(1, rows, width)``
    → ``latents`` ``(rows, width, frames)``; ``h_out.N``, ``c_out.N``
sound.onnx
    ``latents`` ``(rows, width, frames)`` → ``audio`` ``(rows, frames × hop)``
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.musicgen.checkpoint import Checkpoint
from services.generator.backends.musicgen.graphs.writer import GraphWriter
from services.generator.backends.musicgen.shape import CheckpointError, CodecShape

_ROOT = "audio_encoder.decoder.layers."


def reach(shape: CodecShape) -> int:
    """Latents on either side of a cut that its samples depend on, at most."""
    samples = (shape.last_kernel - 1) // 2
    for ratio in reversed(shape.ratios):
        growth = (shape.dilation_growth**layer for layer in range(shape.residual_layers))
        samples += sum((shape.residual_kernel - 1) * dilation // 2 for dilation in growth)
        samples = -(-samples // ratio) + 1
    return samples


def build_codec(checkpoint: Checkpoint, folder: Path, advance: Callable[[], None] = lambda: None) -> None:
    """Write ``codes.onnx`` and ``sound.onnx`` into ``folder``; always in float32."""
    shape = checkpoint.shape.codec
    with GraphWriter(folder, "codes") as graph:
        _codes(checkpoint, graph, shape)
        graph.save()
    advance()
    with GraphWriter(folder, "sound") as graph:
        _sound(checkpoint, graph, shape)
        graph.save()
    advance()


def _codes(checkpoint: Checkpoint, graph: GraphWriter, shape: CodecShape) -> None:
    width = shape.latent_width
    graph.input("codes", np.int64, ("rows", shape.codebooks, "padded"))
    graph.output("latents", np.float32, ("rows", width, "frames"))
    size = (shape.codebook_size, shape.width)
    tables = (
        checkpoint.tensor(f"audio_encoder.quantizer.layers.{book}.codebook.embed", *size)
        for book in range(shape.codebooks)
    )
    table = graph.table("codebooks", (shape.codebooks * shape.codebook_size, shape.width), np.float32, tables)
    offsets = np.arange(shape.codebooks, dtype=np.int64)[None, :, None] * shape.codebook_size
    vectors = graph.node("Gather", [table, graph.node("Add", ["codes", graph.constant("offsets", offsets)])])
    axis = graph.constant("axis", np.array([1], np.int64))
    summed = graph.node("ReduceSum", [vectors, axis], keepdims=0)
    x = graph.node("Transpose", [summed], perm=[0, 2, 1])
    x = graph.node("Conv", [x, *_convolution(checkpoint, graph, f"{_ROOT}0.conv")])

    sequence = x = graph.node("Transpose", [x], perm=[2, 0, 1])
    sides = graph.constant("sides", np.array([1], np.int64))
    for layer in range(shape.lstm_layers):
        state = [graph.input(f"{letter}.{layer}", np.float32, (1, "rows", width)) for letter in "hc"]
        after = [graph.output(f"{letter}_out.{layer}", np.float32, (1, "rows", width)) for letter in "hc"]
        weights = _lstm(checkpoint, graph, layer, width)
        out = graph.node("LSTM", [x, *weights, "", *state], [f"lstm.{layer}", *after], hidden_size=width)
        x = graph.node("Squeeze", [out, sides])
    graph.node("Transpose", [graph.node("Add", [x, sequence])], "latents", perm=[1, 2, 0])


def _sound(checkpoint: Checkpoint, graph: GraphWriter, shape: CodecShape) -> None:
    x = graph.input("latents", np.float32, ("rows", shape.latent_width, "frames"))
    graph.output("audio", np.float32, ("rows", "samples"))
    place = 2
    for ratio in shape.ratios:
        right = ratio // 2
        x = graph.node(
            "ConvTranspose",
            [graph.node("Elu", [x]), *_convolution(checkpoint, graph, f"{_ROOT}{place + 1}.conv")],
            strides=[ratio],
            pads=[ratio - right, right],
        )
        place += 2
        for layer in range(shape.residual_layers):
            block = f"{_ROOT}{place}."
            y = graph.node("Elu", [x])
            dilation = shape.dilation_growth**layer
            y = _same(checkpoint, graph, y, f"{block}block.1.conv", kernel=shape.residual_kernel, dilation=dilation)
            y = graph.node("Elu", [y])
            y = _same(checkpoint, graph, y, f"{block}block.3.conv", kernel=1)
            kept = _same(checkpoint, graph, x, f"{block}shortcut.conv", kernel=1) if shape.shortcut else x
            x = graph.node("Add", [kept, y])
            place += 1
    x = _same(checkpoint, graph, graph.node("Elu", [x]), f"{_ROOT}{place + 1}.conv", kernel=shape.last_kernel)
    graph.node("Squeeze", [x, graph.constant("mono", np.array([1], np.int64))], "audio")


def _same(checkpoint: Checkpoint, graph: GraphWriter, x: str, name: str, *, kernel: int, dilation: int = 1) -> str:
    """A convolution that keeps the length, mirrored at the ends."""
    total = (kernel - 1) * dilation
    if total:
        pads = graph.constant(f"{name}.pads", np.array([0, 0, total - total // 2, 0, 0, total // 2], np.int64))
        x = graph.node("Pad", [x, pads], mode="reflect")
    return graph.node("Conv", [x, *_convolution(checkpoint, graph, name)], dilations=[dilation])


def _convolution(checkpoint: Checkpoint, graph: GraphWriter, name: str) -> list[str]:
    """Weight and bias of a convolution; the weight's norm is stored apart, under one of two spellings."""
    for gain, direction in (
        (f"{name}.weight_g", f"{name}.weight_v"),
        (f"{name}.parametrizations.weight.original0", f"{name}.parametrizations.weight.original1"),
    ):
        if direction in checkpoint:
            v = checkpoint.tensor(direction)
            norm = np.sqrt(np.sum(v * v, axis=(1, 2), keepdims=True))
            weight = checkpoint.tensor(gain, v.shape[0], 1, 1) / norm * v
            break
    else:
        if f"{name}.weight" not in checkpoint:
            raise CheckpointError(f"The model's codec has no weight {name}: download the model again.")
        weight = checkpoint.tensor(f"{name}.weight")
    bias = graph.constant(f"{name}.bias", checkpoint.tensor(f"{name}.bias"))
    return [graph.constant(f"{name}.weight", weight), bias]


def _lstm(checkpoint: Checkpoint, graph: GraphWriter, layer: int, width: int) -> list[str]:
    """Weights of one LSTM layer, its gates in ONNX's order (input, output, forget, cell) and not torch's."""
    place = f"{_ROOT}1.lstm."

    def gates(name: str, *inner: int) -> NDArray[np.float32]:
        value = checkpoint.tensor(f"{place}{name}_l{layer}", 4 * width, *inner)
        enter, forget, cell, leave = np.split(value, 4)
        return np.concatenate([enter, leave, forget, cell])[None]

    bias = np.concatenate([gates("bias_ih"), gates("bias_hh")], axis=1)
    return [
        graph.constant(f"lstm.{layer}.input", gates("weight_ih", width)),
        graph.constant(f"lstm.{layer}.recurrence", gates("weight_hh", width)),
        graph.constant(f"lstm.{layer}.bias", bias),
    ]
