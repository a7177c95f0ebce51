"""The decoder's graph: one step, or one prefill, of the transformer that writes the codes.

Its keys and values stay where they are: past and present of each layer are the same buffer, into which
``GroupQueryAttention`` writes the new positions. The cross states come from the prompt's graph. Only the last
position's logits leave the graph. MusicGen: Copet et al., "Simple and Controllable Music Generation", 2023.

Inputs
------
``ids`` int64 ``(rows, codebooks, steps)``; ``positions`` int64 ``(steps,)``; ``last`` int32 ``(rows,)``, the index of
the last position after this run; ``total`` int32 ``()``, that plus one; ``past_k.N``, ``past_v.N``
``(rows, heads, room, head width)``; ``cross_k.N``, ``cross_v.N`` ``(clips, heads, tokens, head width)``: the first
rows hear the prompt, rows beyond ``clips`` are the unconditional ones.

Outputs
-------
``logits`` ``(rows, codebooks × codes)``; ``present_k.N``, ``present_v.N``, to be bound to the buffers of the past.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.musicgen.checkpoint import Checkpoint
from services.generator.backends.musicgen.graphs.writer import MICROSOFT, GraphWriter
from services.generator.backends.musicgen.quantisation import Blocks
from services.generator.backends.musicgen.shape import DecoderShape

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
        builder = _Builder(checkpoint, graph, shape, blocks)
        x = _embedding(checkpoint, graph, shape)
        for layer in range(shape.layers):
            x = builder.layer(layer, x)
            advance()
        builder.head(x)
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


class _Builder:
    """Writes the layers, which read the residual stream and add to it.

    Sums and norms are operators of their own: the fused ``SkipLayerNormalization`` takes twice their time
    (``benchmarks/results/musicgen.md``).
    """

    def __init__(self, checkpoint: Checkpoint, graph: GraphWriter, shape: DecoderShape, blocks: Blocks | None) -> None:
        self._checkpoint, self._graph, self._shape, self._blocks = checkpoint, graph, shape, blocks
        self._hearing = self._nothing = ""

    def layer(self, number: int, x: str) -> str:
        """One layer: attention to what was written, to the prompt, and the two projections between."""
        graph, shape, width = self._graph, self._shape, self._shape.width
        place = f"decoder.model.decoder.layers.{number}."
        past, cross, present = self._edges(number)
        normed = self._norm(f"{place}self_attn_layer_norm", x)
        parts = (self._weight(f"{place}self_attn.{letter}_proj", width, width) for letter in "qkv")
        packed = graph.linear(normed, f"{place}self_attn.qkv", parts, 3 * width, width, blocks=self._blocks)
        attended = graph.node(
            "GroupQueryAttention",
            [packed, "", "", *past, "last", "total"],
            [f"attended.{number}", *present],
            domain=MICROSOFT,
            num_heads=shape.heads,
            kv_num_heads=shape.heads,
            do_rotary=0,
        )
        x = graph.node("Add", [x, self._project(attended, f"{place}self_attn.out_proj", width, width)])
        normed = self._norm(f"{place}encoder_attn_layer_norm", x)
        # The unconditional rows hear no prompt: what attention to nothing adds is nothing, so it is not computed.
        wanted = graph.node("Gather", [normed, self._hearing], axis=0)
        query = self._project(wanted, f"{place}encoder_attn.q_proj", width, width)
        attended = graph.node("MultiHeadAttention", [query, *cross], domain=MICROSOFT, num_heads=shape.heads)
        heard = self._project(attended, f"{place}encoder_attn.out_proj", width, width)
        x = graph.node("Add", [x, graph.node("Concat", [heard, self._nothing], axis=0)])
        normed = self._norm(f"{place}final_layer_norm", x)
        inner = graph.node("Gelu", [self._project(normed, f"{place}fc1", shape.inner, width)], domain=MICROSOFT)
        return graph.node("Add", [x, self._project(inner, f"{place}fc2", width, shape.inner)])

    def head(self, x: str) -> None:
        """The last position's logits of all codebooks."""
        graph, shape = self._graph, self._shape
        index = graph.constant("minus_one", np.array(-1, np.int64))
        last = self._norm("decoder.model.decoder.layer_norm", graph.node("Gather", [x, index], axis=1))
        heads = (
            self._weight(f"decoder.lm_heads.{book}", shape.vocabulary, shape.width) for book in range(shape.codebooks)
        )
        outputs = shape.codebooks * shape.vocabulary
        graph.linear(last, "lm_heads", heads, outputs, shape.width, blocks=self._blocks, output="logits")

    def _edges(self, number: int) -> tuple[list[str], list[str], list[str]]:
        """The layer's buffers, its cross states, and the names under which the buffers come out."""
        graph, shape = self._graph, self._shape
        room = ("rows", shape.heads, "room", shape.head_width)
        told = ("clips", shape.heads, "tokens", shape.head_width)
        past = [graph.input(f"past_{letter}.{number}", np.float32, room) for letter in "kv"]
        cross = [graph.input(f"cross_{letter}.{number}", np.float32, told) for letter in "kv"]
        present = [graph.output(f"present_{letter}.{number}", np.float32, room) for letter in "kv"]
        if not self._hearing:
            self._part_rows(cross[0])
        return past, cross, present

    def _part_rows(self, cross: str) -> None:
        """Which rows hear the prompt, and what the others hear. ``Slice`` and ``Pad`` would take twice the time."""
        graph = self._graph
        clips = graph.node("Shape", [cross], end=1)
        first, step = (graph.constant(f"number.{number}", np.array(number, np.int64)) for number in (0, 1))
        self._hearing = graph.node("Range", [first, graph.node("Squeeze", [clips]), step])
        others = graph.node("Sub", [graph.node("Shape", ["ids"], end=1), clips])
        width = graph.constant("width", np.array([self._shape.width], np.int64))
        size = graph.node("Concat", [others, graph.node("Shape", ["ids"], start=2), width], axis=0)
        self._nothing = graph.node("ConstantOfShape", [size])

    def _norm(self, name: str, x: str) -> str:
        parts = [
            self._graph.constant(f"{name}.{part}", self._checkpoint.tensor(f"{name}.{part}", self._shape.width))
            for part in ("weight", "bias")
        ]
        return self._graph.node("LayerNormalization", [x, *parts], axis=-1, epsilon=_EPSILON)

    def _weight(self, name: str, outputs: int, inputs: int) -> NDArray[np.float32]:
        return self._checkpoint.tensor(f"{name}.weight", outputs, inputs)

    def _project(self, x: str, name: str, outputs: int, inputs: int) -> str:
        weight = self._weight(name, outputs, inputs)
        return self._graph.linear(x, name, [weight], outputs, inputs, blocks=self._blocks)
