"""Where models lie on this machine, and which are there.

::

    <root>/<name>/source/        the checkpoint as it was downloaded
    <root>/<name>/<precision>/   the same, converted for the engine
    <root>/consent.json          what the listener said to each download

Checkpoints in the hub's own cache and models that MusicGPT has downloaded are found where they lie and left there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.generator.backends.musicgen.checkpoint import CONFIG, INDEX, TOKENIZER, WEIGHTS
from services.generator.backends.musicgen.conversion import PRECISIONS, Converted, open_converted, remove
from services.generator.backends.musicgpt.installation import data_folder
from services.generator.models.catalogue import MODELS, find
from shared.errors import StoreError
from shared.paths import Paths

SOURCE: Final = "source"
REVISION: Final = "revision.txt"


def models_folder(paths: Paths, named: str) -> Path:
    """Where our models lie: in the folder of the setting ``models_path``, or in the usual one."""
    return Path(named).expanduser().absolute() if named else paths.models


@dataclass(frozen=True)
class Source:
    """A checkpoint on this machine."""

    folder: Path
    revision: str
    ours: bool
    """We downloaded it and may delete it."""


@dataclass(frozen=True)
class Installed:
    """What is here of one model."""

    name: str
    source: Source | None
    converted: Mapping[str, Converted]
    """By precision."""
    size: int
    """Bytes in our own folder."""

    @property
    def usable(self) -> bool:
        return self.source is not None or bool(self.converted)


@dataclass(frozen=True)
class Foreign:
    """A model that MusicGPT has downloaded for itself, ``small_fp32`` and such."""

    name: str
    folder: Path
    size: int


class ModelStore:
    """The models under one folder, in the hub's cache and in MusicGPT's data.

    Parameters
    ----------
    root : our own folder
    hub : the hub's cache, ``None`` to leave it alone
    musicgpt : MusicGPT's data folder, ``None`` to leave it alone
    """

    def __init__(self, root: Path, hub: Path | None = None, musicgpt: Path | None = None) -> None:
        self.root = root
        self.musicgpt = musicgpt or root
        self._hub, self._musicgpt = hub, musicgpt

    @classmethod
    def from_environment(
        cls, root: Path, environment: Mapping[str, str] | None = None, *, named: str = ""
    ) -> ModelStore:
        """The store that also looks where the hub's client and MusicGPT put theirs.

        ``named`` is the setting ``models_path``, which MusicGPT's models follow.
        """
        environment = os.environ if environment is None else environment
        home = Path(environment.get("HOME") or Path.home())
        if cached := environment.get("HF_HUB_CACHE"):
            hub = Path(cached).expanduser()
        else:
            cache = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
            hub = Path(environment.get("HF_HOME") or cache / "huggingface").expanduser() / "hub"
        return cls(root, hub, data_folder(named, environment))

    def look(self, name: str) -> Installed:
        """What is here of a model; only sizes and small files are read.

        Raises
        ------
        UsageError
            There is no such model.
        """
        model = find(name)
        folder = self.root / name
        source = self._own_source(folder) or self._hub_source(model.repository)
        converted = {precision: open_converted(folder / precision) for precision in PRECISIONS}
        found = {precision: each for precision, each in converted.items() if each is not None}
        return Installed(name, source, found, _size(folder))

    def installed(self) -> list[Installed]:
        """Every model that could be used now."""
        return [each for each in map(self.look, MODELS) if each.usable]

    def foreign(self) -> list[Foreign]:
        """Models of MusicGPT's."""
        folder = self._musicgpt / "v1" if self._musicgpt else None
        if folder is None or not folder.is_dir():
            return []
        return [
            Foreign(path.name, path, _size(path))
            for path in sorted(path for path in folder.iterdir() if path.is_dir())
            if any(path.glob("*.onnx"))
        ]

    def converted_folder(self, name: str, precision: str) -> Path:
        return self.root / name / precision

    def partial_folder(self, name: str, revision: str) -> Path:
        """Where a download lies until it is whole."""
        return self.root / name / f".{SOURCE}-{revision[:12]}.part"

    def adopt(self, name: str, part: Path, revision: str) -> Source:
        """Make a finished download the model's source."""
        target = self.root / name / SOURCE
        try:
            (part / REVISION).write_text(revision + "\n")
            shutil.rmtree(target, ignore_errors=True)
            part.rename(target)
        except OSError as error:
            raise StoreError(f"{target} cannot be written: {error.strerror or error}.") from error
        return Source(target, revision, ours=True)

    def delete(self, name: str) -> int:
        """Delete everything of a model that is ours; the bytes that came free."""
        find(name)
        folder = self.root / name
        freed = _size(folder)
        for precision in PRECISIONS:
            remove(folder / precision)
        _remove_tree(folder)
        return freed

    def delete_source(self, name: str) -> int:
        """Delete the downloaded checkpoint and keep what was converted of it; the bytes that came free."""
        folder = self.root / name / SOURCE
        freed = _size(folder)
        _remove_tree(folder)
        return freed

    def delete_foreign(self, name: str) -> int:
        """Delete one of MusicGPT's models; the bytes that came free.

        Raises
        ------
        StoreError
            There is none of this name.
        """
        for each in self.foreign():
            if each.name == name:
                _remove_tree(each.folder)
                return each.size
        raise StoreError(f"MusicGPT has no model {name!r} here: see `infiniloop models list`.")

    def _own_source(self, folder: Path) -> Source | None:
        source = folder / SOURCE
        if not _is_checkpoint(source):
            return None
        try:
            revision = (source / REVISION).read_text().strip()
        except OSError:
            revision = ""
        return Source(source, revision, ours=True)

    def _hub_source(self, repository: str) -> Source | None:
        if self._hub is None:
            return None
        snapshots = self._hub / f"models--{repository.replace('/', '--')}" / "snapshots"
        if not snapshots.is_dir():
            return None
        for folder in sorted(snapshots.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True):
            if _is_checkpoint(folder):
                return Source(folder, folder.name, ours=False)
        return None


def _is_checkpoint(folder: Path) -> bool:
    weights = (folder / WEIGHTS).is_file() or (folder / INDEX).is_file()
    return weights and (folder / CONFIG).is_file() and (folder / TOKENIZER).is_file()


def _size(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _remove_tree(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{folder} cannot be deleted: {error.strerror or error}.") from error
