"""The live stream and the API of a real dashboard process, over real links and HTTP."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import signal
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from shared.audio_files import write_wav
from shared.bus import Bus
from shared.messages import Answer, Command, ControllerStatus, DashboardStatus, PlayerStatus, Status
from shared.music import Loop
from shared.paths import Paths
from shared.topology import COMMANDS
from tests.pipeline.dashboard import (
    DEADLINE_S,
    TapFeeder,
    connect,
    dashboard,
    decode,
    free_port,
    longest_silence,
    request,
    service,
)

SECOND_OF_MP3 = 160_000 // 8
LONG_PROMPT = b'{"name": "start", "arguments": {"prompt": "%s"}}' % (b"x" * 10_000)


def open_stream(port: int, **headers: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = connect(port)
    connection.request("GET", "/stream.mp3", headers={name.replace("_", "-"): value for name, value in headers.items()})
    return connection, connection.getresponse()


def read_seconds(response: http.client.HTTPResponse, seconds: float) -> bytes:
    data = response.read(round(seconds * SECOND_OF_MP3))
    assert data is not None
    return data


def test_the_stream_decodes_to_what_was_played_without_a_silence(paths: Paths) -> None:
    port = free_port()
    with dashboard(paths, port):
        # The client is there before anything sounds: it waits and is not refused.
        connection, response = open_stream(port)
        with contextlib.closing(connection), TapFeeder(paths):
            assert response.status == 200
            assert response.getheader("Content-Type") == "audio/mpeg"
            sound = decode(read_seconds(response, 8.0))
    sound = sound[4_800:]  # the coder's own onset
    assert len(sound) > 7.5 * 48_000
    assert longest_silence(sound) < 0.05
    window = sound[: len(sound) // 2_400 * 2_400, 0].reshape(-1, 2_400)
    levels = np.sqrt(np.mean(window**2, axis=1))
    # The coder leaves 0.4 dB of headroom.
    np.testing.assert_allclose(levels, 0.95 * 0.3 / np.sqrt(2), rtol=0.01)


def test_lost_blocks_are_silence_of_their_length(paths: Paths) -> None:
    port = free_port()
    with dashboard(paths, port):
        connection, response = open_stream(port)
        with contextlib.closing(connection), TapFeeder(paths, lost=frozenset(range(150, 175))):
            sound = decode(read_seconds(response, 6.0))
    assert longest_silence(sound[4_800:], below_dbfs=-50) == pytest.approx(0.5, abs=0.06)


def test_a_player_that_begins_again_finds_the_same_listeners(paths: Paths) -> None:
    port = free_port()
    with dashboard(paths, port):
        connection, response = open_stream(port)
        with contextlib.closing(connection):
            with TapFeeder(paths):
                first = read_seconds(response, 2.0)
            with TapFeeder(paths):
                # What was on its way, then the new player's sound, on the same connection.
                second = read_seconds(response, 6.0)
    sound = decode(first + second)
    assert len(sound) > 7.5 * 48_000
    assert longest_silence(sound[4_800:]) < 0.05


def test_the_real_player_is_heard_and_followed_when_it_was_killed(paths: Paths) -> None:
    port = free_port()
    with dashboard(paths, port), service(paths, "player") as player:
        connection, response = open_stream(port)
        with contextlib.closing(connection):
            heard = read_seconds(response, 2.0)
            player.kill()
            player.wait()
            with service(paths, "player"):
                heard += read_seconds(response, 2.0)
    sound = decode(heard)[4_800:]
    assert np.abs(sound).max() > 0.05
    # The new one fades in; until it is back, a listener lives on what it holds.
    assert longest_silence(sound) < 0.05


def test_a_newcomer_hears_the_last_seconds_at_once(paths: Paths) -> None:
    port = free_port()
    with dashboard(paths, port), TapFeeder(paths, speed=2.0):
        first_connection, first = open_stream(port)
        with contextlib.closing(first_connection):
            read_seconds(first, 6.0)
            began = time.monotonic()
            connection, response = open_stream(port)
            with contextlib.closing(connection):
                burst = read_seconds(response, 4.0)
            assert time.monotonic() - began < 2.0  # four seconds of sound, in which the feeder could make less
        assert longest_silence(decode(burst)[4_800:]) < 0.05


def test_titles_are_woven_in_for_clients_that_ask(paths: Paths, bus: Bus) -> None:
    port = free_port()
    loop = Loop(loop_id="l1", job_id="j1", epoch=1, path="/nowhere.wav", frames=48_000, title="Dusk", artist="Ólafur")
    with dashboard(paths, port), TapFeeder(paths), Station(bus, player=PlayerStatus(playing=True, loop=loop)):
        wait_for(port, lambda status: status["title"] == "Ólafur – Dusk")
        plain_connection, plain = open_stream(port)
        with contextlib.closing(plain_connection):
            assert plain.getheader("icy-metaint") is None
        connection, response = open_stream(port, Icy_MetaData="1")
        with contextlib.closing(connection):
            interval = int(response.getheader("icy-metaint") or 0)
            assert interval == 16_000
            audio = response.read(interval)
            title = response.read(response.read(1)[0] * 16).rstrip(b"\0").decode()
            audio += response.read(interval)
            assert response.read(1) == b"\0"  # the title is as before
            audio += response.read(interval)
    assert title == "StreamTitle='Ólafur – Dusk';"
    assert longest_silence(decode(audio)[4_800:]) < 0.05


def test_who_does_not_read_is_let_go_and_nobody_else_notices(paths: Paths) -> None:
    port = free_port()
    with dashboard(paths, port), TapFeeder(paths, speed=10.0):
        connect(port).close()
        with socket.create_connection(("127.0.0.1", port)) as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            lazy.sendall(b"GET /stream.mp3 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            wait_for(port, lambda status: status["stream"]["listeners"] == 1)
            connection, response = open_stream(port)
            with contextlib.closing(connection):
                heard = bytearray()
                until = time.monotonic() + 60.0
                while listeners(port) == 2:
                    heard += read_seconds(response, 2.0)
                    assert time.monotonic() < until, "the client that does not read was kept"
                assert listeners(port) == 1
        assert longest_silence(decode(bytes(heard))[4_800:]) < 0.05


def test_listeners_are_counted_for_the_controller(paths: Paths, bus: Bus) -> None:
    port = free_port()
    with dashboard(paths, port), Station(bus) as station:
        station.until(lambda state: state.url == f"http://127.0.0.1:{port}/" and state.listeners == 0)
        connection, _ = open_stream(port)
        station.until(lambda state: state.listeners == 1)
        connection.close()
        station.until(lambda state: state.listeners == 0)


def test_a_taken_port_is_no_reason_to_end(paths: Paths, bus: Bus) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        dashboard(paths, taken := other.getsockname()[1]),
        Station(bus) as station,
    ):
        state = station.until(lambda state: state.port != 0)
        assert state.port != taken
        assert str(taken) in state.note
        assert json.loads(request(state.port, "GET", "/api/status")[1])["note"] == state.note


def test_a_command_reaches_the_controller_and_its_answer_the_page(paths: Paths, bus: Bus) -> None:
    port = free_port()
    with dashboard(paths, port), Station(bus):
        wait_for(port, lambda status: status["alive"]["controller"])
        body = json.dumps({"name": "start", "arguments": {"prompt": "rain – 雨"}}).encode()
        status, answer = request(port, "POST", "/api/command", body, Content_Type="application/json")
        assert status == 200
        assert json.loads(answer) == {
            "ok": True,
            "text": "start",
            "exit_code": 0,
            "data": {"arguments": {"prompt": "rain – 雨"}},
        }
        refused, answer = request(
            port, "POST", "/api/command", b'{"name": "nonsense"}', Content_Type="application/json"
        )
        assert (refused, json.loads(answer)["ok"]) == (400, False)


def test_without_a_controller_a_command_is_answered_by_a_sentence(paths: Paths) -> None:
    port = free_port()
    with dashboard(paths, port):
        status, answer = request(port, "POST", "/api/command", b'{"name": "skip"}', Content_Type="application/json")
    assert status == 503
    assert "again" in json.loads(answer)["text"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "word"),
    [
        (b'{"name": "skip"}', {}, 415, "application/json"),
        (b"not json", {"Content_Type": "application/json"}, 400, "malformed"),
        (b'{"name": "../x"}', {"Content_Type": "application/json"}, 400, "regex"),
        (b'{"name": "skip", "arguments": []}', {"Content_Type": "application/json"}, 400, "arguments"),
        (LONG_PROMPT, {"Content_Type": "application/json"}, 400, "10000"),
        (b" " * 100_000, {"Content_Type": "application/json"}, 413, "64 KiB"),
        (b'{"name": "skip"}', {"Content_Type": "application/json", "Origin": "http://evil.example"}, 403, "web site"),
        (b'{"name": "skip"}', {"Content_Type": "application/json", "Host": "evil.example"}, 403, "127.0.0.1"),
    ],
)  # fmt: skip
def test_a_bad_request_gets_one_sentence(
    served: int, body: bytes, headers: dict[str, str], status: int, word: str
) -> None:
    got, answer = request(served, "POST", "/api/command", body, **headers)
    assert (got, json.loads(answer)["ok"]) == (status, False)
    assert word in json.loads(answer)["text"]


def test_the_page_and_its_parts_come_from_this_machine_alone(served: int) -> None:
    status, page = request(served, "GET", "/")
    assert status == 200
    for attribute in ("href", "src", "poster"):
        for part in page.decode().split(f' {attribute}="')[1:]:
            target = part.partition('"')[0]
            assert target.startswith(("/", "#", "data:")), target
            if target.startswith("/static/"):
                assert request(served, "GET", target)[0] == 200
    assert request(served, "GET", "/static/../service.py")[0] == 404


def test_events_tell_of_a_change_within_a_moment(paths: Paths, bus: Bus) -> None:
    port = free_port()
    with dashboard(paths, port), Station(bus) as station, contextlib.closing(connect(port)) as connection:
        connection.request("GET", "/api/events")
        response = connection.getresponse()
        assert response.getheader("Content-Type", "").startswith("text/event-stream")
        station.player = PlayerStatus(playing=True, volume=31)
        until = time.monotonic() + DEADLINE_S
        times = []
        while True:
            assert time.monotonic() < until
            line = response.readline()
            if line.startswith(b"data: "):
                times.append(time.monotonic())
                news = json.loads(line[6:])
                if news["services"].get("player", {}).get("state", {}).get("volume") == 31:
                    break
        assert all(later - earlier > 0.09 for earlier, later in itertools.pairwise(times))


def test_the_outline_of_what_sounds_is_served_and_nothing_else(paths: Paths, bus: Bus, tmp_path: Path) -> None:
    port = free_port()
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, (48_000, 2)).astype(np.float32)
    write_wav(paths.loops / "l1.wav", samples, 48_000)
    write_wav(tmp_path / "private.wav", samples, 48_000)
    inside = Loop(loop_id="l1", job_id="j1", epoch=1, path=str(paths.loops / "l1.wav"), frames=48_000)
    outside = Loop(loop_id="l2", job_id="j2", epoch=1, path=str(tmp_path / "private.wav"), frames=48_000)
    with dashboard(paths, port), Station(bus, player=PlayerStatus(loop=inside)) as station:
        wait_for(port, lambda status: bool(status["services"]["player"]["state"]))
        status, answer = request(port, "GET", "/api/loops/l1/peaks")
        assert status == 200
        peaks = np.array(json.loads(answer)["peaks"])
        assert np.abs(peaks).max() == pytest.approx(0.5, abs=0.01)
        assert request(port, "GET", "/api/loops/l9/peaks")[0] == 404
        station.player = PlayerStatus(loop=outside)
        wait_for(port, lambda status: status["services"]["player"]["state"]["loop"]["loop_id"] == "l2")
        assert request(port, "GET", "/api/loops/l2/peaks")[0] == 404


def test_it_ends_in_time_with_everyone_connected(paths: Paths) -> None:
    port = free_port()
    with dashboard(paths, port) as child, TapFeeder(paths):
        connection, response = open_stream(port)
        read_seconds(response, 1.0)
        with contextlib.closing(connect(port)) as events:
            events.request("GET", "/api/events")
            events.getresponse().readline()
            child.send_signal(signal.SIGTERM)
            assert child.wait(4.0) == 0
        connection.close()


# -- what stands at the other ends ------------------------------------------------------------------------------------


class Station(threading.Thread):
    """Stands where the controller stands: passes states on, says the player's, and answers commands."""

    def __init__(self, bus: Bus, *, player: PlayerStatus | None = None) -> None:
        super().__init__(daemon=True)
        self.player = player if player is not None else PlayerStatus()
        self._bus = bus
        self._relay = bus.status_relay()
        self._commands = bus.bind(COMMANDS)
        self._ending = threading.Event()
        self._state = DashboardStatus()
        self._news = threading.Condition()

    def run(self) -> None:
        said = 0.0
        while not self._ending.is_set():
            for token in self._bus.wait(0.05):
                if token is self._commands:
                    self._answer()
                elif token == self._relay.forward:
                    self._note(self._relay.forward())
                else:
                    token()
            if time.monotonic() - said > 0.2:
                said = time.monotonic()
                for service, state in (("controller", ControllerStatus()), ("player", self.player)):
                    self._relay.publish(Status(service=service, pid=1, uptime_s=1.0, state=state))

    def until(self, true_of: object) -> DashboardStatus:
        """The dashboard's own state, as soon as this is true of it."""
        assert callable(true_of)
        with self._news:
            assert self._news.wait_for(lambda: true_of(self._state), DEADLINE_S), self._state
            return self._state

    def _note(self, statuses: list[Status]) -> None:
        for status in statuses:
            if isinstance(status.state, DashboardStatus):
                with self._news:
                    self._state = status.state
                    self._news.notify_all()

    def _answer(self) -> None:
        while (received := self._commands.receive()) is not None:
            command = received.message
            assert isinstance(command, Command)
            ok = command.name != "nonsense"
            self._commands.send(
                Answer(
                    command_id=command.command_id,
                    ok=ok,
                    text=command.name,
                    exit_code=0 if ok else 2,
                    data={"arguments": command.arguments} if ok else {},
                ),
                to=received.peer,
            )

    def __enter__(self) -> Station:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ending.set()
        self.join()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> object:
    """The port of one dashboard for tests that change nothing in it."""
    paths = Paths.under(tmp_path_factory.mktemp("served"))
    paths.create()
    port = free_port()
    with dashboard(paths, port):
        yield port


def wait_for(port: int, true_of: object) -> None:
    """Until this is true of the dashboard's whole status."""
    assert callable(true_of)
    until = time.monotonic() + DEADLINE_S
    while not true_of(status := json.loads(request(port, "GET", "/api/status")[1])):
        assert time.monotonic() < until, status
        threading.Event().wait(0.02)


def listeners(port: int) -> int:
    count: int = json.loads(request(port, "GET", "/api/status")[1])["stream"]["listeners"]
    return count
