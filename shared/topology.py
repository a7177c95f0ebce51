"""The only place that knows the station's processes and endpoints.

A *channel* is a pair of socket roles and the service that binds it. Everything runs over ``ipc://`` in the sockets'
folder; the two channels of a generator on another machine run over TCP, always encrypted.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shared.paths import Paths


class Role(enum.Enum):
    """Kinds of sockets, named as ZeroMQ names them."""

    PUSH = enum.auto()
    PULL = enum.auto()
    ROUTER = enum.auto()
    DEALER = enum.auto()
    PUB = enum.auto()
    SUB = enum.auto()
    XPUB = enum.auto()
    XSUB = enum.auto()


@dataclass(frozen=True)
class Service:
    """One of the station's processes."""

    name: str
    module: str
    """Its shell: a module with ``run(paths, settings)``."""


@dataclass(frozen=True)
class Channel:
    """A way for messages, bound once, connected to by many."""

    name: str
    binder: str
    """The service that binds."""
    bound: Role
    connected: Role
    max_bytes: int = 4 << 20
    """Largest frame taken; a larger one closes the connection."""
    high_water: int = 1_000
    """Messages kept for a peer that does not read."""
    tcp_port: int | None = None
    """Default port, for the channels between machines."""

    def ipc_endpoint(self, paths: Paths) -> str:
        return f"ipc://{paths.sockets / self.name}.sock"

    def tcp_endpoint(self, host: str, port: int) -> str:
        bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"tcp://{bracketed}:{port or '*'}"


SERVICES: Mapping[str, Service] = MappingProxyType(
    {
        name: Service(name, f"services.{name}.service")
        for name in ("controller", "player", "analyzer", "generator", "dashboard")
    }
)
"""In the order in which they are started: who is needed for sound comes first."""

JOBS = Channel("jobs", binder="controller", bound=Role.ROUTER, connected=Role.DEALER)
CLIPS = Channel("clips", binder="analyzer", bound=Role.PULL, connected=Role.PUSH)
JOBS_LAN = Channel("jobs-lan", binder="controller", bound=Role.ROUTER, connected=Role.DEALER, tcp_port=8421)
CLIPS_LAN = Channel(
    "clips-lan",
    binder="analyzer",
    bound=Role.PULL,
    connected=Role.PUSH,
    tcp_port=8422,
    max_bytes=256 << 20,
    high_water=4,
)
LOOPS = Channel("loops", binder="player", bound=Role.PULL, connected=Role.PUSH)
"""Loops from the analyzer and the wanted state from the controller."""
RECEIPTS = Channel("receipts", binder="controller", bound=Role.PULL, connected=Role.PUSH)
STATUS_IN = Channel("status-in", binder="controller", bound=Role.XSUB, connected=Role.PUB, max_bytes=1 << 20)
STATUS = Channel("status", binder="controller", bound=Role.XPUB, connected=Role.SUB, max_bytes=1 << 20)
COMMANDS = Channel("commands", binder="controller", bound=Role.ROUTER, connected=Role.DEALER)
TAP = Channel("tap", binder="player", bound=Role.PUB, connected=Role.SUB, high_water=250)
"""Numbered blocks of 20 ms: 250 of them are five seconds of room."""

CHANNELS: tuple[Channel, ...] = (
    JOBS,
    CLIPS,
    JOBS_LAN,
    CLIPS_LAN,
    LOOPS,
    RECEIPTS,
    STATUS_IN,
    STATUS,
    COMMANDS,
    TAP,
)
