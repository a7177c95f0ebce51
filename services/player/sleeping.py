"""The machine's sleep: told by logind before it comes, and measured afterwards by clocks where nobody tells.

logind sends ``PrepareForSleep(true)`` before the machine sleeps and ``PrepareForSleep(false)`` after it woke, and waits
for whoever holds a *delay* lock (systemd, "Inhibitor Locks"): long enough for a fade. Without a system bus the music is
cut off by the sleep itself, and `asleep_clock` still tells how long it was.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from services.player.system_bus import why_not

if TYPE_CHECKING:
    from jeepney.io.blocking import DBusConnection
    from jeepney.wrappers import MatchRule

log = logging.getLogger(__name__)

LONG_SLEEP_S = 300.0
_AGAIN_S = 10.0
_TURN_S = 1.0
_ANSWER_S = 5.0
_LOGIND = "org.freedesktop.login1"
_MANAGER = "org.freedesktop.login1.Manager"
_PATH = "/org/freedesktop/login1"

Release = Callable[[], None]
"""Lets the machine sleep."""


def asleep_clock() -> float:
    """A clock that stands still while the machine is awake: the time since boot less the time since boot awake."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


def slept_s(before: float, now: float) -> float:
    """Seconds of sleep between two values of ``asleep_clock``."""
    return max(0.0, now - before)


class SleepWatch:
    """Listens to logind from a thread of its own.

    Parameters
    ----------
    going
        Called before the machine sleeps, with what lets it: to be called when all is silent.
    back
        Called when it woke, or when it will not sleep after all.
    """

    def __init__(self, going: Callable[[Release], None], back: Callable[[], None]) -> None:
        self._going, self._back = going, back
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sleep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(2.0)

    def _run(self) -> None:
        try:
            from jeepney.io.blocking import open_dbus_connection
        except ImportError:
            log.info("Without the package jeepney nobody tells before the machine sleeps: the music is cut off then.")
            return
        said = ""
        while not self._stopping.is_set():
            try:
                with open_dbus_connection("SYSTEM", enable_fds=True) as bus:
                    self._watch(bus)
            except Exception as error:  # whatever a bus does must not reach the music
                if (why := why_not(error)) != said:
                    said = why
                    log.info("The machine's sleep is seen by the clocks alone (%s).", said)
            self._stopping.wait(_AGAIN_S)

    def _watch(self, bus: DBusConnection) -> None:
        from jeepney import MatchRule, message_bus
        from jeepney.io.blocking import Proxy

        rule = MatchRule(type="signal", interface=_MANAGER, member="PrepareForSleep", path=_PATH)
        asked = MatchRule(type="signal", sender=_LOGIND, interface=_MANAGER, member="PrepareForSleep", path=_PATH)
        Proxy(message_bus, bus, timeout=_ANSWER_S).AddMatch(asked)
        self._listen(bus, rule, _delay_lock(bus))

    def _listen(self, bus: DBusConnection, rule: MatchRule, lock: Release) -> None:
        try:
            with bus.filter(rule, queue=deque()) as signals:
                while not self._stopping.is_set():
                    try:
                        (going,) = bus.recv_until_filtered(signals, timeout=_TURN_S).body
                    except TimeoutError:
                        continue
                    if going:
                        self._going(lock)
                    else:
                        self._back()
                        lock = _delay_lock(bus)
        finally:
            lock()


def _delay_lock(bus: DBusConnection) -> Release:
    """Have logind wait before a sleep until the lock that this returns is released, 5 s at most."""
    from jeepney import DBusAddress, new_method_call
    from jeepney.wrappers import unwrap_msg

    address = DBusAddress(_PATH, bus_name=_LOGIND, interface=_MANAGER)
    words = ("sleep", "INFINI LOOP", "The music fades before the machine sleeps", "delay")
    (lock,) = unwrap_msg(bus.send_and_get_reply(new_method_call(address, "Inhibit", "ssss", words), timeout=_ANSWER_S))
    return lock.close  # type: ignore[no-any-return]
