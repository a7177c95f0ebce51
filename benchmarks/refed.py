"""The loop that programs run on exported MusicGen graphs: every step takes all keys and values in and gives them out.

The graph is what an exporter writes: separate projections, plain attention operators, keys and values lengthened by
``Concat``. It is the yardstick of ``benchmarks/musicgen.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.musicgen.checkpoint import Checkpoint
from services.generator.backends.musicgen.graphs.decoder import sinusoids
from services.generator.backends.musicgen.graphs.writer import GraphWriter
from services.generator.backends.musicgen.shape import DecoderShape
from services.generator.backends.musicgen.text import CrossStates


def build_refed(checkpoint: Checkpoint, folder: Path) -> Path:
    """Write ``refed.onnx`` into ``folder``, in float32."""
    shape = checkpoint.shape.decoder
    folder.mkdir(parents=True, exist_ok=True)
    with GraphWriter(folder, "refed") as graph:
        _write(checkpoint, graph, shape)
        graph.save()
    return folder / "refed.onnx"


def _write(checkpoint: Checkpoint, graph: GraphWriter, shape: DecoderShape) -> None:
    width, heads, head_width = shape.width, shape.heads, shape.head_width
    graph.input("ids", np.int64, ("rows", shape.codebooks, 1))
    graph.input("positions", np.int64, (1,))
    graph.output("logits", np.float32, ("rows", 1, shape.codebooks * shape.vocabulary))
    split = graph.constant("split", np.array([0, 0, heads, head_width], np.int64))
    join = graph.constant("join", np.array([0, 0, width], np.int64))
    scale = graph.constant("scale", np.array(head_width**-0.5, np.float32))

    def weight(name: str, outputs: int, inputs: int) -> NDArray[np.float32]:
        return checkpoint.tensor(f"{name}.weight", outputs, inputs)

    def project(x: str, name: str, outputs: int = width, inputs: int = width) -> str:
        return graph.linear(x, name, [weight(name, outputs, inputs)], outputs, inputs, blocks=None)

    def norm(x: str, name: str) -> str:
        parts = [graph.constant(f"{name}.{part}", checkpoint.tensor(f"{name}.{part}")) for part in ("weight", "bias")]
        return graph.node("LayerNormalization", [x, *parts], axis=-1, epsilon=1e-5)

    def parted(x: str) -> str:
        return graph.node("Transpose", [graph.node("Reshape", [x, split])], perm=[0, 2, 1, 3])

    def attend(query: str, key: str, value: str) -> str:
        turned = graph.node("Transpose", [key], perm=[0, 1, 3, 2])
        scores = graph.node("Softmax", [graph.node("MatMul", [query, turned])], axis=-1)
        mixed = graph.node("Transpose", [graph.node("MatMul", [scores, value])], perm=[0, 2, 1, 3])
        return graph.node("Reshape", [mixed, join])

    def queries(x: str, name: str) -> str:
        return parted(graph.node("Mul", [project(x, name), scale]))

    x = _embedding(checkpoint, graph, shape)
    for layer in range(shape.layers):
        place = f"decoder.model.decoder.layers.{layer}."
        normed = norm(x, f"{place}self_attn_layer_norm")
        lengthened = []
        for letter in "kv":
            past = graph.input(f"past_{letter}.{layer}", np.float32, ("rows", heads, "past", head_width))
            present = graph.output(f"present_{letter}.{layer}", np.float32, ("rows", heads, "now", head_width))
            new = parted(project(normed, f"{place}self_attn.{letter}_proj"))
            lengthened.append(graph.node("Concat", [past, new], present, axis=2))
        mixed = attend(queries(normed, f"{place}self_attn.q_proj"), *lengthened)
        x = graph.node("Add", [x, project(mixed, f"{place}self_attn.out_proj")])
        normed = norm(x, f"{place}encoder_attn_layer_norm")
        cross = []
        for letter in "kv":
            given = graph.input(f"cross_{letter}.{layer}", np.float32, ("rows", heads, "tokens", head_width))
            cross.append(given)
        mixed = attend(queries(normed, f"{place}encoder_attn.q_proj"), *cross)
        x = graph.node("Add", [x, project(mixed, f"{place}encoder_attn.out_proj")])
        normed = norm(x, f"{place}final_layer_norm")
        hidden = project(normed, f"{place}fc1", shape.inner, width)
        ratio = graph.node("Div", [hidden, _scalar(graph, "root_two", 2**0.5)])
        bent = graph.node("Add", [graph.node("Erf", [ratio]), _scalar(graph, "one", 1.0)])
        gelu = graph.node("Mul", [graph.node("Mul", [hidden, bent]), _scalar(graph, "half", 0.5)])
        x = graph.node("Add", [x, project(gelu, f"{place}fc2", width, shape.inner)])
    x = norm(x, "decoder.model.decoder.layer_norm")
    heads_of = (weight(f"decoder.lm_heads.{book}", shape.vocabulary, width) for book in range(shape.codebooks))
    outputs = shape.codebooks * shape.vocabulary
    graph.linear(x, "lm_heads", heads_of, outputs, width, blocks=None, output="logits")


def _embedding(checkpoint: Checkpoint, graph: GraphWriter, shape: DecoderShape) -> str:
    codes = shape.vocabulary + 1
    names = [f"decoder.model.decoder.embed_tokens.{book}.weight" for book in range(shape.codebooks)]
    tables = (checkpoint.tensor(name, codes, shape.width) for name in names)
    table = graph.table("codes", (shape.codebooks * codes, shape.width), np.float32, tables)
    offsets = graph.constant("offsets", np.arange(shape.codebooks, dtype=np.int64)[None, :, None] * codes)
    vectors = graph.node("Gather", [table, graph.node("Add", ["ids", offsets])])
    x = graph.node("ReduceSum", [vectors, graph.constant("axis", np.array([1], np.int64))], keepdims=0)
    places = graph.constant("places", sinusoids(shape.positions, shape.width))
    return graph.node("Add", [x, graph.node("Gather", [places, "positions"])])


def _scalar(graph: GraphWriter, name: str, value: float) -> str:
    """A constant of its own for every use: exporters do not share them either."""
    return graph.node("Identity", [graph.constant(f"{name}.{graph.nodes}", np.array(value, np.float32))])


class Refed:
    """Steps like ``sessions.Decoder``, two rows, one clip."""

    def __init__(self, session: Any, shape: DecoderShape) -> None:
        self._session, self._shape = session, shape
        self._names = ["logits", *(f"present_{part}.{layer}" for layer in range(shape.layers) for part in "kv")]
        self._state: dict[str, Any] = {}
        self._cross: dict[str, Any] = {}
        self.position = 0

    def begin(self, cross: CrossStates, position: int = 0) -> None:
        """Start afresh, or behind so many positions of noise."""
        import onnxruntime as ort

        value = ort.OrtValue.ortvalue_from_numpy
        random = np.random.default_rng(0)
        shape = self._shape
        past = random.standard_normal((2, shape.heads, position, shape.head_width)).astype(np.float32)
        self._cross = {
            f"cross_{letter}.{layer}": value(np.concatenate([each, np.zeros_like(each)]))
            for letter, layers in (("k", cross.keys), ("v", cross.values))
            for layer, each in enumerate(layers)
        }
        self._state = {f"past_{part}.{layer}": value(past) for layer in range(shape.layers) for part in "kv"}
        self.position = position

    def step(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Codes ``(1, codebooks)`` in, logits ``(2, codebooks, codes)`` out."""
        import onnxruntime as ort

        value = ort.OrtValue.ortvalue_from_numpy
        both = np.concatenate([ids, ids])[:, :, None]
        feeds = {"ids": value(both), "positions": value(np.array([self.position])), **self._state, **self._cross}
        logits, *presents = self._session.run_with_ort_values(self._names, feeds)
        self._state = dict(zip(self._state, presents, strict=True))
        self.position += 1
        flat: NDArray[np.float32] = logits.numpy()
        return flat.reshape(2, self._shape.codebooks, self._shape.vocabulary)
