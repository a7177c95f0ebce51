"""An official MusicGen checkpoint on disk: its shape, and its tensors one by one.

A checkpoint is a folder with ``config.json``, ``tokenizer.json`` and the weights as ``model.safetensors`` or as shards
named by ``model.safetensors.index.json``. Only what a tensor needs is read, when it is asked for: no more than one
tensor lies in memory at a time, and neither torch nor the safetensors package is needed.

Format: https://huggingface.co/docs/safetensors, "Format" (8 bytes of header length, a JSON header, the data).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import BackendError

Array = NDArray[np.float32]

WEIGHTS: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
CONFIG: Final = "config.json"
TOKENIZER: Final = "tokenizer.json"
_HEADER_LIMIT: Final = 100_000_000
_WIDTHS: Final = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8}


class CheckpointError(BackendError):
    """The folder holds no MusicGen checkpoint, or a damaged one."""


# -- shapes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TextShape:
    """The T5 encoder that reads the prompt."""

    layers: int
    width: int
    heads: int
    head_width: int
    inner: int
    vocabulary: int
    buckets: int
    max_distance: int
    epsilon: float


@dataclass(frozen=True)
class DecoderShape:
    """The transformer that writes the codes."""

    layers: int
    width: int
    heads: int
    inner: int
    vocabulary: int
    """Codes of one codebook; the padding code has this number."""
    codebooks: int
    channels: int
    positions: int
    embedding_scale: float

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    @property
    def delays(self) -> tuple[int, ...]:
        """By how many steps each codebook comes late; left and right of a stereo model come together."""
        return tuple(book // self.channels for book in range(self.codebooks))


@dataclass(frozen=True)
class CodecShape:
    """The EnCodec decoder that turns codes into sound."""

    sample_rate: int
    width: int
    filters: int
    ratios: tuple[int, ...]
    kernel: int
    last_kernel: int
    residual_kernel: int
    residual_layers: int
    dilation_growth: int
    compress: int
    lstm_layers: int
    codebooks: int
    codebook_size: int
    shortcut: bool

    @property
    def hop(self) -> int:
        """Samples per code frame."""
        return math.prod(self.ratios)

    @property
    def frame_rate(self) -> float:
        return self.sample_rate / self.hop

    @property
    def latent_width(self) -> int:
        return int(self.filters * 2 ** len(self.ratios))


@dataclass(frozen=True)
class Shape:
    """A whole model, as ``config.json`` tells it."""

    text: TextShape
    decoder: DecoderShape
    codec: CodecShape

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> Shape:
        """The shape in a checkpoint's ``config.json``.

        Raises
        ------
        CheckpointError
            Another kind of model, or one whose parts the engine does not know.
        """
        if config.get("model_type") != "musicgen":
            kind = config.get("model_type", "unknown")
            raise CheckpointError(
                f"This is a model of type {kind!r}, not MusicGen: choose one of `infiniloop models list`."
            )
        try:
            text, decoder, codec = config["text_encoder"], config["decoder"], config["audio_encoder"]
            _expect("text encoder", text, model_type="t5", feed_forward_proj="relu")
            _expect("decoder", decoder, activation_function="gelu")
            _expect(
                "audio codec",
                codec,
                model_type="encodec",
                use_causal_conv=False,
                pad_mode="reflect",
                norm_type="weight_norm",
                normalize=False,
                audio_channels=1,
            )
            shape = cls(
                text=TextShape(
                    layers=int(text["num_layers"]),
                    width=int(text["d_model"]),
                    heads=int(text["num_heads"]),
                    head_width=int(text["d_kv"]),
                    inner=int(text["d_ff"]),
                    vocabulary=int(text["vocab_size"]),
                    buckets=int(text.get("relative_attention_num_buckets", 32)),
                    max_distance=int(text.get("relative_attention_max_distance", 128)),
                    epsilon=float(text.get("layer_norm_epsilon", 1e-6)),
                ),
                decoder=DecoderShape(
                    layers=int(decoder["num_hidden_layers"]),
                    width=int(decoder["hidden_size"]),
                    heads=int(decoder["num_attention_heads"]),
                    inner=int(decoder["ffn_dim"]),
                    vocabulary=int(decoder["vocab_size"]),
                    codebooks=int(decoder["num_codebooks"]),
                    channels=int(decoder.get("audio_channels", 1)),
                    positions=int(decoder.get("max_position_embeddings", 2048)),
                    embedding_scale=math.sqrt(decoder["hidden_size"]) if decoder.get("scale_embedding") else 1.0,
                ),
                codec=CodecShape(
                    sample_rate=int(codec["sampling_rate"]),
                    width=int(codec["hidden_size"]),
                    filters=int(codec["num_filters"]),
                    ratios=tuple(int(ratio) for ratio in codec["upsampling_ratios"]),
                    kernel=int(codec["kernel_size"]),
                    last_kernel=int(codec["last_kernel_size"]),
                    residual_kernel=int(codec["residual_kernel_size"]),
                    residual_layers=int(codec["num_residual_layers"]),
                    dilation_growth=int(codec["dilation_growth_rate"]),
                    compress=int(codec["compress"]),
                    lstm_layers=int(codec["num_lstm_layers"]),
                    codebooks=int(decoder["num_codebooks"]) // int(decoder.get("audio_channels", 1)),
                    codebook_size=int(codec["codebook_size"]),
                    shortcut=bool(codec["use_conv_shortcut"]),
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"The model's config.json lacks or garbles {error}: download the model again."
            ) from error
        if shape.decoder.width % shape.decoder.heads or shape.decoder.channels not in {1, 2}:
            raise CheckpointError("The model's config.json contradicts itself: download the model again.")
        return shape


def _expect(part: str, config: Mapping[str, Any], **wanted: object) -> None:
    for key, value in wanted.items():
        if config.get(key, value) != value:
            raise CheckpointError(
                f"The model's {part} has {key} = {config[key]!r}, which this engine does not know (it knows {value!r}):"
                " choose one of `infiniloop models list`."
            )


# -- files ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Entry:
    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int


class Checkpoint:
    """A checkpoint's folder, opened.

    Raises
    ------
    CheckpointError
        Something is missing, truncated or foreign; the sentence names the file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = _read_json(folder / CONFIG)
        self.shape = Shape.parse(self.config)
        self.tokenizer = folder / TOKENIZER
        if not self.tokenizer.is_file():
            raise CheckpointError(f"{self.tokenizer} is missing: download the model again.")
        self.files = _weight_files(folder)
        self._entries: dict[str, _Entry] = {}
        for path in self.files:
            self._entries.update(_read_header(path))

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def size(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor."""
        return self._entry(name).shape

    def tensor(self, name: str, *shape: int) -> Array:
        """One tensor as float32.

        Parameters
        ----------
        shape : the expected size; another one means a foreign checkpoint.
        """
        entry = self._entry(name)
        if shape and entry.shape != shape:
            raise CheckpointError(
                f"Tensor {name} has the shape {entry.shape} where {shape} belongs: the files are of different models."
            )
        return self._read(entry, entry.offset, entry.size).reshape(entry.shape)

    def rows(self, name: str, *shape: int, at_most: int = 8_388_608) -> Iterator[Array]:
        """A tensor in blocks of whole rows of at most ``at_most`` values, for tables too long to hold at once."""
        entry = self._entry(name)
        if entry.shape != shape:
            raise CheckpointError(
                f"Tensor {name} has the shape {entry.shape} where {shape} belongs: the files are of different models."
            )
        width = math.prod(entry.shape[1:])
        step = max(1, at_most // width)
        stride = width * _WIDTHS[entry.dtype]
        for first in range(0, entry.shape[0], step):
            count = min(step, entry.shape[0] - first)
            block = self._read(entry, entry.offset + first * stride, count * stride)
            yield block.reshape(count, *entry.shape[1:])

    def fingerprint(self) -> str:
        """Cheap: changes whenever a file was replaced, without reading the weights."""
        digest = hashlib.sha256()
        for path in (self.folder / CONFIG, self.tokenizer, *self.files):
            state = path.stat()
            digest.update(f"{path.name} {state.st_size} {state.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def source_hash(self, check: Callable[[], None] = lambda: None) -> str:
        """SHA-256 over every file of the checkpoint; ``check`` is called at least every few megabytes."""
        digest = hashlib.sha256()
        for path in (self.folder / CONFIG, self.tokenizer, *self.files):
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
            with path.open("rb") as file:
                while block := file.read(8 << 20):
                    digest.update(block)
                    check()
        return digest.hexdigest()

    def _entry(self, name: str) -> _Entry:
        try:
            return self._entries[name]
        except KeyError:
            raise CheckpointError(
                f"The model has no tensor {name}: it is not a whole MusicGen checkpoint; download it again."
            ) from None

    def _read(self, entry: _Entry, offset: int, size: int) -> Array:
        with entry.path.open("rb") as file:
            file.seek(offset)
            raw = bytearray(size)
            if file.readinto(raw) != size:
                raise CheckpointError(f"{entry.path.name} is cut short: download the model again.")
        match entry.dtype:
            case "F32":
                return np.frombuffer(raw, "<f4").astype(np.float32, copy=False)
            case "F16":
                return np.frombuffer(raw, "<f2").astype(np.float32)
            case "F64":
                return np.frombuffer(raw, "<f8").astype(np.float32)
            case _:
                return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: download the model again.") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}): download the model again.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is not a model's configuration: download the model again.")
    return value


def _weight_files(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        raise CheckpointError(f"No {WEIGHTS} in {folder}: download the model again.")
    mapping = _read_json(folder / INDEX).get("weight_map")
    if not isinstance(mapping, dict) or not mapping:
        raise CheckpointError(f"{folder / INDEX} names no shards: download the model again.")
    files = []
    for name in sorted({str(name) for name in mapping.values()}):
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise CheckpointError(f"The model's shard {name} is missing: download the model again.")
        files.append(path)
    return files


def _read_header(path: Path) -> dict[str, _Entry]:
    broken = CheckpointError(f"{path.name} is not a whole safetensors file: download the model again.")
    try:
        total = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_HEADER_LIMIT, total - 8):
                raise broken
            header = json.loads(file.read(length))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {os.strerror(error.errno or 0)}.") from error
    except ValueError as error:
        raise broken from error
    if not isinstance(header, dict):
        raise broken
    start = 8 + length
    entries = {}
    for name, record in header.items():
        if name == "__metadata__":
            continue
        try:
            dtype, shape = str(record["dtype"]), tuple(int(side) for side in record["shape"])
            first, end = (int(offset) for offset in record["data_offsets"])
        except (KeyError, TypeError, ValueError) as error:
            raise broken from error
        if dtype not in _WIDTHS:
            continue  # counters and masks: nothing that is asked for
        if end - first != math.prod(shape) * _WIDTHS[dtype] or first < 0:
            raise broken
        if start + end > total:
            raise CheckpointError(
                f"{path.name} is cut short ({total} bytes where {start + end} belong): download the model again."
            )
        entries[name] = _Entry(path, dtype, shape, start + first, end - first)
    return entries
