"""A model hub of one model on this machine: it lists, serves from any byte, breaks off, and lies, as it is told."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = ".safetensors"


@dataclass
class FakeHub:
    """What the hub serves and how; ``asked`` holds each request with the byte it began at."""

    folder: Path
    repository: str
    breaks_after: dict[str, int] = field(default_factory=dict)
    """The first request for this file ends after so many bytes of its body."""
    lies_about: set[str] = field(default_factory=set)
    asked: list[tuple[str, int]] = field(default_factory=list)
    address: str = ""

    def listing(self) -> bytes:
        files = []
        for path in sorted(self.folder.iterdir()):
            data = path.read_bytes()
            entry: dict[str, object] = {"rfilename": path.name, "size": len(data)}
            if path.name.endswith(LARGE):
                entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            else:
                entry["blobId"] = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            files.append(entry)
        files.append({"rfilename": "pytorch_model.bin", "size": 10**12, "lfs": {"sha256": "0", "size": 10**12}})
        return json.dumps({"sha": COMMIT, "siblings": files}).encode()

    def content(self, name: str) -> bytes:
        data = (self.folder / name).read_bytes()
        return bytes(len(data)) if name in self.lies_about else data


@contextmanager
def serve(hub: FakeHub) -> Iterator[FakeHub]:
    """The hub on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            offset = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
            hub.asked.append((self.path, offset))
            if self.path == f"/api/models/{hub.repository}/revision/main?blobs=true":
                self._answer(hub.listing(), 0, "")
                return
            prefix = f"/{hub.repository}/resolve/{COMMIT}/"
            name = self.path.removeprefix(prefix)
            if not self.path.startswith(prefix) or not (hub.folder / name).is_file():
                self.send_error(404)
                return
            self._answer(hub.content(name), offset, name)

        def _answer(self, data: bytes, offset: int, name: str) -> None:
            self.send_response(206 if offset else 200)
            self.send_header("Content-Length", str(len(data) - offset))
            self.end_headers()
            body = data[offset:]
            if name in hub.breaks_after:
                body = body[: hub.breaks_after.pop(name)]
                self.close_connection = True
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
