"""What becomes of a command: done at once by the core, or handed to the thread that may wait for the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from services.controller.core import Station
from services.controller.effects import Effect
from services.controller.library import Library
from services.controller.presets import Preset
from services.controller.saving import SaveOrder
from shared.errors import UsageError
from shared.paths import Paths

Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """One command as it came in."""

    arguments: Arguments
    station: Station
    now: float
    find_preset: Callable[[str], Preset]

    def text(self, name: str) -> str | None:
        value = self.arguments.get(name)
        if value is not None and not isinstance(value, str):
            raise UsageError(f"{name} must be text.")
        return value


@dataclass(frozen=True)
class Done:
    """The core has changed; these effects follow, and this is the answer."""

    text: str
    effects: list[Effect] = field(default_factory=list)
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ChangeSettings:
    """Write these settings to the file and put them in force; then do the rest, where there is any, and answer."""

    changes: Mapping[str, Any]
    then: Callable[[], Done] | None = None
    carried: Mapping[str, Any] | None = None
    """Those of a preset, which go before the listener's own while it plays; None: as it was."""


@dataclass(frozen=True)
class Save:
    order: SaveOrder


@dataclass(frozen=True)
class Consult:
    """Have the library's thread do ``work``; what ``then`` makes of its result is what the core does and answers."""

    work: Callable[[Library], Any]
    then: Callable[[Any], Done]


@dataclass(frozen=True)
class WithFiles:
    """Have the disk's thread do ``work`` in the station's folders; what ``then`` makes of its result is the answer."""

    work: Callable[[Paths], Any]
    then: Callable[[Any], Done]


@dataclass(frozen=True)
class Report:
    """Answer with the whole state."""


@dataclass(frozen=True)
class ListSettings:
    """Answer with every setting that is in force."""


@dataclass(frozen=True)
class ShutDown:
    """Answer, then end the station."""


Outcome: TypeAlias = Done | ChangeSettings | Save | Consult | WithFiles | Report | ListSettings | ShutDown
