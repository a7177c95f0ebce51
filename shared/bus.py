"""The only module that imports zmq: links between processes, and the poller that waits on them.

Threads: a ``Bus`` and its links belong to the thread that made them. ``send`` and ``receive`` never block.

On the wire a message is one frame of ``shared.messages.encode`` bytes, optionally followed by one frame of raw audio;
status carries the service's name as a topic frame before it, and a ROUTER's peers are named by their identity.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq

from shared.errors import LinkError, ProtocolError
from shared.messages import Answer, AnyMessage, Command, Heartbeat, Progress, Status, decode, encode
from shared.paths import Paths
from shared.topology import COMMANDS, STATUS, STATUS_IN, Channel, Role

if TYPE_CHECKING:
    from zmq.auth.thread import ThreadAuthenticator

log = logging.getLogger(__name__)

LINGER_MS = 500
"""How long a closing socket may still hand over what was sent."""
_KINDS = {role: getattr(zmq, role.name) for role in Role}
_SUBSCRIBED = b"\x01"


@dataclass(frozen=True)
class Received:
    """A message and what came with it."""

    message: AnyMessage
    peer: bytes = b""
    """Identity of the sender, on a ROUTER link."""
    attachment: bytes | None = None
    """The audio that rode along."""


@dataclass(frozen=True)
class ServerKeys:
    """CURVE keys of the side that binds a TCP channel, and the folder of the public keys that may connect."""

    public: bytes
    secret: bytes
    allowed: Path


@dataclass(frozen=True)
class ClientKeys:
    """CURVE keys of the side that connects to a TCP channel."""

    server: bytes
    public: bytes
    secret: bytes


class Link:
    """One socket that carries messages."""

    def __init__(self, socket: zmq.Socket[bytes], channel: Channel, role: Role) -> None:
        self._socket = socket
        self._role = role
        self.channel = channel
        self.malformed = 0
        """How many messages could not be understood and were dropped."""

    def send(self, message: AnyMessage, *, to: bytes = b"", attachment: bytes | None = None) -> bool:
        """Hand a message to the socket. False if no peer can take it now: nothing was sent and the caller keeps it."""
        frames = [encode(message)]
        if attachment is not None:
            frames.append(attachment)
        if self._role is Role.ROUTER:
            frames.insert(0, to)
        elif isinstance(message, Status):
            frames.insert(0, message.service.encode())
        sent = self.send_frames(frames)
        self._note("sent to" if sent else "not taken by", message)
        return sent

    def receive(self) -> Received | None:
        """The next message that can be understood, or None if there is none now."""
        while (frames := self.receive_frames()) is not None:
            peer = frames.pop(0) if self._role is Role.ROUTER and frames else b""
            if self._role is Role.SUB and len(frames) > 1:
                frames.pop(0)
            try:
                message = decode(frames[0] if frames else b"")
                self._note("came on", message)
                return Received(message, peer, frames[1] if len(frames) > 1 else None)
            except ProtocolError as error:
                self.malformed += 1
                if self.malformed == 1:
                    log.warning("Dropped on %s: %s Further ones are only counted.", self.channel.name, error)
        return None

    def _note(self, what: str, message: AnyMessage) -> None:
        """Log a message in detail, but for those that come many times a second."""
        if log.isEnabledFor(logging.DEBUG) and not isinstance(message, Status | Progress | Heartbeat):
            log.debug("%s %s: %.400s", what, self.channel.name, message)

    def send_frames(self, frames: list[bytes]) -> bool:
        """Send bare frames (the PCM tap). False if nothing could take them."""
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:  # the ROUTER's peer is gone
                return False
            raise
        return True

    def receive_frames(self) -> list[bytes] | None:
        """The next message's bare frames, or None."""
        return _receive(self._socket)

    @property
    def port(self) -> int:
        """The TCP port that this link is bound to."""
        return int(self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])

    def wait_readable(self, timeout_s: float) -> bool:
        """Wait until something can be received; for a client with a single link."""
        return bool(self._socket.poll(round(timeout_s * 1000), zmq.POLLIN))

    def wait_writable(self, timeout_s: float) -> bool:
        """Wait until a peer can take a message; for a client with a single link."""
        return bool(self._socket.poll(round(timeout_s * 1000), zmq.POLLOUT))

    def close(self, linger_ms: int = LINGER_MS) -> None:
        self._socket.close(linger_ms)


