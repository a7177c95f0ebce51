"""What a worker wants done: its logic returns these, its shell carries them out in order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from services.generator.frames import Order
from shared.messages import AnyMessage, Clip


@dataclass(frozen=True)
class Say:
    """Send this to the controller."""

    message: AnyMessage


@dataclass(frozen=True)
class Tell:
    """Give this order to the child."""

    order: Order


@dataclass(frozen=True)
class Deliver:
    """Push this clip to the analyzer; ``Worker.delivered`` when it was taken."""

    clip: Clip
    path: Path


@dataclass(frozen=True)
class Renew:
    """Kill the child; another begins."""

    why: str


@dataclass(frozen=True)
class Reconnect:
    """Close the socket to the controller and open another."""


Action: TypeAlias = Say | Tell | Deliver | Renew | Reconnect
