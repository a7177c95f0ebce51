"""Keeps other web sites away from a station on this machine.

A page from anywhere can make a browser send requests to the loopback, and a name that is made to point there (DNS
rebinding) even lets it read the answers. So a request must name this machine as its host, a request that changes
something must come from the station's own page or from no page at all, and only a person who follows a link may come
from another site.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.dashboard.ports import is_loopback

_SAFE_METHODS: Final = ("GET", "HEAD")
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def refusal(method: str, headers: Mapping[str, str], bound_host: str) -> str | None:
    """Why this request is refused, in one sentence; None if it is welcome.

    Parameters
    ----------
    headers : by lower-case name
    bound_host : the address that the server listens on
    """
    host = headers.get("host", "")
    if host and not _names_this_machine(_host_name(host), bound_host):
        return f"{host} is not a name of this station: use its address, such as 127.0.0.1."
    if method not in _SAFE_METHODS:
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host.lower()}":
            return "Commands are taken from the station's own page alone, not from another web site."
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return "Commands are taken from the station's own page alone, not from another web site."
    elif (
        headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
        and headers.get("sec-fetch-mode") != "navigate"
    ):
        return "Another web site may not use this station: open its own page."
    return None


class Guard:
    """Refuses what ``refusal`` names, and gives every answer the headers that keep the page to itself."""

    def __init__(self, app: ASGIApp, bound_host: str) -> None:
        self._app, self._bound_host = app, bound_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if sentence := refusal(scope["method"], Headers(scope=scope), self._bound_host):
            await JSONResponse({"ok": False, "text": sentence}, 403)(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, send_guarded)


def _host_name(host: str) -> str:
    """The name in a Host header, without port, brackets and final dot."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower().rstrip(".")


def _names_this_machine(name: str, bound_host: str) -> bool:
    if name in ("localhost", bound_host.lower()) or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        own = socket.gethostname().lower()
        return not is_loopback(bound_host) and name in (own, f"{own}.local")
    # No name was looked up to get here, so nobody can have pointed it elsewhere.
    return is_loopback(name) or not is_loopback(bound_host)