class StatusRelay:
    """Gathers every service's status and passes it on; a new subscriber gets the last values at once."""

    def __init__(
        self, inward: zmq.Socket[bytes], outward: zmq.Socket[bytes], heard: Callable[[Status], None] | None = None
    ) -> None:
        self._inward, self._outward = inward, outward
        self._heard = heard
        self._last: dict[bytes, list[bytes]] = {}

    def forward(self) -> list[Status]:
        """Pass on what has come; returns it decoded, and shows it to whoever asked to hear."""
        passed: list[Status] = []
        while (frames := _receive(self._inward)) is not None:
            if len(frames) != 2:
                continue
            try:
                message = decode(frames[1])
            except ProtocolError:
                continue
            if isinstance(message, Status):
                self._last[frames[0]] = frames
                self._publish(frames)
                passed.append(message)
                if self._heard is not None:
                    self._heard(message)
        return passed

    def publish(self, status: Status) -> None:
        """Publish the controller's own status."""
        frames = [status.service.encode(), encode(status)]
        self._last[frames[0]] = frames
        self._publish(frames)

    def answer_subscriptions(self) -> None:
        """Send the last values to whoever has just subscribed."""
        while (frames := _receive(self._outward)) is not None:
            if frames and frames[0][:1] == _SUBSCRIBED:
                for topic, last in self._last.items():
                    if topic.startswith(frames[0][1:]):
                        self._publish(last)

    def close(self, linger_ms: int = LINGER_MS) -> None:
        self._inward.close(0)
        self._outward.close(linger_ms)

    def _publish(self, frames: list[bytes]) -> None:
        try:
            self._outward.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:  # a subscriber that does not read loses this one; the next comes within a second
            return


class Bus:
    """All links of one thread of one process."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._links: list[Link | StatusRelay] = []
        self._poller = zmq.Poller()
        self._sources: dict[Any, Any] = {}
        self._authenticator: ThreadAuthenticator | None = None

    def bind(self, channel: Channel) -> Link:
        """Bind this channel's ipc endpoint. Take the service's lock first: a second bind would steal it silently.

        Raises
        ------
        LinkError
            Something else lies where the endpoint should.
        """
        socket = self._socket(channel, channel.bound)
        try:
            socket.bind(channel.ipc_endpoint(self._paths))
        except zmq.ZMQError as error:
            socket.close(0)  # one that is left open would keep `close` waiting for ever
            where = self._paths.sockets / f"{channel.name}.sock"
            raise LinkError(f"{where} cannot be opened ({error.strerror}): remove what lies there.") from error
        return self._link(socket, channel, channel.bound)

    def connect(
        self, channel: Channel, *, identity: str = "", topics: Iterable[str] = ("",), immediate: bool = False
    ) -> Link:
        """Connect to this channel over ipc; the binder may come later.

        Parameters
        ----------
        topics : what a SUB link hears.
        immediate : nothing that is sent waits for a binder that is not there, as on every PUSH link.
        """
        socket = self._socket(channel, channel.connected)
        if immediate:
            socket.setsockopt(zmq.IMMEDIATE, 1)
        self._prepare_connected(socket, channel, identity, topics)
        socket.connect(channel.ipc_endpoint(self._paths))
        return self._link(socket, channel, channel.connected)

    def bind_tcp(self, channel: Channel, host: str, port: int, keys: ServerKeys) -> Link:
        """Bind over TCP with CURVE; only clients whose public keys lie in ``keys.allowed`` get in.

        Raises
        ------
        LinkError
            The port is taken, or the address is none of this machine's.
        """
        if self._authenticator is None:
            from zmq.auth.thread import ThreadAuthenticator

            self._authenticator = ThreadAuthenticator(self._context, log=log)
            self._authenticator.start()
        self._authenticator.configure_curve(domain="*", location=str(keys.allowed))
        socket = self._socket(channel, channel.bound)
        socket.curve_server = True
        socket.curve_publickey, socket.curve_secretkey = keys.public, keys.secret
        _keep_alive(socket)
        try:
            socket.bind(channel.tcp_endpoint(host, port))
        except zmq.ZMQError as error:
            socket.close(0)
            raise LinkError(
                f"Port {port} on {host} cannot be opened for other machines ({error.strerror.lower()}): free it, or "
                "choose another with `infiniloop set`."
            ) from error
        return self._link(socket, channel, channel.bound)

    def connect_tcp(self, channel: Channel, host: str, port: int, keys: ClientKeys, *, identity: str = "") -> Link:
        """Connect over TCP with CURVE; the binder may come later.

        Raises
        ------
        LinkError
            ``host`` is no address.
        """
        socket = self._socket(channel, channel.connected)
        socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = keys.server, keys.public, keys.secret
        _keep_alive(socket)
        self._prepare_connected(socket, channel, identity, ())
        try:
            socket.connect(channel.tcp_endpoint(host, port))
        except zmq.ZMQError as error:
            socket.close(0)
            raise LinkError(f"{host!r} is no address of another machine: name it or give its number.") from error
        return self._link(socket, channel, channel.connected)

    def reload_allowed(self, folder: Path) -> None:
        """Read the folder of allowed public keys again, after one was added or taken away."""
        if self._authenticator is not None:
            self._authenticator.configure_curve(domain="*", location=str(folder))

    def status_relay(self, heard: Callable[[Status], None] | None = None) -> StatusRelay:
        """Bind both sides of the status exchange; the controller's part. ``heard`` is called with each status."""
        inward, outward = self._socket(STATUS_IN, Role.XSUB), self._socket(STATUS, Role.XPUB)
        outward.setsockopt(zmq.XPUB_VERBOSE, 1)
        inward.bind(STATUS_IN.ipc_endpoint(self._paths))
        outward.bind(STATUS.ipc_endpoint(self._paths))
        inward.send(_SUBSCRIBED)  # everything
        relay = StatusRelay(inward, outward, heard)
        self._links.append(relay)
        self.watch(inward, relay.forward)
        self.watch(outward, relay.answer_subscriptions)
        return relay

    def watch(self, source: Any, token: Any) -> None:
        """Wait for this socket or file descriptor too; ``wait`` names it by ``token``."""
        self._sources[source] = token
        self._poller.register(source, zmq.POLLIN)

    def unwatch(self, source: Any) -> None:
        """Wait for this socket or file descriptor no longer; said before it is closed."""
        self._poller.unregister(source)
        self._sources.pop(source, None)

    def wait(self, timeout_s: float) -> list[Any]:
        """Wait at most ``timeout_s`` for something to read; returns the links and tokens that have something."""
        # Rounded up: woken a fraction of a millisecond early, a loop would go round and round until its timer is due.
        ready = self._poller.poll(max(0, math.ceil(timeout_s * 1000)))
        return [self._sources[source] for source, _ in ready if source in self._sources]

    def drop(self, link: Link) -> None:
        """Close one link, as a worker does that lost its peer and will open another."""
        if link._socket in self._sources:
            self.unwatch(link._socket)
        self._links.remove(link)
        link.close(0)

    def close(self, linger_ms: int = LINGER_MS) -> None:
        """Close every link; what was sent has ``linger_ms`` to leave."""
        for link in self._links:
            link.close(linger_ms)
        self._links.clear()
        if self._authenticator is not None:
            self._authenticator.stop()
        self._context.term()

    def _socket(self, channel: Channel, role: Role) -> zmq.Socket[bytes]:
        socket = self._context.socket(_KINDS[role])
        socket.setsockopt(zmq.LINGER, LINGER_MS)
        socket.setsockopt(zmq.MAXMSGSIZE, channel.max_bytes)
        socket.setsockopt(zmq.SNDHWM, channel.high_water)
        socket.setsockopt(zmq.RCVHWM, channel.high_water)
        if role is Role.PUSH:
            socket.setsockopt(zmq.IMMEDIATE, 1)  # nothing queues for a peer that is not there
        if role is Role.ROUTER:
            socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
            socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        return socket

    def _prepare_connected(
        self, socket: zmq.Socket[bytes], channel: Channel, identity: str, topics: Iterable[str]
    ) -> None:
        socket.setsockopt(zmq.RECONNECT_IVL, 50)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
        if identity:
            socket.setsockopt(zmq.IDENTITY, identity.encode())
        if channel.connected is Role.SUB:
            for topic in topics:
                socket.setsockopt(zmq.SUBSCRIBE, topic.encode())

    def _link(self, socket: zmq.Socket[bytes], channel: Channel, role: Role) -> Link:
        link = Link(socket, channel, role)
        self._links.append(link)
        if role not in (Role.PUSH, Role.PUB):
            self.watch(socket, link)
        return link


