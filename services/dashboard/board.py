"""What every service last said of itself, and which of it is news.

Threads: everything here belongs to the thread of the web server's event loop. Time comes in as an argument.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from shared.messages import ControllerStatus, PlayerStatus, ServiceState, Status
from shared.topology import SERVICES

ALIVE_S: Final = 4.0
"""Every service speaks once a second; one that was silent for this long is away."""
_REPEAT_S: Final = 1.0
"""How often what merely runs on (positions, counters) is news."""


@dataclass
class _Entry:
    status: Status
    heard_at: float
    news_at: float
    version: int


class Board:
    """The last status of each service."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self.version = 0
        """Rises with all news."""
        self._news = asyncio.Event()
        self.sounding = False
        """Whether blocks of the tap arrive: the player is there even while the controller, who passes states on, is
        not."""

    def take(self, status: Status, now: float) -> None:
        """A service spoke."""
        known = self._entries.get(status.service)
        if known is not None and now - known.news_at < _REPEAT_S and _lasting(known.status) == _lasting(status):
            known.status, known.heard_at = status, now
            return
        self.wake()
        self._entries[status.service] = _Entry(status, now, now, self.version)

    def hear(self, sounding: bool) -> None:
        """Blocks of the tap arrive, or no longer."""
        if sounding != self.sounding:
            self.sounding = sounding
            self.wake()

    def wake(self) -> None:
        """There is news: let those who wait go on."""
        self.version += 1
        self._news.set()
        self._news = asyncio.Event()

    def state(self, service: str) -> ServiceState | None:
        """What this service last said, however long ago."""
        entry = self._entries.get(service)
        return entry.status.state if entry is not None else None

    def alive(self, now: float) -> dict[str, bool]:
        """Which services are there."""
        alive = {name: self._heard_within(name, now, ALIVE_S) for name in SERVICES}
        if not alive["controller"]:
            # States come by way of the controller. Without it only the sound itself tells of the player, and the
            # others are taken to be as they were.
            alive["player"] = self.sounding
            for name in ("analyzer", "generator"):
                alive[name] = name in self._entries
        alive["dashboard"] = True
        return alive

    def services(self, now: float, since: dict[str, int] | None = None) -> dict[str, dict[str, Any]]:
        """Each service's last status in plain types.

        Parameters
        ----------
        since : the versions that the asker has; then only what is newer is returned, and the versions are brought up
            to date.
        """
        found = {}
        for name, entry in self._entries.items():
            if since is not None and since.get(name) == entry.version:
                continue
            if since is not None:
                since[name] = entry.version
            status = entry.status
            found[name] = {
                "age_s": round(now - entry.heard_at, 3),
                "pid": status.pid,
                "uptime_s": status.uptime_s,
                "rss_bytes": status.rss_bytes,
                "state": _plain(status.state),
            }
        return found

    async def wait(self, version: int, timeout_s: float) -> None:
        """Until there is news after ``version``, or this long."""
        if self.version > version:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), timeout_s)

    def _heard_within(self, service: str, now: float, seconds: float) -> bool:
        entry = self._entries.get(service)
        return entry is not None and now - entry.heard_at < seconds


def now_playing(player: ServiceState | None, controller: ServiceState | None) -> str:
    """The title for clients that show one: "Artist – Title", or what there is of it."""
    if not isinstance(player, PlayerStatus) or player.loop is None:
        return ""
    loop = player.loop
    titles = controller.titles if isinstance(controller, ControllerStatus) else {}
    title = loop.title or titles.get(loop.loop_id, "")
    if not title and loop.recipe is not None:
        title = loop.recipe.prompt
    return " – ".join(part for part in (loop.artist, title) if part)


def _lasting(status: Status) -> ServiceState:
    """The state without what changes while nothing happens."""
    state = status.state
    if isinstance(state, PlayerStatus):
        return msgspec.structs.replace(
            state, frame=0, song_frames=0, blocks=0, latency_s=0.0, worst_lateness_s=0.0, cpu_percent=0.0
        )
    if isinstance(state, ControllerStatus):
        return msgspec.structs.replace(state, machine_load=0.0, disk_free_bytes=0, cache_bytes=0)
    return state


def _plain(state: ServiceState) -> dict[str, Any]:
    """Fields at their defaults do not travel between the processes, but whoever reads the API wants to see them."""
    return {name: msgspec.to_builtins(getattr(state, name)) for name in state.__struct_fields__}
