"""Fetches a checkpoint from a model hub: only what the engine needs, resumed where it broke off, every byte checked.

Two addresses of the hub's HTTP interface are used, so that any mirror of it will do:
``/api/models/<repository>/revision/<revision>?blobs=true`` lists the files with sizes and hashes, and
``/<repository>/resolve/<commit>/<file>`` serves them. Large files carry SHA-256, small ones git's blob hash.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.generator.backends.musicgen.checkpoint import CONFIG, INDEX, TOKENIZER, WEIGHTS, Checkpoint
from services.generator.models.catalogue import Model
from services.generator.models.store import ModelStore, Source
from shared import __version__
from shared.errors import BackendError, StoreError

HUB: Final = "https://huggingface.co"
_TIMEOUT_S: Final = 30.0
_BLOCK: Final = 1 << 20
_ATTEMPTS: Final = 6
"""In a row without a byte; each byte that comes gives hope anew."""
_LISTING_LIMIT: Final = 8 << 20
_SPARE: Final = 1 << 30


@dataclass(frozen=True)
class RemoteFile:
    """One file of a model as the hub lists it."""

    name: str
    size: int
    sha256: str = ""
    blob: str = ""


@dataclass(frozen=True)
class Listing:
    """What a download would fetch."""

    commit: str
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


class Offline(BackendError):
    """The listener wants no network; nothing was asked of it."""


def offline(environment: Mapping[str, str] | None = None) -> bool:
    """Whether the environment forbids the network, by the hub client's own switches."""
    environment = os.environ if environment is None else environment
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(environment.get(name, "").upper() in {"1", "ON", "YES", "TRUE"} for name in names)


