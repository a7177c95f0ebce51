"""Which backend makes a job: the one that was asked for, or, for ``auto``, the best that is already here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.errors import BackendUnavailable
from shared.messages import Capabilities

AUTO = "auto"
BY_PREFERENCE = ("musicgen", "musicgpt", "composer")
"""A model that is present before rules; ``auto`` never means something that would have to be downloaded."""


@dataclass(frozen=True)
class Choice:
    backend: str
    reason: str
    """Why this one, and what would change it."""


def choose(wanted: str, capabilities: Iterable[Capabilities]) -> Choice:
    """The backend for a job that asks for ``wanted``.

    Raises
    ------
    BackendUnavailable
        It is unknown here or cannot run; the sentence says what would change that.
    """
    known = {each.backend: each for each in capabilities}
    if wanted != AUTO:
        found = known.get(wanted)
        if found is None:
            raise BackendUnavailable(f"There is no backend {wanted!r} here: choose one of {', '.join(known)}.")
        if not found.available:
            raise BackendUnavailable(found.reason or f"The backend {wanted} cannot run here.")
        return Choice(wanted, "It was asked for.")
    passed_over: list[str] = []
    for name in (*BY_PREFERENCE, *(name for name in known if name not in BY_PREFERENCE)):
        if name not in known:
            continue
        if known[name].available:
            return Choice(name, " ".join((_PRAISE.get(name, f"{name} is the first that can run here."), *passed_over)))
        passed_over.append(f"{name}: {known[name].reason}")
    raise BackendUnavailable(" ".join(("No backend can run here.", *passed_over)))


_PRAISE = {
    "musicgen": "A MusicGen model is present.",
    "musicgpt": "MusicGPT is here with its model and its runtime library.",
    "composer": "The composer needs no model and no download.",
}
