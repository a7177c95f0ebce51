"""From a checkpoint to a folder of graphs that the engine runs, whole or not at all.

A conversion is written beside its place and moved there when it is complete; an interrupted one leaves nothing that
could be taken for a model. Its ``manifest.json`` holds the hash of the checkpoint it was made of, so that it outlives
the source weights and is made anew when they change.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

from services.generator.backends.musicgen.checkpoint import CONFIG, TOKENIZER, Checkpoint
from services.generator.backends.musicgen.quantisation import Blocks
from services.generator.backends.musicgen.shape import CheckpointError, Shape
from shared.errors import BackendError, InfiniLoopError

Precision = Literal["int8", "int4", "fp32"]
PRECISIONS: Final[tuple[str, ...]] = get_args(Precision)

FORMAT: Final = 3
"""Rises whenever the graphs change, so that older conversions are made anew."""
MANIFEST: Final = "manifest.json"

_TEXT_BLOCKS: Final = Blocks(bits=8, size=32)
_DECODER_BLOCKS: Final[dict[str, Blocks | None]] = {
    "int8": Blocks(bits=8, size=128),
    "int4": Blocks(bits=4, size=32),
    "fp32": None,
}
_POLL_S: Final = 0.05
_SPARE: Final = 256 << 20
"""Bytes that must stay free on the disk after a conversion."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a converted folder holds and of what it was made."""

    format: int
    precision: str
    source_hash: str
    fingerprint: str
    revision: str = ""
    files: dict[str, int]
    """Size of each file in bytes."""


@dataclass(frozen=True)
class Converted:
    """A complete conversion on disk."""

    folder: Path
    shape: Shape
    manifest: Manifest

    @property
    def size(self) -> int:
        return sum(self.manifest.files.values())


def open_converted(folder: Path) -> Converted | None:
    """The conversion in this folder; ``None`` where there is none, or one that is not whole or of an older format."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
        whole = all((folder / name).stat().st_size == size for name, size in manifest.files.items())
        shape = Shape.parse(json.loads((folder / CONFIG).read_bytes()))
    except (OSError, ValueError, msgspec.DecodeError, CheckpointError):
        return None
    return Converted(folder, shape, manifest) if whole and manifest.format == FORMAT else None


def convert(
    checkpoint: Checkpoint,
    target: Path,
    precision: Precision,
    *,
    revision: str = "",
    report: Callable[[float], None] = lambda _fraction: None,
    check: Callable[[], None] = lambda: None,
) -> Converted:
    """Make ``target`` of a checkpoint, replacing what lies there only when the new one is whole.

    Parameters
    ----------
    report : called with the fraction done (0–1)
    check : called often; what it raises ends the conversion and leaves nothing behind

    Raises
    ------
    CheckpointError
        The checkpoint is damaged or foreign.
    BackendError
        No room on the disk, or it cannot be written.
    """
    from services.generator.backends.musicgen.calibration import shrink_buffers
    from services.generator.backends.musicgen.graphs.codec import build_codec
    from services.generator.backends.musicgen.graphs.decoder import build_decoder
    from services.generator.backends.musicgen.graphs.prompt import build_prompt
    from services.generator.backends.musicgen.text import open_tokenizer

    shape = checkpoint.shape
    steps = shape.text.layers + 2 * shape.decoder.layers + 2
    done = 0

    def advance() -> None:
        nonlocal done
        check()
        done += 1
        report(0.2 + 0.6 * done / steps)

    def trying(fraction: float) -> None:
        check()
        report(0.8 + 0.2 * fraction)

    open_tokenizer(checkpoint.tokenizer)  # a foreign one is found out before the work, not after it
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _exclusive(target, check), _beside(target) as part:
            _require_room(target, _estimate(shape, precision))
            source_hash = checkpoint.source_hash(check)
            report(0.2)
            decoder_blocks = _DECODER_BLOCKS[precision]
            build_prompt(checkpoint, part, None if precision == "fp32" else _TEXT_BLOCKS, advance)
            build_decoder(checkpoint, part, decoder_blocks, advance)
            build_codec(checkpoint, part, advance)
            for name in (CONFIG, TOKENIZER):
                shutil.copyfile(checkpoint.folder / name, part / name)
            if precision != "fp32":
                shrink_buffers(part, shape, trying)
            report(1.0)
            _sync(part)
            manifest = Manifest(
                format=FORMAT,
                precision=precision,
                source_hash=source_hash,
                fingerprint=checkpoint.fingerprint(),
                revision=revision,
                files={path.name: path.stat().st_size for path in sorted(part.iterdir())},
            )
            (part / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
            _sync(part)
            _replace(part, target)
    except OSError as error:
        raise BackendError(
            f"The model cannot be converted into {target}: {error.strerror or error}; free the disk or choose another"
            " folder with `--path`."
        ) from error
    except ImportError as error:
        raise BackendError(
            f"Converting a model needs {error.name}, which is missing: `pip install 'infiniloop[musicgen]'`."
        ) from error
    return Converted(target, shape, manifest)


def _estimate(shape: Shape, precision: Precision) -> int:
    """Bytes that a conversion will take, a little high."""
    text, decoder, codec = shape.text, shape.decoder, shape.codec
    wide = {"int8": 1.05, "int4": 0.65, "fp32": 4.0}
    text_weights = text.layers * (4 * text.width * text.heads * text.head_width + 2 * text.width * text.inner)
    text_weights += 2 * decoder.layers * decoder.width**2
    weights = decoder.layers * (6 * decoder.width**2 + 2 * decoder.width * decoder.inner)
    weights += decoder.codebooks * decoder.vocabulary * decoder.width
    tables = text.vocabulary * text.width + (decoder.codebooks * decoder.vocabulary + decoder.positions) * decoder.width
    recurrent = codec.lstm_layers * 8 * codec.latent_width**2
    total = text_weights * max(1.2, wide[precision]) + weights * wide[precision]
    total += 4 * (tables + 1.5 * recurrent)
    return int(total * 1.1) + (8 << 20)


def _require_room(target: Path, needed: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < needed + _SPARE:
        raise BackendError(
            f"Converting the model needs {needed / 1e9:.2g} GB beside {target}, and only {free / 1e9:.2g} GB are free:"
            " free the disk or choose another folder with `--path`."
        )


@contextlib.contextmanager
def _exclusive(target: Path, check: Callable[[], None] = lambda: None) -> Iterator[None]:
    """One conversion into a place at a time, across processes; the lock ends with its holder."""
    with (target.parent / f".{target.name}.lock").open("w") as lock:
        while True:
            check()
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_POLL_S)
        yield


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """An empty folder beside the target that is gone at the end, whatever happens."""
    part = target.parent / f".{target.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _replace(part: Path, target: Path) -> None:
    old = target.parent / f".{target.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    part.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    _sync_path(target.parent)


def _sync(folder: Path) -> None:
    for path in folder.iterdir():
        _sync_path(path)
    _sync_path(folder)


def _sync_path(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(folder: Path) -> None:
    """Delete a conversion; a reader that holds it open keeps its data until it is done."""
    try:
        with _exclusive(folder):
            shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise InfiniLoopError(f"{folder} cannot be deleted: {error.strerror or error}.") from error
