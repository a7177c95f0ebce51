"""``/stream.mp3``: the live stream to one client, until either side ends it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from services.dashboard.audience import Audience, Listener
from services.dashboard.icy import INTERVAL, TitleWeaver


class StreamEndpoint:
    """An ASGI application that answers with endless MP3."""

    def __init__(self, audience: Audience, bitrate: int, station: str) -> None:
        self._audience, self._bitrate, self._station = audience, bitrate, station

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._audience.full:
            await JSONResponse({"ok": False, "text": "The stream has as many listeners as it can serve."}, 503)(
                scope, receive, send
            )
            return
        titled = Headers(scope=scope).get("icy-metadata") == "1"
        headers = {
            "Content-Type": "audio/mpeg",
            "Cache-Control": "no-store",
            "Accept-Ranges": "none",
            "icy-name": self._station,
            "icy-br": str(self._bitrate),
            "icy-pub": "0",
        }
        if titled:
            headers["icy-metaint"] = str(INTERVAL)
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()
                ],
            }
        )
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        listener = self._audience.join()
        try:
            await _until_one_ends(
                _sound(listener, send, TitleWeaver() if titled else None), _departure(receive), listener.gone.wait()
            )
        finally:
            self._audience.leave(listener)


async def _sound(listener: Listener, send: Send, weaver: TitleWeaver | None) -> None:
    while True:
        chunk = await listener.next()
        audio = weaver.weave(chunk.audio, chunk.title) if weaver is not None else chunk.audio
        await send({"type": "http.response.body", "body": audio, "more_body": True})


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _until_one_ends(*coroutines: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            with contextlib.suppress(OSError):  # the client went while something was being sent to it
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
