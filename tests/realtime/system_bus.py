"""A private system bus, and on it a login manager and a giver of priorities that answer as the real ones do."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from jeepney import DBusAddress, HeaderFields, MessageType, new_error, new_method_return, new_signal
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import Proxy, open_dbus_connection
from jeepney.low_level import Message

_CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_type="*"/> <allow receive_type="*"/>
    <allow send_destination="*" eavesdrop="true"/>
  </policy>
</busconfig>
"""
LOGIND = DBusAddress("/org/freedesktop/login1", "org.freedesktop.login1", "org.freedesktop.login1.Manager")
_WAIT_S = 10.0


class SystemBus:
    """``dbus-daemon`` on a socket of its own; ``environment`` leads a client to it."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("dbus-daemon") is None:
            raise RuntimeError("These tests need a message bus: apt-get install dbus-daemon")
        folder.mkdir(parents=True, exist_ok=True)
        configuration, socket = folder / "bus.conf", folder / "bus"
        configuration.write_text(_CONFIGURATION.format(socket=socket))
        self.environment = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={socket}"}
        self._daemon = subprocess.Popen(
            ["dbus-daemon", f"--config-file={configuration}", "--nofork", "--print-address"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._daemon.stdout is not None
        assert self._daemon.stdout.readline(), "the bus did not start"

    def close(self) -> None:
        self._daemon.kill()
        self._daemon.wait(_WAIT_S)
        assert self._daemon.stdout is not None
        self._daemon.stdout.close()


class Owner:
    """Owns a name on the bus and answers its calls from a thread."""

    def __init__(self, bus: SystemBus, name: str, answer: Callable[[Message], None]) -> None:
        self._link = open_dbus_connection(bus.environment["DBUS_SYSTEM_BUS_ADDRESS"], enable_fds=True)
        Proxy(message_bus, self._link).RequestName(name)
        self._answer = answer
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def send(self, message: Message) -> None:
        self._link.send(message)

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(_WAIT_S)
        self._link.close()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                call = self._link.receive(timeout=0.1)
            except TimeoutError:
                continue
            except (ConnectionError, OSError):
                return
            if call.header.message_type is MessageType.method_call:
                self._answer(call)


class LoginManager:
    """Gives delay locks and tells of the machine's sleep, as logind does."""

    def __init__(self, bus: SystemBus) -> None:
        self._locks: list[int] = []
        self.asked: list[tuple[str, ...]] = []
        self._owner = Owner(bus, "org.freedesktop.login1", self._answer)

    def sleep(self, *, going: bool) -> None:
        """``PrepareForSleep``: before the machine sleeps, and after it woke."""
        self._owner.send(new_signal(LOGIND, "PrepareForSleep", "b", (going,)))

    def released(self) -> bool:
        """Whether whoever holds the last lock that was given has let go of it."""
        os.set_blocking(self._locks[-1], False)
        try:
            return os.read(self._locks[-1], 1) == b""
        except BlockingIOError:
            return False

    def close(self) -> None:
        self._owner.close()
        for lock in self._locks:
            os.close(lock)

    def _answer(self, call: Message) -> None:
        if call.header.fields.get(HeaderFields.member) != "Inhibit":
            self._owner.send(new_error(call, "org.freedesktop.DBus.Error.UnknownMethod"))
            return
        ours, theirs = os.pipe()
        self._owner.send(new_method_return(call, "h", (theirs,)))
        os.close(theirs)
        self._locks.append(ours)
        self.asked.append(call.body)


class PriorityGiver:
    """Takes RealtimeKit's calls."""

    def __init__(self, bus: SystemBus) -> None:
        self.asked: list[tuple[int, int]] = []
        self._owner = Owner(bus, "org.freedesktop.RealtimeKit1", self._answer)

    def close(self) -> None:
        self._owner.close()

    def _answer(self, call: Message) -> None:
        self.asked.append(call.body)
        self._owner.send(new_method_return(call))
