"""The HTTP API: states, news of them, commands, outlines of loops. ``docs/http-api.md`` describes it for its users."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from services.dashboard.audience import Audience
from services.dashboard.board import Board, now_playing
from services.dashboard.peaks import read_peaks
from shared import __version__
from shared.errors import AudioFileError
from shared.messages import PROMPT_LIMIT, Answer, PlayerStatus
from shared.music import Identifier
from shared.topology import SERVICES

STATION: Final = "INFINI LOOP"
BODY_LIMIT: Final = 64 << 10
NEWS_SHORTEST_S: Final = 0.1
"""At most ten events a second."""
HEARTBEAT_S: Final = 1.0
_KEPT_OUTLINES: Final = 8
AWAY = (
    "The controller does not answer, so this was not done; the music plays on. It begins again by itself: "
    "try again in a few seconds."
)

Ask = Callable[[str, dict[str, Any]], "asyncio.Future[Answer | None]"]


class CommandBody(msgspec.Struct, forbid_unknown_fields=True):
    name: Identifier
    arguments: Annotated[dict[str, Any], msgspec.Meta(max_length=32)] = {}


class Api:
    """The handlers, one method per path."""

    def __init__(
        self, board: Board, audience: Audience, ask: Ask, *, bitrate: int, note: str, folders: tuple[Path, ...]
    ) -> None:
        self._board, self._audience, self._ask = board, audience, ask
        self._bitrate, self._note, self._folders = bitrate, note, folders
        self._outlines: dict[str, list[list[float]]] = {}
        self._outline_lock = asyncio.Lock()
        self.ending = False
        """Set when the station ends, so that those who wait for events are let go."""

    async def status(self, request: Request) -> Response:
        """Everything that is known, once."""
        now = time.monotonic()
        known = self._board.services(now)
        alive = self._board.alive(now)
        return _json(
            {
                **self._frame(now),
                "version": __version__,
                "stream": {
                    "url": f"{request.base_url}stream.mp3",
                    "bitrate": self._bitrate,
                    "content_type": "audio/mpeg",
                    "listeners": self._audience.count,
                },
                "services": {
                    name: {"alive": alive[name], **known.get(name, {"age_s": None, "state": None})} for name in SERVICES
                },
            }
        )

    async def events(self, _request: Request) -> Response:
        """Server-sent events: what changed, and a sign of life every second."""
        return StreamingResponse(
            self._news(),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def command(self, request: Request) -> Response:
        """Give a command to the controller and return its answer."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return _refused(415, "A command is sent as application/json.")
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > BODY_LIMIT:
                return _refused(413, f"A command has at most {BODY_LIMIT >> 10} KiB.", close=True)
        try:
            command = msgspec.json.decode(body, type=CommandBody)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _refused(400, f'A command is {{"name": …, "arguments": {{…}}}}: {error}.')
        prompt = command.arguments.get("prompt")
        if isinstance(prompt, str) and len(prompt) > PROMPT_LIMIT:
            return _refused(
                400, f"The prompt has {len(prompt)} characters; at most {PROMPT_LIMIT} are taken: shorten it."
            )
        answer = await self._ask(command.name, command.arguments)
        if answer is None:
            return _refused(503, AWAY)
        return _json(
            {"ok": answer.ok, "text": answer.text, "exit_code": answer.exit_code, "data": answer.data},
            200 if answer.ok else 400 if answer.exit_code == 2 else 409,
        )

    async def peaks(self, request: Request) -> Response:
        """The outline of a loop that sounds or waits."""
        loop_id = request.path_params["loop_id"]
        async with self._outline_lock:  # one file is read at a time
            if loop_id not in self._outlines:
                path = self._path_of(loop_id)
                if path is None:
                    return _refused(404, "This loop does not sound now.")
                try:
                    outline = await asyncio.to_thread(read_peaks, path, self._folders)
                except AudioFileError as error:
                    return _refused(404, str(error))
                while len(self._outlines) >= _KEPT_OUTLINES:
                    self._outlines.pop(next(iter(self._outlines)))
                self._outlines[loop_id] = outline
        return _json({"loop_id": loop_id, "peaks": self._outlines[loop_id]})

    async def playlist(self, request: Request) -> Response:
        """A file that radio clients open."""
        return PlainTextResponse(
            f"#EXTM3U\n#EXTINF:-1,{STATION}\n{request.base_url}stream.mp3\n",
            media_type="audio/x-mpegurl",
        )

    def _path_of(self, loop_id: str) -> Path | None:
        player = self._board.state("player")
        if isinstance(player, PlayerStatus) and player.loop is not None and player.loop.loop_id == loop_id:
            return Path(player.loop.path)
        return None

    def _frame(self, now: float) -> dict[str, Any]:
        return {
            "station": STATION,
            "note": self._note,
            "sounding": self._board.sounding,
            "title": now_playing(self._board.state("player"), self._board.state("controller")),
            "alive": self._board.alive(now),
        }

    async def _news(self) -> AsyncIterator[str]:
        have: dict[str, int] = {}
        while not self.ending:
            now, version = time.monotonic(), self._board.version
            news = {
                **self._frame(now),
                "listeners": self._audience.count,
                "services": self._board.services(now, since=have),
            }
            yield f"data: {json.dumps(news, ensure_ascii=False, separators=(',', ':'))}\n\n"
            await asyncio.sleep(NEWS_SHORTEST_S)
            await self._board.wait(version, HEARTBEAT_S - NEWS_SHORTEST_S)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(content, status, headers={"Cache-Control": "no-store"})


def _refused(status: int, sentence: str, *, close: bool = False) -> Response:
    headers = {"Cache-Control": "no-store"} | ({"Connection": "close"} if close else {})
    return JSONResponse({"ok": False, "text": sentence}, status, headers=headers)
