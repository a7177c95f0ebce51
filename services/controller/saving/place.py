"""Where a file goes: exactly where the listener said, whole or not at all, never over another without a yes."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from services.controller.saving.encoding import FORMATS, SUFFIXES
from shared.durable import settle_file
from shared.errors import StoreError, UsageError

_PART = re.compile(r"\.infiniloop-(\d+)-[0-9a-f]+\.part")
"""What a save is called until it is whole; the number is its process."""


@dataclass(frozen=True)
class Target:
    """A file to be written."""

    path: Path
    """Absolute."""
    form: str
    """One of ``FORMATS``."""

    def beside(self, words: str, suffix: str = "") -> Path:
        """A file that belongs to it: ``name words.suffix``."""
        return self.path.with_name(f"{self.path.stem}{words}{suffix or self.path.suffix}")


def find_target(said: str, folder: Path, form: str, named: Callable[[str], str]) -> Target:
    """Where a listener who stands in ``folder`` wants the file.

    Parameters
    ----------
    said : a file's name or path; of a folder, the file gets a name of its own in it
    form : one of ``FORMATS``, or empty: as the name says, WAV where it says nothing
    named : gives a name for a format; what it gives is not taken over a file that is there

    Raises
    ------
    UsageError
        An unknown format, a name that contradicts it, or no name at all.
    StoreError
        The path cannot be one.
    """
    if not said.strip() or "\0" in said:
        raise UsageError("save needs a file's name: letters, digits and whatever else your disk takes in one.")
    path = folder / os.path.expanduser(said)  # noqa: PTH111 - of an unknown user it makes a name, not an error
    form = form.strip().lower()
    if form and form not in FORMATS:
        raise UsageError(f"{form} cannot be written: choose one of {', '.join(FORMATS)}.")
    if said.endswith("/") or is_folder(path):
        form = form or "wav"
        return Target(_free(path, named(form)), form)
    suffix = path.suffix.lower()
    told = SUFFIXES.get(suffix, "")
    if form and told and form != told:
        raise UsageError(f"{path.name} is the name of a {told} file, and {form} was asked for: change one of them.")
    if not form and not told and suffix:
        raise UsageError(f"{suffix} cannot be written: choose one of {', '.join(FORMATS)}.")
    return Target(path, form or told or "wav")


def is_folder(path: Path) -> bool:
    found = _look(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def occupied(path: Path) -> bool:
    """Whether a file is there that could be written over.

    Raises
    ------
    StoreError
        Something is there that is no file, or may not be written over.
    """
    found = _look(path)
    if found is None:
        return False
    if stat.S_ISDIR(found.st_mode):
        raise StoreError(f"{path} is a folder: choose another name.")
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path} is not an ordinary file: choose another name.")
    if not os.access(path, os.W_OK):
        raise StoreError(f"{path} is read-only: choose another name, or allow writing to it.")
    return True


def check_folder(path: Path) -> None:
    """See that a file can be written to ``path``, before much work is done for it.

    Raises
    ------
    StoreError
        Its folder, or the one in which that would have to be made, is none or may not be written to.
    """
    folder = path.parent
    while (found := _look(folder)) is None:
        if folder == folder.parent:
            raise StoreError(f"{path} lies nowhere: choose another place.")
        folder = folder.parent
    if not stat.S_ISDIR(found.st_mode):
        raise StoreError(f"{folder} is a file, not a folder: choose another place.")
    trial = _beside(folder)
    try:
        trial.touch(exist_ok=False)  # tells more than asking whether one may: a disk that is read-only, say
        trial.unlink()
    except OSError as error:
        raise refusal(path, error) from error


@contextlib.contextmanager
def placed(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A file to write into, which gets its name when the block ends well; before that, what was there stays.

    Folders that are missing are made, and go again if the block does not end well.

    Raises
    ------
    StoreError
        The name is taken and ``force`` was not given, or the disk is full, or the folder cannot be written to.
    """
    taken = occupied(path)
    if taken and not force:
        raise taken_error(path)
    check_folder(path)
    path = path.resolve() if path.is_symlink() else path
    made: list[Path] = []
    beside = _beside(path.parent)
    try:
        made = _make_folders(path.parent)
        _sweep(path.parent)
        with beside.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        settle_file(beside, path, replace=force)
    except FileExistsError:
        _forget(beside, made)
        raise taken_error(path) from None
    except OSError as error:
        _forget(beside, made)
        raise refusal(path, error) from error
    except BaseException:
        _forget(beside, made)
        raise


def taken_error(*paths: Path) -> StoreError:
    names = ", ".join(str(path) for path in paths[:3]) + (" …" if len(paths) > 3 else "")
    verb = "exist" if len(paths) > 1 else "exists"
    return StoreError(f"{names} {verb} already: choose another name, or add --force to write over it.")


def refusal(path: Path, error: OSError) -> StoreError:
    why = (error.strerror or str(error) or "no room").lower()
    return StoreError(f"{path} cannot be written ({why}): choose another place, or free some space.")


def _beside(folder: Path) -> Path:
    return folder / f".infiniloop-{os.getpid()}-{secrets.token_hex(4)}.part"


def _look(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    except OSError as error:
        raise refusal(path, error) from error


def _free(folder: Path, name: str) -> Path:
    """The name, or with the first number at its end that is not taken."""
    path, number = folder / name, 1
    while _look(path) is not None:
        number += 1
        path = folder / f"{Path(name).stem}_{number}{Path(name).suffix}"
    return path


def _make_folders(folder: Path) -> list[Path]:
    """Make what is missing of it; returns what was made, the innermost first."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    made: list[Path] = []
    try:
        for each in reversed(missing):
            each.mkdir()
            made.insert(0, each)
    except OSError:
        _forget(None, made)
        raise
    return made


def _forget(beside: Path | None, made: list[Path]) -> None:
    with contextlib.suppress(OSError):
        if beside is not None:
            beside.unlink(missing_ok=True)
        for folder in made:
            folder.rmdir()


def _sweep(folder: Path) -> None:
    """Take away what a save that was killed has left here."""
    with contextlib.suppress(OSError):
        for path in folder.glob(".infiniloop-*.part"):
            found = _PART.fullmatch(path.name)
            if found is not None and not _lives(int(found[1])):
                path.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