def _receive(socket: zmq.Socket[bytes]) -> list[bytes] | None:
    try:
        return socket.recv_multipart(zmq.NOBLOCK)
    except zmq.Again:
        return None


def _keep_alive(socket: zmq.Socket[bytes]) -> None:
    """Notice a machine that vanished: ZeroMQ's own heartbeats on a link between machines."""
    socket.setsockopt(zmq.HEARTBEAT_IVL, 1_000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 5_000)
    socket.setsockopt(zmq.IPV6, 1)


def new_key_pair() -> tuple[bytes, bytes]:
    """A fresh CURVE key pair, public and secret, Z85."""
    return zmq.curve_keypair()


def ask(paths: Paths, command: Command, *, timeout_s: float, heard_within_s: float | None = None) -> Answer | None:
    """Send one command to the controller and wait for its answer; None if none came in time.

    Raises
    ------
    LinkError
        No controller took the command within ``heard_within_s``: it was not sent, and will not be.
    """
    bus = Bus(paths)
    try:
        link = bus.connect(COMMANDS, immediate=True)
        began = time.monotonic()
        deadline = began + timeout_s
        while not link.send(command):
            left = min(deadline, began + (timeout_s if heard_within_s is None else heard_within_s)) - time.monotonic()
            if left <= 0 or not link.wait_writable(left):
                raise LinkError("The station's controller is away: nothing was done.")
        while (left := deadline - time.monotonic()) > 0:
            received = link.receive() if link.wait_readable(left) else None
            answer = received.message if received is not None else None
            if isinstance(answer, Answer) and answer.command_id == command.command_id:
                return answer
        return None
    finally:
        bus.close(linger_ms=0)
