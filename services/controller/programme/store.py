"""The programme's file: ``programme.json`` in the configuration folder, replaced whole."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from services.controller.programme.clock import Programme, check_slot
from shared.durable import replace_file, set_aside
from shared.errors import StoreError, UsageError
from shared.paths import Paths


def open_programme(paths: Paths) -> tuple[Programme, str]:
    """The programme, and a sentence if its file was damaged and set aside.

    Raises
    ------
    StoreError
        It is there and may not be read.
    """
    path = _file(paths)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Programme)
        return msgspec.structs.replace(found, slots=tuple(check_slot(slot) for slot in found.slots)), ""
    except FileNotFoundError:
        return Programme(), ""
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror}): allow reading it.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, UsageError):
        aside = set_aside(path)
        return Programme(), f"The programme in {path} was damaged and set aside as {aside}; it is empty now."


def save_programme(paths: Paths, programme: Programme) -> None:
    """Write it; whole or not at all."""
    words = json.dumps(msgspec.to_builtins(programme), indent=2, ensure_ascii=False)
    replace_file(_file(paths), words.encode() + b"\n")


def _file(paths: Paths) -> Path:
    return paths.config / "programme.json"
