"""Every setting with its value, its default, what is allowed and what it does. Pure."""

from __future__ import annotations

from typing import Any

from shared.settings import Settings, fields, read_value


def listed(settings: Settings) -> list[dict[str, Any]]:
    """One entry per setting, section by section."""
    return [
        {
            "key": field.key,
            "value": read_value(settings, field),
            "default": field.default,
            "allowed": field.allowed,
            "choices": list(field.choices),
            "aliases": list(field.aliases),
            "help": field.help,
        }
        for field in fields()
    ]
