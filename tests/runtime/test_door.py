"""The way in for other machines is open while the listener wants it, to those who hold a key."""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Iterator

import pytest

from shared import keys
from shared.bus import Bus, Received
from shared.messages import Heartbeat
from shared.paths import Paths
from shared.runtime.door import Door
from shared.runtime.service import ServiceLoop
from shared.settings.controller import ControllerSettings
from shared.topology import JOBS_LAN


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


def is_refused(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port)):
            return False
    except ConnectionRefusedError:
        return True


class Side:
    """A service with a door, and guests that knock."""

    def __init__(self, paths: Paths) -> None:
        self.loop = ServiceLoop(paths)
        self.guest = Bus(paths)
        self.heard: list[bytes] = []
        self.settings = ControllerSettings(lan=True, lan_host="127.0.0.1", jobs_port=free_port())
        self.door = Door(self.loop, paths, JOBS_LAN, lambda: self.settings, self._hear, look_s=0.05)

    def gets_in(self, key: keys.KeyFile, name: str, within_s: float = 10.0) -> bool:
        """Knock again and again as a worker does: a line that was refused once stays dead."""
        until, knocked_at = time.monotonic() + within_s, 0.0
        while name.encode() not in self.heard and (now := time.monotonic()) < until:
            if now - knocked_at > 0.3:
                knocked_at = now
                port = self.settings.jobs_port
                link = self.guest.connect_tcp(JOBS_LAN, "127.0.0.1", port, key.client_keys, identity=name)
                link.send(Heartbeat())
            self.loop.turn(0.05)
        return name.encode() in self.heard

    def _hear(self, received: Received) -> None:
        self.heard.append(received.peer)


@pytest.fixture
def side(paths: Paths) -> Iterator[Side]:
    made = Side(paths)
    yield made
    made.guest.close(0)
    made.loop.close()


def test_a_key_that_is_made_later_gets_in_and_one_that_is_removed_does_not(side: Side, paths: Paths) -> None:
    studio = keys.new_guest(paths, "studio", 1, 2)
    assert side.gets_in(studio, "studio")
    keys.remove_guest(paths, "studio")
    laptop = keys.new_guest(paths, "laptop", 1, 2)
    assert side.gets_in(laptop, "laptop")
    side.heard.clear()
    assert not side.gets_in(studio, "again", within_s=0.8)
    assert side.gets_in(laptop, "laptop-2")
    assert b"studio" not in side.heard


def test_it_is_shut_while_nobody_wants_it(side: Side) -> None:
    assert side.door.is_open
    side.settings = dataclasses.replace(side.settings, lan=False)
    until = time.monotonic() + 10
    while side.door.is_open and time.monotonic() < until:
        side.loop.turn(0.05)
    # ZeroMQ's own thread closes the port a moment after its socket.
    while not is_refused(side.settings.jobs_port):
        assert time.monotonic() < until


def test_a_busy_port_is_said_once_and_tried_again(side: Side, paths: Paths, caplog: pytest.LogCaptureFixture) -> None:
    settings = side.settings
    second = Door(side.loop, paths, JOBS_LAN, lambda: settings, side._hear, look_s=0.05)
    assert not second.is_open
    assert f"Port {side.settings.jobs_port}" in second.problem
    side.settings = dataclasses.replace(settings, lan=False)
    until = time.monotonic() + 10
    while not second.is_open and time.monotonic() < until:
        side.loop.turn(0.05)
    assert second.is_open
    assert second.problem == ""
    assert caplog.text.count("cannot be opened") == 1
