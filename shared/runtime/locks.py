"""File locks. They name the holder, go with it however it ends, and tell of a second station in the same home."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from shared.errors import LockedError, StoreError


class FileLock:
    """An exclusive lock on ``folder/name.lock``; the kernel frees it when the process ends.

    Raises
    ------
    LockedError
        Another process holds it; the sentence names its process number.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.lock"
        self._name = name
        self._descriptor = -1

    def acquire(self) -> FileLock:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"The lock {self._path} cannot be opened: {error.strerror}.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise LockedError(
                f"A station already runs in this home (its {self._name} is process {holder}): "
                "use it, end it with `infiniloop shutdown`, or set INFINILOOP_HOME to another folder."
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor
        return self

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> FileLock:
        return self if self._descriptor >= 0 else self.acquire()

    def __exit__(self, *_exception: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.release()


def is_locked(folder: Path, name: str) -> bool:
    """Whether a living process holds this lock; how a command knows that a station runs."""
    try:
        descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