class Hub:
    """A model hub or a mirror of one.

    Parameters
    ----------
    address : of the hub; its own is used where it is empty
    forbidden : no network at all; every call raises ``Offline``
    """

    def __init__(self, address: str = "", *, forbidden: bool = False) -> None:
        self.address = (address or os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
        self._forbidden = forbidden
        if not self.address.startswith(("https://", "http://")):
            raise BackendError(f"{address} is no web address: give one such as {HUB}.")

    def list(self, model: Model, revision: str = "main") -> Listing:
        """The files of a model that the engine needs.

        Raises
        ------
        Offline, BackendError
            No network, no such model there, or an answer that is none.
        """
        address = f"{self.address}/api/models/{model.repository}/revision/{revision}?blobs=true"
        with self._open(address) as answer:
            try:
                listed = json.loads(answer.read(_LISTING_LIMIT))
                files = [_remote(entry) for entry in listed["siblings"]]
                commit = str(listed["sha"])
            except (ValueError, KeyError, TypeError, http.client.HTTPException, OSError) as error:
                raise BackendError(f"{self.address} gave no list of {model.repository}: try again later.") from error
        needed = _needed(files)
        missing = {CONFIG, TOKENIZER} - {file.name for file in needed}
        if missing or not any(file.name.endswith(".safetensors") for file in needed):
            raise BackendError(
                f"{model.repository} on {self.address} is not a whole MusicGen model: use another mirror."
            )
        if not commit.isalnum():
            raise BackendError(f"{self.address} names no revision of {model.repository}: use another mirror.")
        return Listing(commit, tuple(needed))

    def open_file(self, model: Model, commit: str, name: str, offset: int) -> Any:
        """The answer that serves a file from a byte on."""
        return self._open(f"{self.address}/{model.repository}/resolve/{commit}/{name}", offset)

    def _open(self, address: str, offset: int = 0) -> Any:
        if self._forbidden:
            raise Offline("The network is switched off (offline): nothing was asked; switch it on to download.")
        headers = {"User-Agent": f"infiniloop/{__version__}"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        try:
            return urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in {404, 401, 403}:
                raise BackendError(
                    f"{address} is not there ({error.code}): check the address of the mirror."
                ) from error
            raise


def _remote(entry: dict[str, Any]) -> RemoteFile:
    large = entry.get("lfs") or {}
    return RemoteFile(
        name=str(entry["rfilename"]),
        size=int(large.get("size", entry.get("size") or 0)),
        sha256=str(large.get("sha256", "")),
        blob="" if large else str(entry.get("blobId", "")),
    )


def _needed(files: list[RemoteFile]) -> list[RemoteFile]:
    """Configuration, tokenizer, and the weights as one file or, where there is none, as shards."""
    whole = any(file.name == WEIGHTS for file in files)
    return [
        file
        for file in files
        if file.name in {CONFIG, TOKENIZER, WEIGHTS}
        or (
            not whole
            and (file.name == INDEX or (file.name.startswith("model-") and file.name.endswith(".safetensors")))
        )
    ]


def download(
    store: ModelStore,
    model: Model,
    listing: Listing,
    hub: Hub,
    *,
    report: Callable[[int, int], None] = lambda _done, _total: None,
    check: Callable[[], None] = lambda: None,
) -> Source:
    """Fetch what is missing and make it the model's source.

    Parameters
    ----------
    report : called with bytes that are here and bytes in all
    check : called at least every megabyte; what it raises ends the download, which later resumes from there

    Raises
    ------
    BackendError
        No network, a connection that broke again and again, other bytes than were announced, a foreign model.
    StoreError
        The disk is full or read-only.
    """
    part = store.partial_folder(model.name, listing.commit)
    try:
        part.mkdir(parents=True, exist_ok=True)
        here = {file.name: _here(part, file) for file in listing.files}
        _require_room(part, listing.size - sum(here.values()))
        for file in listing.files:
            others = sum(size for name, size in here.items() if name != file.name)

            def progress(size: int, others: int = others) -> None:
                report(others + size, listing.size)

            _fetch(_Origin(hub, model, listing.commit), file, part / file.name, progress, check)
            here[file.name] = file.size
    except OSError as error:
        raise StoreError(
            f"{part} cannot be written: {error.strerror or error}; free the disk or use `--path`."
        ) from error
    Checkpoint(part)
    return store.adopt(model.name, part, listing.commit)


def _here(part: Path, file: RemoteFile) -> int:
    path = part / file.name
    return min(path.stat().st_size, file.size) if path.is_file() else 0


def _require_room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part).free
    if free < needed + _SPARE:
        raise StoreError(
            f"The download needs {needed / 1e9:.1f} GB in {part.parent.parent}, and only {free / 1e9:.1f} GB are free:"
            " free the disk or choose another folder with `--path`."
        )


@dataclass(frozen=True)
class _Origin:
    """Where the files of one download come from."""

    hub: Hub
    model: Model
    commit: str


def _fetch(
    origin: _Origin, file: RemoteFile, path: Path, progress: Callable[[int], None], check: Callable[[], None]
) -> None:
    """One file, resumed, tried again, and checked; a file with wrong bytes is removed."""
    failures = 0
    while True:
        before = _here(path.parent, file)
        progress(before)
        if before == file.size and path.is_file():
            break
        try:
            answer = origin.hub.open_file(origin.model, origin.commit, file.name, before)
            _append(answer, path, before, progress, check)
        except (
            urllib.error.URLError,
            http.client.HTTPException,
            TimeoutError,
            ConnectionError,
            socket.gaierror,
        ) as error:
            failures = 0 if _here(path.parent, file) > before else failures + 1
            if failures >= _ATTEMPTS:
                reason = getattr(error, "reason", None) or error
                raise BackendError(
                    f"{origin.hub.address} cannot be reached ({reason}): what has come is kept; try again later."
                ) from error
    if not _is_right(path, file, check):
        path.unlink()
        raise BackendError(f"{file.name} came with other bytes than announced and was thrown away: try again.")


def _append(answer: Any, path: Path, before: int, progress: Callable[[int], None], check: Callable[[], None]) -> None:
    with answer:
        resumed = answer.status == 206
        done = before if resumed else 0
        with path.open("ab" if resumed else "wb") as out:
            while block := answer.read(_BLOCK):
                out.write(block)
                done += len(block)
                progress(done)
                check()


def _is_right(path: Path, file: RemoteFile, check: Callable[[], None]) -> bool:
    if path.stat().st_size != file.size:
        return False
    if not file.sha256 and not file.blob:
        return True
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    with path.open("rb") as data:
        while block := data.read(_BLOCK):
            digest.update(block)
            check()
    return digest.hexdigest() == (file.sha256 or file.blob)
