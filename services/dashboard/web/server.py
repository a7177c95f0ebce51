"""The web server's thread: an event loop that begins before anything is known and ends when asked."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from services.dashboard.audience import Audience
from services.dashboard.ports import Opened
from services.dashboard.web.api import STATION, Api
from services.dashboard.web.guard import Guard
from services.dashboard.web.stream import StreamEndpoint

STATIC: Final = Path(__file__).parent.parent / "static"
_END_WITHIN_S: Final = 2.0
_MOST_CONNECTIONS: Final = 256


def build_app(api: Api, audience: Audience, *, bitrate: int, host: str) -> Starlette:
    """The web application: every path of the page, the API and the stream."""

    async def page(_request: object) -> Response:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    return Starlette(
        routes=[
            Route("/", page),
            Route("/stream.mp3", StreamEndpoint(audience, bitrate, STATION), methods=["GET", "HEAD"]),
            Route("/stream.m3u", api.playlist),
            Route("/api/status", api.status),
            Route("/api/events", api.events),
            Route("/api/command", api.command, methods=["POST"]),
            Route("/api/loops/{loop_id}/peaks", api.peaks),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Guard, bound_host=host)],
    )


class WebThread(threading.Thread):
    """Serves until ``end``; calls ``when_ended`` if it ends by itself, since then nobody hears the station any more."""

    def __init__(self, loop: asyncio.AbstractEventLoop, opened: Opened, when_ended: Callable[[], None]) -> None:
        super().__init__(name="web", daemon=True)
        self.loop = loop
        self._opened, self._when_ended = opened, when_ended
        self._server: uvicorn.Server | None = None
        self._let_go: Callable[[], None] = lambda: None

    def serve(self, app: Starlette, let_go: Callable[[], None]) -> None:
        """Begin; ``let_go`` ends what would otherwise never end, such as the stream."""
        self._let_go = let_go
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_keep_alive=15,
                timeout_graceful_shutdown=1,
            )
        )
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        logging.getLogger("uvicorn.error").addFilter(_unless_let_go)
        self.start()

    def run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            if self._server is not None:
                self.loop.run_until_complete(self._server.serve(sockets=[self._opened.socket]))
        finally:
            self._when_ended()

    def end(self) -> None:
        """Let everyone go and wait for the end, from another thread."""
        self.loop.call_soon_threadsafe(self._end)
        self.join(_END_WITHIN_S)

    def _end(self) -> None:
        if self._server is not None:
            self._server.should_exit = True
        self._let_go()


def _unless_let_go(record: logging.LogRecord) -> bool:
    """A stream that is cut because its client does not read is no fault of the server."""
    return "without completing response" not in record.getMessage()
