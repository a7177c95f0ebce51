"""The port of the page and the stream: the one asked for, or the next that is free. No service ends for a port."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

TRIES: Final = 20
LOCAL_HOST: Final = "127.0.0.1"
_BACKLOG: Final = 128
_SEND_BUFFER: Final = 128 << 10


@dataclass(frozen=True)
class Opened:
    """A socket that listens."""

    socket: socket.socket
    host: str
    port: int
    note: str
    """A sentence if it is not the address that was asked for."""

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the page."""
        host = {"0.0.0.0": LOCAL_HOST, "::": "::1"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"


def open_port(host: str, port: int, *, avoid: Collection[int] = ()) -> Opened:
    """Listen on ``host`` at ``port`` or the next free one after it; on this machine alone if there is no such address.

    Parameters
    ----------
    avoid : ports that are kept for something else, and taken only if they were asked for

    Raises
    ------
    OSError
        Not even the loopback can be listened on.
    """
    try:
        return _first_free(host, port, avoid, "")
    except OSError as error:
        if host == LOCAL_HOST:
            raise
        reason = error.strerror or str(error)
        return _first_free(
            LOCAL_HOST,
            port,
            avoid,
            f"This machine cannot be reached at {host} ({reason.lower()}), so the page is on {LOCAL_HOST} alone: "
            "change dashboard.host.",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def _first_free(host: str, port: int, avoid: Collection[int], note: str) -> Opened:
    following = (each for each in range(port + 1, min(port + TRIES, 65_536)) if each not in avoid)
    for candidate in (port, *following, 0):
        try:
            opened = _listen(host, candidate)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            continue
        got: int = opened.getsockname()[1]
        if got != port:
            note = " ".join(filter(None, (note, f"Port {port} is taken by another program, so the page is on {got}.")))
        return Opened(opened, host, got, note)
    raise OSError(errno.EADDRINUSE, "every port is taken")


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    opened = socket.socket(family, kind, protocol)
    try:
        # A dashboard that begins again gets the port of the one before it at once.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # What the kernel holds for a client that does not read is bounded too; accepted sockets inherit it.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        opened.bind(address)
        opened.listen(_BACKLOG)
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened
