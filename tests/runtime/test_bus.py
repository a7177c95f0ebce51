"""Messages over real sockets, ipc and TCP: delivered once, in order, refused when malformed, never blocking."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.bus import Bus, ClientKeys, Link, Received, ServerKeys, ask, new_key_pair
from shared.errors import LinkError
from shared.messages import Answer, Cancel, Command, GeneratorStatus, Heartbeat, LoopLoaded, Ready, Status
from shared.paths import Paths
from shared.topology import CLIPS_LAN, COMMANDS, JOBS, JOBS_LAN, LOOPS, RECEIPTS, STATUS, STATUS_IN, TAP

DEADLINE_S = 30.0
"""Only a hang lasts so long, on a machine that is busy with everything else too."""


def eventually(get: Callable[[], Received | None], bus: Bus) -> Received:
    """What ``get`` returns, as soon as it is something."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if (received := get()) is not None:
            return received
        for token in bus.wait(0.05):
            if not isinstance(token, Link):
                token()
    raise AssertionError("nothing came in time")


def send_when_possible(link: Link, message: LoopLoaded | Heartbeat, bus: Bus) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not link.send(message):
        assert time.monotonic() < deadline
        bus.wait(0.02)


def test_push_and_pull(bus: Bus) -> None:
    pull = bus.bind(RECEIPTS)
    push = bus.connect(RECEIPTS)
    send_when_possible(push, LoopLoaded(loop_id="l0"), bus)
    for number in range(1, 50):
        assert push.send(LoopLoaded(loop_id=f"l{number}"))
    got = [eventually(pull.receive, bus).message for _ in range(50)]
    assert got == [LoopLoaded(loop_id=f"l{number}") for number in range(50)]


def test_a_push_without_a_peer_is_not_taken(bus: Bus) -> None:
    assert not bus.connect(LOOPS).send(LoopLoaded(loop_id="l1"))


def test_a_router_answers_its_dealer_and_knows_when_it_is_gone(bus: Bus) -> None:
    router = bus.bind(JOBS)
    dealer = bus.connect(JOBS, identity="w1")
    assert dealer.send(Ready(worker="w1", capabilities=()))
    received = eventually(router.receive, bus)
    assert received.peer == b"w1"
    assert router.send(Cancel(job_id="j1"), to=received.peer)
    assert eventually(dealer.receive, bus).message == Cancel(job_id="j1")
    assert not router.send(Cancel(job_id="j1"), to=b"nobody")


def test_what_is_malformed_is_dropped_and_counted(bus: Bus) -> None:
    pull = bus.bind(RECEIPTS)
    push = bus.connect(RECEIPTS)
    send_when_possible(push, LoopLoaded(loop_id="l1"), bus)
    push.send_frames([b"\x00\xffgarbage"])
    push.send_frames([b""])
    push.send_frames([b"a", b"b", b"c"])
    push.send(LoopLoaded(loop_id="l2"))
    assert eventually(pull.receive, bus).message == LoopLoaded(loop_id="l1")
    assert eventually(pull.receive, bus).message == LoopLoaded(loop_id="l2")
    assert pull.malformed >= 2


def test_an_oversized_frame_never_arrives(bus: Bus) -> None:
    pull = bus.bind(RECEIPTS)
    push = bus.connect(RECEIPTS)
    send_when_possible(push, LoopLoaded(loop_id="l1"), bus)
    push.send_frames([b"x" * (RECEIPTS.max_bytes + 1)])
    assert eventually(pull.receive, bus).message == LoopLoaded(loop_id="l1")

    def after_the_connection_came_back() -> Received | None:
        push.send(LoopLoaded(loop_id="l2"))
        return pull.receive()

    assert eventually(after_the_connection_came_back, bus).message == LoopLoaded(loop_id="l2")


