"""The decoder's session with the buffers of its keys and values, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.musicgen.runtime import Device
from services.generator.backends.musicgen.sampling import Codes, Logits
from services.generator.backends.musicgen.shape import DecoderShape
from services.generator.backends.musicgen.text import CrossStates

_ROOM: Final = 64
"""Buffers grow in steps of this many positions."""


class Decoder:
    """The decoder's session with its buffers. ``begin`` a sequence, ``prefill`` what is known, then ``step``."""

    def __init__(self, session: Any, shape: DecoderShape, device: Device = "cpu") -> None:
        self._session = session
        self._shape = shape
        self._device = device
        self._caches: dict[str, Any] = {}
        self._bits = _buffer_type(session)
        self._room = self._rows = 0
        self.position = 0

    def begin(self, cross: CrossStates, clips: int, room: int, *, guided: bool = True) -> None:
        """Make ready for ``clips`` sequences of at most ``room`` positions, all of one prompt.

        ``guided`` adds as many unconditional rows, which hear no prompt.
        """
        rows = 2 * clips if guided else clips
        room += -room % _ROOM
        if (rows, room) != (self._rows, self._room):
            self._allocate(rows, room)
        self.position = 0
        self._cross = {}
        for letter, layers in (("k", cross.keys), ("v", cross.values)):
            for layer, value in enumerate(layers):
                self._cross[f"cross_{letter}.{layer}"] = self._place(np.repeat(value, clips, axis=0))
        self._step = self._binding(1)

    def prefill(self, ids: Codes, options: Any = None) -> Logits:
        """Run all positions of a beginning at once.

        Parameters
        ----------
        ids : [shape=(clips, codebooks, n)]

        Returns
        -------
        logits : of the last position [shape=(rows, codebooks, codes)]
        """
        if ids.shape[2] == 1:
            return self.step(ids[:, :, 0], options)
        return self._run(self._binding(ids.shape[2]), ids, options)

    def step(self, ids: NDArray[np.int64], options: Any = None) -> Logits:
        """Run one position: codes ``(clips, codebooks)`` in, logits ``(rows, codebooks, codes)`` out.

        The logits lie in a buffer that the next step overwrites.
        """
        return self._run(self._step, ids[:, :, None], options)

    def buffers(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Per layer the keys and values written so far ``(rows, heads, positions, head width)``."""
        return [
            (
                self._caches[f"k.{layer}"].numpy()[:, :, : self.position],
                self._caches[f"v.{layer}"].numpy()[:, :, : self.position],
            )
            for layer in range(self._shape.layers)
        ]

    def release(self) -> None:
        """Give the buffers back; the weights stay."""
        self._caches, self._cross = {}, {}
        self._rows = self._room = 0

    def _allocate(self, rows: int, room: int) -> None:
        import onnxruntime as ort

        self.release()
        size = (rows, self._shape.heads, room, self._shape.head_width)
        for letter in "kv":
            for layer in range(self._shape.layers):
                self._caches[f"{letter}.{layer}"] = ort.OrtValue.ortvalue_from_shape_and_type(
                    size, self._bits, self._device, 0
                )
        self._rows, self._room = rows, room

    def _place(self, array: NDArray[Any]) -> Any:
        import onnxruntime as ort

        return ort.OrtValue.ortvalue_from_numpy(array, self._device, 0)

    def _binding(self, steps: int) -> _Binding:
        rows, shape = self._rows, self._shape
        binding = self._session.io_binding()
        for name, value in self._cross.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in self._caches.items():
            binding.bind_ortvalue_input(f"past_{name}", value)
            binding.bind_ortvalue_output(f"present_{name}", value)
        bound = _Binding(
            binding,
            ids=np.zeros((rows, shape.codebooks, steps), np.int64),
            positions=np.zeros(steps, np.int64),
            last=np.zeros(rows, np.int32),
            total=np.zeros((), np.int32),
            logits=np.zeros((rows, shape.codebooks * shape.vocabulary), np.float32),
        )
        logits = bound.logits
        binding.bind_output("logits", "cpu", 0, np.float32, logits.shape, logits.ctypes.data)
        bound.feed()
        return bound

    def _run(self, bound: _Binding, ids: Codes, options: Any) -> Logits:
        steps = ids.shape[2]
        end = self.position + steps
        if end > self._room:
            raise AssertionError(f"position {end} lies outside the buffers of {self._room}")
        clips = len(ids)
        bound.ids[:clips] = ids
        bound.ids[clips:] = ids[: self._rows - clips]
        bound.positions[:] = np.arange(self.position, end)
        bound.last[:] = end - 1
        bound.total[...] = end
        if self._device != "cpu":
            bound.feed()
        self._session.run_with_iobinding(bound.binding, options)
        self.position = end
        return bound.logits.reshape(self._rows, self._shape.codebooks, self._shape.vocabulary)


def _buffer_type(session: Any) -> type[np.generic]:
    """What the graph keeps its keys and values in."""
    kinds = {each.name: each.type for each in session.get_inputs()}
    return np.int8 if kinds["past_k.0"] == "tensor(int8)" else np.float32


@dataclass
class _Binding:
    """A session's binding and the arrays it points to."""

    binding: Any
    ids: Codes
    positions: NDArray[np.int64]
    last: NDArray[np.int32]
    total: NDArray[np.int32]
    logits: Logits

    def feed(self) -> None:
        """Bind the arrays; on the processor once is enough, for they are read where they lie."""
        for name in ("ids", "positions", "last", "total"):
            array = getattr(self, name)
            self.binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
