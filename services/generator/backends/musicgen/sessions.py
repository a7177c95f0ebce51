"""The model's graphs at run time: prompt, decoder with its buffers, and the codec as a stream.

One thread uses them at a time. Runs that take longer than a step can be broken off: see :class:`Watch`.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.musicgen.checkpoint import CheckpointError, CodecShape, DecoderShape, Shape
from services.generator.backends.musicgen.graphs.codec import reach
from services.generator.backends.musicgen.graphs.prompt import position_buckets
from services.generator.backends.musicgen.sampling import Codes, Logits
from shared.errors import BackendError, BackendUnavailable, Cancelled

Device = Literal["cpu", "cuda"]
_POLL_S: Final = 0.02
_TOKENS: Final = 256
"""Tokens of a prompt that are heard; the models were trained on far fewer."""
_ROOM: Final = 64
"""Buffers grow in steps of this many positions."""


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_threads(available: int) -> int:
    """Threads for generation: eight use up the memory's bandwidth; from three cores on, one is left free."""
    return available if available <= 2 else min(8, available - 1)


def open_session(path: Path, threads: int, device: Device = "cpu") -> Any:
    """An ONNX Runtime session for one graph.

    Raises
    ------
    BackendUnavailable
        The device is not there.
    BackendError
        The graph cannot be loaded.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Workers spin while a graph runs, for its operators are short, and sleep in between: the cores are not ours alone.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    providers = ["CPUExecutionProvider"]
    if device == "cuda":
        if "CUDAExecutionProvider" not in ort.get_available_providers():
            raise BackendUnavailable(
                "ONNX Runtime has no CUDA here: `pip install 'infiniloop[musicgen-cuda]'`, or set device to cpu."
            )
        providers.insert(0, "CUDAExecutionProvider")
    try:
        return ort.InferenceSession(str(path), options, providers=providers)
    except MemoryError as error:
        raise BackendError(f"Not enough memory to load {path.parent.name}: choose a smaller model.") from error
    except Exception as error:
        raise BackendError(
            f"The converted model {path.parent.name} cannot be loaded ({_first_line(error)}): delete it with "
            "`infiniloop models delete` and it is made anew."
        ) from error


class Watch:
    """Breaks off a long run within 20 ms of being asked to: onnxruntime looks at its options between operators."""

    def __init__(self, cancelled: Callable[[], bool]) -> None:
        self._cancelled = cancelled

    @contextlib.contextmanager
    def options(self) -> Iterator[Any]:
        """Run options that end the run when the job is called back; raises ``Cancelled`` then."""
        import onnxruntime as ort

        options = ort.RunOptions()
        done = threading.Event()

        def look() -> None:
            while not done.wait(_POLL_S):
                if self._cancelled():
                    options.terminate = True
                    return

        thread = threading.Thread(target=look, name="musicgen-watch", daemon=True)
        thread.start()
        try:
            yield options
        except Exception as error:
            if self._cancelled():
                raise Cancelled("The job was called back.") from error
            raise
        finally:
            done.set()
            thread.join()


# -- prompt -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CrossStates:
    """What the decoder attends to: per layer keys and values ``(1, heads, tokens, head width)``."""

    keys: tuple[NDArray[np.float32], ...]
    values: tuple[NDArray[np.float32], ...]
    states: NDArray[np.float32]
    """The text encoder's output ``(1, tokens, width)``."""


def encode_prompt(session: Any, ids: list[int], shape: Shape, options: Any = None) -> CrossStates:
    """Run the prompt's graph on token numbers."""
    layers = shape.decoder.layers
    names = ["states", *(f"cross_{letter}.{layer}" for letter in "kv" for layer in range(layers))]
    feed = {"ids": np.array([ids], np.int64), "buckets": position_buckets(len(ids), shape.text)}
    states, *cross = session.run(names, feed, options)
    return CrossStates(tuple(cross[:layers]), tuple(cross[layers:]), states)


# -- decoder ----------------------------------------------------------------------------------------------------------


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


# -- codec ------------------------------------------------------------------------------------------------------------


