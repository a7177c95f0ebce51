"""The way in for generators on other machines: one TCP channel of one service, open while the listener wants it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from shared import keys
from shared.bus import Link, Received
from shared.errors import InfiniLoopError
from shared.messages import AnyMessage
from shared.paths import Paths
from shared.runtime.service import ServiceLoop
from shared.settings.controller import ControllerSettings
from shared.topology import JOBS_LAN, Channel

log = logging.getLogger(__name__)

LOOK_S = 1.0


class Door:
    """Binds a channel over TCP while ``lan`` is on, and keeps to the keys that are allowed at any moment.

    ``wanted`` is asked for the settings once a second, so that turning ``lan`` on needs no restart.

    A key that is added gets in within a second. When one is removed the channel is bound anew, which ends every
    connection; those that are still allowed are back at once.
    """

    def __init__(
        self,
        loop: ServiceLoop,
        paths: Paths,
        channel: Channel,
        wanted: Callable[[], ControllerSettings],
        handler: Callable[[Received], None],
        *,
        look_s: float = LOOK_S,
    ) -> None:
        self._loop, self._paths, self._channel, self._handler = loop, paths, channel, handler
        self._wanted, self._settings = wanted, wanted()
        self._link: Link | None = None
        self._allowed: frozenset[str] = frozenset()
        self.problem = ""
        """Why it is not open though it should be, in one sentence."""
        self._look()
        loop.every(look_s, self._look)

    @property
    def is_open(self) -> bool:
        return self._link is not None

    def send(self, message: AnyMessage, *, to: bytes) -> bool:
        """Answer a peer; False if it is gone."""
        return self._link is not None and self._link.send(message, to=to)

    def _look(self) -> None:
        before, self._settings = _about(self._settings), self._wanted()
        if before != _about(self._settings):
            self._close()
        if not self._settings.lan:
            self.problem = ""
            return
        try:
            allowed = frozenset(guest.public for guest in keys.guests(self._paths))
            if self._link is not None and self._allowed - allowed:
                log.info("A key was removed: the connections on %s are made anew.", self._channel.name)
                self._close()
            if self._link is None:
                self._open()
            elif allowed != self._allowed:
                self._loop.bus.reload_allowed(keys.server_keys(self._paths).allowed)
            self._allowed = allowed
        except InfiniLoopError as error:
            if str(error) != self.problem:
                self.problem = str(error)
                log.warning("%s It is tried again.", error)
        else:
            self.problem = ""

    def _open(self) -> None:
        chosen = self._settings
        port = chosen.jobs_port if self._channel is JOBS_LAN else chosen.clips_port
        link = self._loop.bus.bind_tcp(self._channel, chosen.lan_host, port, keys.server_keys(self._paths))
        self._link = self._loop.on(link, self._handler)
        log.info("Generators on other machines are heard on port %d.", port)

    def _close(self) -> None:
        if self._link is not None:
            self._loop.forget(self._link)
            self._link = None


def _about(settings: ControllerSettings) -> tuple[bool, str, int, int]:
    return settings.lan, settings.lan_host, settings.jobs_port, settings.clips_port