def test_a_late_subscriber_gets_the_last_values(bus: Bus, paths: Paths) -> None:
    relay = bus.status_relay()
    publisher = bus.connect(STATUS_IN)
    first = Status(service="generator", pid=1, uptime_s=1.0, state=GeneratorStatus(made=1))

    def passed() -> Received | None:
        publisher.send(first)
        found = relay.forward()
        return Received(found[0]) if found else None

    assert eventually(passed, bus).message == first
    late = bus.connect(STATUS, topics=("generator",))
    assert eventually(late.receive, bus).message == first


def test_the_tap_drops_rather_than_blocks(bus: Bus) -> None:
    tap = bus.bind(TAP)
    bus.connect(TAP)
    for number in range(TAP.high_water * 8):
        assert tap.send_frames([str(number).encode(), b"x" * 100])


def test_a_command_that_nobody_takes_is_given_up_and_never_comes_late(paths: Paths, bus: Bus) -> None:
    began = time.monotonic()
    with pytest.raises(LinkError, match="nothing was done"):
        ask(paths, Command(command_id="c1", name="pause"), timeout_s=5.0, heard_within_s=0.2)
    assert time.monotonic() - began < 4.5  # not the five seconds that an answer may take
    dealer = bus.connect(COMMANDS, immediate=True)
    assert not dealer.send(Command(command_id="c2", name="pause"))
    router = bus.bind(COMMANDS)
    assert dealer.wait_writable(5.0)
    dealer.send(Command(command_id="c3", name="status"))
    asked = eventually(router.receive, bus).message
    assert isinstance(asked, Command)
    assert asked.command_id == "c3"


def test_ask_waits_no_longer_for_an_answer_than_it_was_told(paths: Paths, bus: Bus) -> None:
    bus.bind(COMMANDS)
    began = time.monotonic()
    assert ask(paths, Command(command_id="c1", name="status"), timeout_s=0.3) is None
    assert 0.2 < time.monotonic() - began < DEADLINE_S


def test_an_answer_finds_its_asker(bus: Bus) -> None:
    router = bus.bind(COMMANDS)
    dealer = bus.connect(COMMANDS)
    dealer.send(Command(command_id="c1", name="status"))
    asked = eventually(router.receive, bus)
    router.send(Answer(command_id="c1", ok=True, text="done"), to=asked.peer)
    assert eventually(dealer.receive, bus).message == Answer(command_id="c1", ok=True, text="done")


@pytest.fixture
def curve(tmp_path: Path) -> tuple[ServerKeys, ClientKeys]:
    """A server's keys, and those of one client that it lets in."""
    server_public, server_secret = new_key_pair()
    client_public, client_secret = new_key_pair()
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "worker.key").write_text(f'metadata\ncurve\n    public-key = "{client_public.decode()}"\n')
    return (
        ServerKeys(server_public, server_secret, allowed),
        ClientKeys(server_public, client_public, client_secret),
    )


def test_over_tcp_only_an_allowed_key_gets_in(bus: Bus, curve: tuple[ServerKeys, ClientKeys]) -> None:
    server, client = curve
    sink = bus.bind_tcp(CLIPS_LAN, "127.0.0.1", 0, server)
    pull = bus.bind_tcp(JOBS_LAN, "127.0.0.1", 0, server)
    stranger = ClientKeys(server.public, *new_key_pair())
    refused = bus.connect_tcp(JOBS_LAN, "127.0.0.1", pull.port, stranger, identity="stranger")
    refused.send(Heartbeat())
    welcome = bus.connect_tcp(JOBS_LAN, "127.0.0.1", pull.port, client, identity="worker")
    welcome.send(Heartbeat())
    assert eventually(pull.receive, bus).peer == b"worker"
    clips = bus.connect_tcp(CLIPS_LAN, "127.0.0.1", sink.port, client)
    send_when_possible(clips, Heartbeat(), bus)
    assert eventually(sink.receive, bus).message == Heartbeat()
    assert pull.receive() is None
