"""Files that survive a crash and a full disk: written beside, forced to the disk, then renamed."""

from __future__ import annotations

import os
from pathlib import Path

from shared.errors import StoreError


def replace_file(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Put ``data`` into ``path``, whole or not at all; what was there stays until the new is safe.

    Raises
    ------
    StoreError
        The disk is full, or the folder or an existing file may not be written to.
    """
    if path.exists() and not os.access(path, os.W_OK):
        raise StoreError(f"{path} is read-only: allow writing to it, and nothing else is needed.")
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode or 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise StoreError(
            f"{path} cannot be written ({(error.strerror or str(error)).lower()}): "
            "free some disk space or allow writing there; the old content is untouched."
        ) from error


def settle_file(beside: Path, path: Path, *, replace: bool) -> None:
    """Give a file that is written and forced to the disk its name, in one step; both lie in one folder.

    Raises
    ------
    FileExistsError
        The name is taken, and is not to be replaced.
    OSError
        The folder does not allow it.
    """
    if replace:
        beside.replace(path)
    else:
        try:
            os.link(beside, path)  # refuses where somebody took the name in the meantime
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if os.path.lexists(path):
                raise FileExistsError(path) from None
            beside.rename(path)
        else:
            beside.unlink()
    _sync_folder(path.parent)


def set_aside(path: Path) -> Path:
    """Move a file that cannot be understood out of the way, keeping it, and return where it is: ``name.broken-1`` …

    Raises
    ------
    OSError
        It cannot be moved; each caller says in its own words what follows from that.
    """
    number = 1
    while (aside := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    return path.rename(aside)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
