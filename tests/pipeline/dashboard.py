"""A real dashboard process, the ends that it talks to, and a client that reads its stream."""

from __future__ import annotations

import contextlib
import http.client
import io
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile

from shared.bus import Bus
from shared.paths import Paths
from shared.tap import pack_block
from shared.topology import TAP
from shared.units import STATION_RATE, TAP_BLOCK, Audio

DEADLINE_S = 20.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def service(paths: Paths, name: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """One service as the station runs it, in the home of ``paths``; ``settings`` are ``SECTION_KEY="value"``."""
    environment = {
        **os.environ,
        "INFINILOOP_HOME": str(paths.config.parent),
        "INFINILOOP_PLAYER_DRIVER": "null",
        **{f"INFINILOOP_{key}": value for key, value in settings.items()},
    }
    with subprocess.Popen([sys.executable, "-m", "services", "service", name, "--bare"], env=environment) as child:
        try:
            yield child
        finally:
            child.terminate()
            assert child.wait(DEADLINE_S) in (0, -signal.SIGKILL)


@contextlib.contextmanager
def dashboard(paths: Paths, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The dashboard at this port; it answers once ``connect`` has returned."""
    with service(paths, "dashboard", DASHBOARD_PORT=str(port)) as child:
        yield child


def connect(port: int) -> http.client.HTTPConnection:
    """A connection, as soon as the port is open."""
    until = time.monotonic() + DEADLINE_S
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        try:
            connection.connect()
        except ConnectionRefusedError:
            assert time.monotonic() < until, "the dashboard does not answer"
            threading.Event().wait(0.05)
            continue
        return connection


def request(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    """One request; returns the status and the body."""
    with contextlib.closing(connect(port)) as connection:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()


def tone(number: int) -> Audio:
    """One block of a tone without a gap between blocks."""
    t = (number * TAP_BLOCK + np.arange(TAP_BLOCK)) / STATION_RATE
    wave = (0.3 * np.sin(2 * np.pi * 440.0 * t)).astype(np.float32)
    return np.stack([wave, wave], axis=1)


class TapFeeder(threading.Thread):
    """Stands where the player stands: publishes numbered blocks, ``speed`` times as fast as they sound."""

    def __init__(self, paths: Paths, *, lost: frozenset[int] = frozenset(), speed: float = 4.0) -> None:
        super().__init__(daemon=True)
        self._paths, self._lost = paths, lost
        self._pause_s = TAP_BLOCK / STATION_RATE / speed
        self._ending = threading.Event()

    def run(self) -> None:
        bus = Bus(self._paths)
        link = bus.bind(TAP)
        for number in itertools.count():
            if self._ending.wait(self._pause_s):
                break
            if number not in self._lost:
                link.send_frames(pack_block(number, tone(number)))
        bus.close(0)

    def __enter__(self) -> TapFeeder:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ending.set()
        self.join()


def decode(mp3: bytes) -> Audio:
    samples: Audio
    samples, rate = soundfile.read(io.BytesIO(mp3), dtype="float32", always_2d=True)
    assert rate == STATION_RATE
    return samples


def longest_silence(samples: Audio, *, below_dbfs: float = -80.0) -> float:
    """The longest stretch, in seconds, in which nothing rises above ``below_dbfs``."""
    silent = np.abs(samples).max(axis=1) < 10 ** (below_dbfs / 20)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]]).astype(np.int8)))
    return float((edges[1::2] - edges[::2]).max(initial=0)) / STATION_RATE
