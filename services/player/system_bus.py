"""Why the system bus (D-Bus), which gives priority and tells of sleep, was of no help: in words, for the log."""

from __future__ import annotations


def why_not(error: Exception) -> str:
    """What went wrong between the player and the bus, as a clause without a full stop."""
    match error:
        case ImportError():
            return "the package jeepney is not installed"
        case FileNotFoundError() | ConnectionRefusedError():
            return "this machine has no system bus"
        case TimeoutError():
            return "the system bus does not answer"
        case OSError():
            return f"the system bus cannot be reached: {(error.strerror or str(error)).lower()}"
    from jeepney.wrappers import DBusErrorResponse

    if isinstance(error, DBusErrorResponse) and error.data and isinstance(error.data[0], str):
        return f"the system bus says: {error.data[0].rstrip('.')}"
    return str(error) or type(error).__name__
