"""A generator that works for a station on another machine, over encrypted TCP; the clips travel in the messages."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from services.generator.service import Generator, Lines, worker_name
from shared.keys import KeyFile
from shared.paths import Paths
from shared.runtime.service import ServiceLoop
from shared.settings import Settings
from shared.topology import CLIPS_LAN, JOBS_LAN

log = logging.getLogger(__name__)

LOOK_S = 1.0
SILENT_AFTER_S = 8.0
KEPT_S = 900.0
"""A clip that was sent is kept so long, in case it is asked for again."""


def run(paths: Paths, settings: Settings, host: str, key: KeyFile) -> None:
    """Work until told to stop.

    Raises
    ------
    LinkError
        ``host`` is no address.
    """
    loop = ServiceLoop(paths)
    name, keys = f"{key.name}-{worker_name(paths)}"[:80], key.client_keys
    folder = paths.cache / "sent"
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder, older_than_s=0.0)
    lines = Lines(
        open_jobs=lambda: loop.bus.connect_tcp(JOBS_LAN, host, key.jobs_port, keys, identity=name),
        open_clips=lambda: loop.bus.connect_tcp(CLIPS_LAN, host, key.clips_port, keys),
        attach=True,
    )
    generator = Generator(loop, paths, settings, lines, name=name, clips=folder)
    watch = _Watch(generator, host, key.jobs_port)
    loop.every(LOOK_S, watch.look)
    loop.every(KEPT_S, lambda: _sweep(folder, older_than_s=KEPT_S))
    log.info("This generator is %s; it looks for the station on %s.", name, host)
    loop.run()


class _Watch:
    """Says when the station is found and when it is lost, once each."""

    def __init__(self, generator: Generator, host: str, port: int) -> None:
        self._generator, self._host, self._port = generator, host, port
        self._began = time.monotonic()
        self._said: bool | None = None

    def look(self) -> None:
        heard = self._generator.worker.heard_at
        now = time.monotonic()
        there = now - (heard if heard is not None else self._began) < SILENT_AFTER_S
        if heard is None and there:
            return
        if there != self._said:
            self._said = there
            if there:
                log.info("The station on %s is there.", self._host)
            else:
                log.warning(
                    "%s does not answer on port %d: is a station running there, with `infiniloop set lan on`, is the "
                    "port open, and is this key still in its `infiniloop keys list`?",
                    self._host,
                    self._port,
                )


def _sweep(folder: Path, older_than_s: float) -> None:
    """Remove clips that were sent long ago; nobody else looks into this folder."""
    for path in folder.iterdir():
        try:
            if time.time() - path.stat().st_mtime >= older_than_s:
                path.unlink()
        except OSError as error:
            log.warning("%s cannot be removed (%s).", path, error.strerror)
