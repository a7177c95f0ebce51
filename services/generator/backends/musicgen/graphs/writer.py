"""Writes an ONNX graph node by node, its weights beside it in one file, tensor by tensor.

The weights never lie in memory together: each is written to the data file as it is added, and the graph only points
to it (ONNX "external data"), which also lifts the 2 GB limit of a graph's own file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.musicgen.quantisation import Blocks, quantise

MICROSOFT: Final = "com.microsoft"
"""The domain of ONNX Runtime's fused operators."""
OPSET: Final = 17
_IR: Final = 9
_ALIGNMENT: Final = 4096
"""Weights begin on a page, so that they can be mapped as they lie."""
_INLINE: Final = 256
"""Tensors of fewer bytes stay in the graph itself."""


class GraphWriter:
    """A graph on its way to ``<folder>/<name>.onnx`` and ``<name>.data``; ``save`` is called once, at the end."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.onnx"
        self._location = f"{name}.data"
        self._file = (folder / self._location).open("wb")
        self._name = name
        self._nodes: list[Any] = []
        self._initialisers: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    # -- edges --------------------------------------------------------------------------------------------------------

    def input(self, name: str, dtype: type[np.generic], shape: Sequence[int | str]) -> str:
        self._inputs.append(_value_info(name, dtype, shape))
        return name

    def output(self, name: str, dtype: type[np.generic], shape: Sequence[int | str]) -> str:
        self._outputs.append(_value_info(name, dtype, shape))
        return name

    # -- weights ------------------------------------------------------------------------------------------------------

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """A weight that lies in memory."""
        return self.table(name, value.shape, value.dtype.type, [value])

    def table(self, name: str, shape: Sequence[int], dtype: type[np.generic], parts: Iterable[NDArray[Any]]) -> str:
        """A weight that comes in parts, which follow one another along its first axis."""
        from onnx import TensorProto, helper

        tensor = TensorProto()
        tensor.name = name
        tensor.data_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        tensor.dims.extend(shape)
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if size < _INLINE:
            tensor.raw_data = b"".join(np.ascontiguousarray(part, dtype).tobytes() for part in parts)
        else:
            offset = self._file.tell()
            offset += -offset % _ALIGNMENT
            self._file.seek(offset)
            for part in parts:
                self._file.write(np.ascontiguousarray(part, dtype).data)
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", self._location), ("offset", offset), ("length", size)):
                entry = tensor.external_data.add()
                entry.key, entry.value = key, str(value)
            if self._file.tell() != offset + size:
                raise AssertionError(f"{name} has other bytes than its shape says")
        self._initialisers.append(tensor)
        return name

    # -- nodes --------------------------------------------------------------------------------------------------------

    @property
    def nodes(self) -> int:
        """How many operators there are by now."""
        return self._count

    def node(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: str | Sequence[str] = "",
        *,
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Add one operator; returns the name of its (first) output."""
        from onnx import helper

        self._count += 1
        names = [outputs or f"{kind}.{self._count}"] if isinstance(outputs, str) else list(outputs)
        self._nodes.append(
            helper.make_node(kind, list(inputs), names, name=f"{kind}/{self._count}", domain=domain, **attributes)
        )
        return names[0]

    def linear(
        self,
        x: str,
        name: str,
        weights: Iterable[NDArray[np.float32]],
        outputs: int,
        inputs: int,
        *,
        blocks: Blocks | None,
        output: str = "",
    ) -> str:
        """``x @ weight.T`` for a weight of ``(outputs, inputs)`` whose parts follow one another along its outputs.

        ``blocks`` stores it quantised; the multiplication then rounds the activations to 8 bits, in blocks as well.
        """
        if blocks is None:
            whole = np.concatenate([part.T for part in weights], axis=1)
            return self.node("MatMul", [x, self.constant(f"{name}.weight", whole)], output)
        packed, scales = [], []
        for part in weights:
            values, scale = quantise(part, blocks)
            packed.append(values)
            scales.append(scale)
        count = blocks.count(inputs)
        return self.node(
            "MatMulNBits",
            [
                x,
                self.table(f"{name}.packed", (outputs, count, blocks.bytes), np.uint8, packed),
                self.table(f"{name}.scales", (outputs, count), np.float32, scales),
            ],
            output,
            domain=MICROSOFT,
            K=inputs,
            N=outputs,
            bits=blocks.bits,
            block_size=blocks.size,
            accuracy_level=4,
        )

    def save(self) -> None:
        """Write the graph, with its producer but without time or path: the same weights give the same bytes."""
        import onnx
        from onnx import helper

        self._file.flush()
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, self._initialisers)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR, producer_name="infiniloop")
        onnx.save_model(model, str(self._path))


def _value_info(name: str, dtype: type[np.generic], shape: Sequence[int | str]) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), list(shape))