class CodecStream:
    """Turns codes into sound while they come; any cut gives the samples of one whole decoding.

    Frames come out late by the first convolution's half kernel and the reach of the rest, in all five frames (0.1 s)
    for the official models; ``finish`` gives the rest. ``skip`` frames at the beginning are heard by the codec and give
    no sound: what goes before a continuation.
    """

    def __init__(self, codes: Any, sound: Any, shape: CodecShape, rows: int, skip: int = 0) -> None:
        self._codes_session, self._sound_session = codes, sound
        self._shape = shape
        self._ahead = (shape.kernel - 1) // 2
        self._reach = reach(shape)
        self._codes: Codes = np.zeros((rows, shape.codebooks, 0), np.int64)
        self._latents: NDArray[np.float32] = np.zeros((rows, shape.latent_width, 0), np.float32)
        self._first_latent = 0
        self._made = 0
        self._emitted = skip
        self._state = {
            f"{letter}.{layer}": np.zeros((1, rows, shape.latent_width), np.float32)
            for letter in "hc"
            for layer in range(shape.lstm_layers)
        }

    @property
    def ready(self) -> int:
        """Frames that ``take`` would give now; negative while more must be fed first."""
        return int(self._codes.shape[2]) - self._ahead - self._reach - self._emitted

    def feed(self, codes: Codes) -> None:
        """Add codes ``(rows, codebooks, n)``."""
        self._codes = np.concatenate([self._codes, codes], axis=2)

    def take(self) -> NDArray[np.float32]:
        """The sound of every frame that is sure by now [shape=(rows, samples)]."""
        self._advance(self._codes.shape[2] - self._ahead)
        return self._emit(self._made - self._reach)

    def finish(self) -> NDArray[np.float32]:
        """The sound of the rest; nothing may be fed after."""
        self._advance(self._codes.shape[2])
        return self._emit(self._made)

    def _advance(self, end: int) -> None:
        """Make latents up to a frame."""
        if end <= self._made:
            return
        count = self._codes.shape[2]
        index = np.abs(np.arange(self._made - self._ahead, end + self._ahead))
        index = np.where(index >= count, 2 * (count - 1) - index, index)
        names = ["latents", *(f"{name[0]}_out{name[1:]}" for name in self._state)]
        out = self._codes_session.run(names, {"codes": self._codes[:, :, index], **self._state})
        self._state = dict(zip(self._state, out[1:], strict=True))
        keep = min(max(0, self._emitted - self._reach), self._made)
        self._latents = np.concatenate([self._latents[:, :, keep - self._first_latent :], out[0]], axis=2)
        self._first_latent, self._made = keep, end

    def _emit(self, end: int) -> NDArray[np.float32]:
        if end <= self._emitted:
            return np.zeros((len(self._codes), 0), np.float32)
        first, last = max(0, self._emitted - self._reach), min(self._made, end + self._reach)
        cut = self._latents[:, :, first - self._first_latent : last - self._first_latent]
        (audio,) = self._sound_session.run(["audio"], {"latents": np.ascontiguousarray(cut)})
        hop = self._shape.hop
        wanted: NDArray[np.float32] = audio[:, (self._emitted - first) * hop : (end - first) * hop]
        self._emitted = end
        return wanted


def open_tokenizer(path: Path) -> Any:
    """A checkpoint's tokenizer.

    Raises
    ------
    CheckpointError
        The file is none.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise BackendError("The package tokenizers is missing: `pip install 'infiniloop[musicgen]'`.") from error
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        raise CheckpointError(f"{path} is not a tokenizer: download the model again.") from error


def tokens(tokenizer: Any, prompt: str, shape: Shape) -> list[int]:
    """A prompt as the text encoder's numbers.

    Raises
    ------
    CheckpointError
        The tokenizer is not the one that this model was trained with.
    """
    ids = [int(token) for token in tokenizer.encode(prompt).ids]
    if not ids or max(ids) >= shape.text.vocabulary:
        raise CheckpointError(
            "The model's tokenizer.json belongs to another model: delete the model with `infiniloop models delete`"
            " and download it again."
        )
    return ids if len(ids) <= _TOKENS else [*ids[: _TOKENS - 1], ids[-1]]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
