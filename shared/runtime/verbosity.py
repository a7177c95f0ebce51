"""Detailed logging, turned on and off while a service runs by the setting ``debug``; INFINILOOP_DEBUG keeps it on."""

from __future__ import annotations

import logging
import os

from shared.paths import Paths

LOOK_S = 1.0
_OURS = ("services", "shared")
"""Only what these packages log: others have much to say that helps nobody here."""


class Verbosity:
    """Looks at the settings' file; a look costs two ``stat`` while nothing changes."""

    def __init__(self, paths: Paths) -> None:
        from shared.settings import load
        from shared.settings.watch import SettingsWatch

        self._always = bool(os.environ.get("INFINILOOP_DEBUG"))
        self._watch = SettingsWatch(paths, load(paths)[0])
        self.look()

    def look(self) -> None:
        """Log as the setting says now."""
        level = logging.DEBUG if self._always or self._watch.current().controller.debug else logging.INFO
        for name in _OURS:
            logging.getLogger(name).setLevel(level)
