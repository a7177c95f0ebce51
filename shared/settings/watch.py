"""Settings that were changed while a service runs: read again when one of their files is another."""

from __future__ import annotations

from pathlib import Path

from shared.paths import Paths
from shared.settings.store import Settings, load


class SettingsWatch:
    """The settings in force, as of the last look."""

    def __init__(self, paths: Paths, settings: Settings) -> None:
        self._paths, self._settings = paths, settings
        self._stamp = self._look()

    def current(self) -> Settings:
        """The settings now; costs two ``stat`` while nothing changes."""
        if (stamp := self._look()) != self._stamp:
            self._stamp = stamp
            self._settings, _ = load(self._paths)
        return self._settings

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(path) for path in (self._paths.settings_file, self._paths.preset_settings_file))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
