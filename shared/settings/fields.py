"""What a setting may be: a choice, a number in a range, a switch, a text. Each refuses in words that name the range."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

from shared.errors import SettingError

Value = str | int | float | bool


@dataclasses.dataclass(frozen=True)
class Field:
    """One setting, as a listener meets it."""

    section: str
    name: str
    default: Value
    read: Callable[[Any], Value]
    """Turns what was given into the setting's type; raises ``ValueError`` if it is not allowed."""
    allowed: str
    """The allowed values in words: "5–30 s"."""
    help: str
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.section}.{self.name}"

    def check(self, given: Any, source: str = "") -> Value:
        """The value in the setting's type.

        Raises
        ------
        SettingError
            Out of range or of the wrong kind; names the range and, where given, the source.
        """
        try:
            return self.read(given)
        except (ValueError, TypeError):
            where = f" in {source}" if source else ""
            raise SettingError(f"{self.name} cannot be {given!r}{where}: allowed is {self.allowed}.") from None


_UNBOUND: dict[str, Any] = {"section": "", "name": ""}


def choice(default: str, *others: str, help: str, aliases: tuple[str, ...] = ()) -> Any:
    """One of some words; the first is the default."""
    allowed = (default, *others)

    def read(given: Any) -> str:
        word = str(given).strip().lower()
        if word not in allowed:
            raise ValueError(word)
        return word

    return _declare(default, read, ", ".join(allowed), help, aliases, choices=allowed)


def number(
    default: float,
    low: float,
    high: float,
    *,
    help: str,
    unit: str = "",
    aliases: tuple[str, ...] = (),
) -> Any:
    """A number within a closed range; a whole number where the default is one."""
    whole = isinstance(default, int)

    def read(given: Any) -> float:
        if isinstance(given, bool):
            raise TypeError(given)
        value = float(str(given).strip().removesuffix(unit).strip() if isinstance(given, str) and unit else given)
        if not low <= value <= high or (whole and value != int(value)):
            raise ValueError(given)
        return int(value) if whole else value

    allowed = f"{low:g} to {high:g}{' ' + unit if unit else ''}" + (", a whole number" if whole else "")
    return _declare(default, read, allowed, help, aliases)


def switch(default: bool, *, help: str, aliases: tuple[str, ...] = ()) -> Any:
    """On or off."""
    words = {"on": True, "off": False, "true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}

    def read(given: Any) -> bool:
        return given if isinstance(given, bool) else words[str(given).strip().lower()]

    def checked(given: Any) -> bool:
        try:
            return read(given)
        except KeyError:
            raise ValueError(given) from None

    return _declare(default, checked, "on or off", help, aliases, choices=("on", "off"))


def text(
    default: str,
    *,
    help: str,
    allowed: str = "any text",
    pattern: str = r"[^\x00-\x1f]*",
    limit: int = 400,
    aliases: tuple[str, ...] = (),
) -> Any:
    """A text that matches ``pattern`` as a whole."""
    shape = re.compile(pattern)

    def read(given: Any) -> str:
        value = str(given).strip()
        if len(value) > limit or not shape.fullmatch(value):
            raise ValueError(given)
        return value

    return _declare(default, read, allowed, help, aliases)


def custom(default: str, read: Callable[[Any], str], *, allowed: str, help: str, aliases: tuple[str, ...] = ()) -> Any:
    """A setting with a rule of its own."""
    return _declare(default, read, allowed, help, aliases)


def _declare(
    default: Value,
    read: Callable[[Any], Value],
    allowed: str,
    help: str,
    aliases: tuple[str, ...],
    *,
    choices: tuple[str, ...] = (),
) -> Any:
    field = Field(**_UNBOUND, default=default, read=read, allowed=allowed, help=help, choices=choices, aliases=aliases)
    return dataclasses.field(default=default, metadata={"field": field})


def bind(section: str, declared: type) -> tuple[Field, ...]:
    """The fields of a section's dataclass, each knowing its own name."""
    return tuple(
        dataclasses.replace(item.metadata["field"], section=section, name=item.name)
        for item in dataclasses.fields(declared)
    )
