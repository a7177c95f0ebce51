"""A generator on another machine: two network namespaces, and between them nothing but a line.

The station's controller and analyzer run in one, ``infiniloop generator`` in the other, each with a home of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from shared import keys
from shared.bus import Bus
from shared.messages import ControllerStatus, Status
from shared.paths import Paths
from shared.topology import STATUS
from tests.pipeline.generating import with_musicgpt

pytestmark = pytest.mark.netns

STATION, GUEST = "infiniloop-a", "infiniloop-b"
ADDRESS = {STATION: "10.213.77.1", GUEST: "10.213.77.2"}
LINK = {STATION: "il-a", GUEST: "il-b"}
WAITS_S = 60.0


def ip(*words: str) -> None:
    done = subprocess.run(("ip", *words), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"`ip {' '.join(words)}` failed ({done.stderr.strip()}): be root and install iproute2."


@pytest.fixture
def network() -> Iterator[None]:
    """Two namespaces with one cable between them."""
    for name in (STATION, GUEST):
        subprocess.run(("ip", "netns", "del", name), capture_output=True, check=False)
        ip("netns", "add", name)
    try:
        ip("link", "add", LINK[STATION], "netns", STATION, "type", "veth", "peer", "name", LINK[GUEST], "netns", GUEST)
        for name in (STATION, GUEST):
            ip("-n", name, "address", "add", f"{ADDRESS[name]}/24", "dev", LINK[name])
            ip("-n", name, "link", "set", LINK[name], "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield
    finally:
        for name in (STATION, GUEST):
            ip("netns", "del", name)


@contextmanager
def within(namespace: str, paths: Paths, *command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command of ours in this namespace and this home."""
    process = subprocess.Popen(
        ["ip", "netns", "exec", namespace, sys.executable, "-m", "services", *command],
        env={**os.environ, "INFINILOOP_HOME": str(paths.config.parent), **environment},
    )
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(10) == 0


@dataclass
class Watcher:
    """What the station says of itself."""

    bus: Bus
    last: ControllerStatus = field(default_factory=ControllerStatus)

    def __post_init__(self) -> None:
        self._link = self.bus.connect(STATUS, topics=("controller",))

    def until(self, what: Callable[[ControllerStatus], bool], within_s: float = WAITS_S) -> None:
        until = time.monotonic() + within_s
        while not what(self.last):
            assert time.monotonic() < until, f"Not within {within_s} s; the station says: {self.last}"
            self.bus.wait(0.1)
            received = self._link.receive()
            if received is not None and isinstance(received.message, Status):
                assert isinstance(received.message.state, ControllerStatus)
                self.last = received.message.state


@pytest.fixture
def station(network: None, paths: Paths, bus: Bus) -> Iterator[Watcher]:
    """A station without a generator of its own that lets others join."""
    with ExitStack() as stack:
        for name in ("controller", "analyzer"):
            stack.enter_context(within(STATION, paths, "service", name, INFINILOOP_CONTROLLER_LAN="on"))
        yield Watcher(bus)


@pytest.fixture
def guest_paths(tmp_path: Path) -> Paths:
    made = Paths.under(tmp_path / "guest")
    made.create()
    return made


def joined(guest: Paths, key: Path) -> AbstractContextManager[subprocess.Popen[bytes]]:
    words = ("generator", "--connect", ADDRESS[STATION], "--key", str(key))
    return within(GUEST, guest, *words, **with_musicgpt(guest))


def test_a_guest_makes_loops_for_the_station_through_a_line_that_breaks(
    station: Watcher, paths: Paths, guest_paths: Paths, tmp_path: Path
) -> None:
    keys.new_guest(paths, "studio", 8421, 8422).write(tmp_path / "studio.key")
    with joined(guest_paths, tmp_path / "studio.key"):
        station.until(lambda said: said.jobs_sent >= 1)
        ip("-n", GUEST, "link", "set", LINK[GUEST], "down")
        station.until(lambda said: "none has reported" in said.waiting)
        ip("-n", GUEST, "link", "set", LINK[GUEST], "up")
        station.until(lambda said: said.accepted >= 2)
        said = station.last
    assert said.jobs_sent == said.accepted + said.rejected + said.failed + said.cancelled + said.lost + said.leases
    assert said.lost == 0


def test_a_stranger_and_one_who_was_shut_out_do_not_get_in(
    station: Watcher, paths: Paths, guest_paths: Paths, tmp_path: Path
) -> None:
    other = Paths.under(tmp_path / "other")
    other.create()
    stranger = keys.new_guest(other, "stranger", 8421, 8422)
    known = keys.new_guest(paths, "known", 8421, 8422)
    # The stranger knows the station's public key and has a pair of its own, which the station never allowed.
    keys.KeyFile("stranger", known.server, stranger.public, stranger.secret, 8421, 8422).write(
        tmp_path / "stranger.key"
    )
    known.write(tmp_path / "known.key")
    keys.remove_guest(paths, "known")
    for name in ("stranger", "known"):
        with joined(guest_paths, tmp_path / f"{name}.key"), pytest.raises(AssertionError):
            station.until(lambda said: said.jobs_sent > 0, within_s=6.0)
    assert station.last.accepted == 0
