"""How long MusicGPT may take: learned from how long it took before on this machine."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from shared.durable import replace_file
from shared.errors import StoreError

UNKNOWN_S = 120.0
UNKNOWN_PER_SECOND = 60.0
"""Before anything was measured: a large model on an old machine makes a second of music in less."""
FACTOR = 3.0
SHORTEST_S = 60.0
_KEPT = 20


class Patience:
    """The times of the last runs of each model, kept in a file.

    A run that was ended for want of time counts with the time it had, so that a machine which became slower is given
    more the next time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._runs: dict[str, list[tuple[float, float]]] = _read(path)

    def limit(self, model: str, seconds: float) -> float:
        """Seconds that a clip of this length may take, downloads not counted."""
        runs = self._runs.get(model)
        if not runs:
            return UNKNOWN_S + UNKNOWN_PER_SECOND * seconds
        slowest = max(took / length for took, length in runs)
        return max(SHORTEST_S, FACTOR * slowest * seconds)

    def learn(self, model: str, seconds: float, took: float) -> None:
        """Remember how long a clip of this length took."""
        self._runs[model] = [*self._runs.get(model, []), (round(took, 3), seconds)][-_KEPT:]
        with contextlib.suppress(StoreError):  # without room on the disk the next run is merely given more time
            replace_file(self._path, json.dumps(self._runs).encode())


def _read(path: Path) -> dict[str, list[tuple[float, float]]]:
    try:
        stored = json.loads(path.read_bytes())
        return {str(model): [(float(took), float(length)) for took, length in runs] for model, runs in stored.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
