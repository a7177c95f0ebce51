"""The listener's settings: read once at the entry point, checked wherever they come from, passed down frozen.

One section per service, one module per section; ``fields`` says what a setting may be, ``store`` reads and writes.
"""

from shared.settings.fields import Field, Value
from shared.settings.store import Settings, carried_settings, carry, change, fields, find_field, load, read_value

__all__ = [
    "Field",
    "Settings",
    "Value",
    "carried_settings",
    "carry",
    "change",
    "fields",
    "find_field",
    "load",
    "read_value",
]
