"""Puts the player before whatever else the machine does: the sound server's own nice value, for every thread of it.

For the writer alone it is not enough. Python threads share the interpreter, and one that holds it while a busy machine
lets it wait makes the writer wait as long. All of the player's threads together take 2 % of a core, so nothing else has
less for it.

Linux shares its cores out between sessions first (autogroup, sched(7)) and by nice only within one: in the session of a
busy shell the player would wait with it, whatever its nice value. So it has a session of its own.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from pathlib import Path

from services.player.system_bus import why_not

log = logging.getLogger(__name__)

NICE = -11
_ANSWER_S = 5.0
_AUTOGROUP = Path("/proc/self/autogroup")
_RTKIT = "org.freedesktop.RealtimeKit1"
_PATH = "/org/freedesktop/RealtimeKit1"


def take() -> None:
    """Take the priority for the calling thread and for all that it begins from now on.

    Where the system does not allow it to a user, RealtimeKit is asked for it a moment later: it is there to give it to
    sound. Where there is none the sound depends on the latency that it finds (``writer``).
    """
    with suppress(OSError):  # whoever leads a group already keeps its session
        os.setsid()
    with suppress(OSError):
        _AUTOGROUP.write_text(str(NICE))
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except OSError:
        asking = threading.Timer(1.0, ask_rtkit)
        asking.daemon = True
        asking.start()


def ask_rtkit() -> bool:
    """Ask RealtimeKit for the priority of every thread of this process; whether it was given to all.

    Its interface: https://gitlab.freedesktop.org/pipewire/rtkit (``MakeThreadHighPriority``).
    """
    try:
        from jeepney import DBusAddress, new_method_call
        from jeepney.io.blocking import open_dbus_connection
        from jeepney.wrappers import unwrap_msg

        address = DBusAddress(_PATH, bus_name=_RTKIT, interface=_RTKIT)
        with open_dbus_connection("SYSTEM") as bus:
            for thread in sorted(int(task.name) for task in Path("/proc/self/task").iterdir()):
                call = new_method_call(address, "MakeThreadHighPriority", "ti", (thread, NICE))
                unwrap_msg(bus.send_and_get_reply(call, timeout=_ANSWER_S))
    except Exception as error:  # whatever a bus does must not reach the music
        log.info("Nobody gives the player a higher priority (%s); it holds without.", why_not(error))
        return False
    return True
