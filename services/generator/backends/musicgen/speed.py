"""How fast a converted model was on this machine, kept beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from shared.durable import replace_file
from shared.errors import StoreError

FILE: Final = "speed.json"
_NEWEST: Final = 0.3
"""Weight of the newest clip: one beside a busy browser says little."""


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, and how the engine ran then."""

    real_time_factor: float
    threads: int
    device: str


def read_speed(folder: Path) -> Speed | None:
    """The speed of the model in this folder; ``None`` while none was measured."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Speed)
    except (OSError, msgspec.DecodeError):
        return None


def write_speed(folder: Path, factor: float, threads: int, device: str) -> None:
    """Take one more clip's speed into the slow average."""
    before = read_speed(folder)
    if before is not None and (before.threads, before.device) == (threads, device):
        factor = (1 - _NEWEST) * before.real_time_factor + _NEWEST * factor
    speed = Speed(real_time_factor=round(factor, 3), threads=threads, device=device)
    try:
        replace_file(folder / FILE, msgspec.json.encode(speed))
    except StoreError:
        return  # a full disk costs the average and nothing else
