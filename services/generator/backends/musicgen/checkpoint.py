"""An official MusicGen checkpoint on disk: its files, and its tensors one by one.

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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.generator.backends.musicgen.shape import CheckpointError, Shape

Array = NDArray[np.float32]

WEIGHTS: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
CONFIG: Final = "config.json"
TOKENIZER: Final = "tokenizer.json"
_HEADER_LIMIT: Final = 100_000_000
_WIDTHS: Final = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8}


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
