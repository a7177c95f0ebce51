"""Tells when what the music sounds on was unplugged: its sink, or the headphones on its port.

PulseAudio and PipeWire move a stream silently when its sink goes, so nobody hears an error: ``pactl`` tells of it. Its
watching child ends with the stream that it belongs to, since its next word then meets a closed pipe.
"""

from __future__ import annotations

import json
import logging
import os
import select
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

_SETTLE_S = 0.05
_AGAIN_S = 2.0
_ASK_S = 2.0
_OF_INTEREST = (b" on sink", b" on card", b" on server")
_WORN = ("headphone", "headset", "earphone")


@dataclass(frozen=True, slots=True)
class Place:
    """Where our stream sounds: the sink's name and its port."""

    sink: str
    port: str


@dataclass(frozen=True, slots=True)
class Sight:
    """What the sound server shows: our place, if our stream is there, and all sinks."""

    place: Place | None
    sinks: frozenset[str]


def sight(process: int, inputs: list[dict[str, Any]], sinks: list[dict[str, Any]]) -> Sight:
    """Read ``pactl -f json list sink-inputs`` and ``… sinks``."""
    places = {sink.get("index"): Place(str(sink.get("name")), str(sink.get("active_port") or "")) for sink in sinks}
    ours = (one for one in inputs if one.get("properties", {}).get("application.process.id") == str(process))
    place = next((places.get(one.get("sink")) for one in ours), None)
    return Sight(place, frozenset(found.sink for found in places.values()))


def unplugged(before: Place | None, now: Sight) -> bool:
    """Whether what the stream sounded on is gone: its sink, or the headphones on its sink's port."""
    if before is None:
        return False
    if before.sink not in now.sinks:
        return True
    moved = now.place is not None and now.place.sink == before.sink and now.place.port != before.port
    return moved and any(word in before.port.lower() for word in _WORN)


class UnplugWatch:
    """Calls ``gone`` from its own thread when our stream's sink or headphones went, while the server lives."""

    def __init__(self, gone: Callable[[], None]) -> None:
        self._gone = gone
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="unplug", daemon=True)

    def start(self) -> None:
        if shutil.which("pactl") is None:
            log.info("Without pactl (package pulseaudio-utils) nobody tells when headphones are unplugged.")
            return
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def _run(self) -> None:
        while not self._stopping.wait(_AGAIN_S):
            try:
                if (now := _look()) is not None and now.place is not None:
                    self._watch(now.place)
            except OSError as error:
                log.info("The sound server cannot be watched: %s", error)

    def _watch(self, place: Place) -> None:
        child = subprocess.Popen(("pactl", "subscribe"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert child.stdout is not None
        try:
            at: Place | None = place
            while at is not None and not self._stopping.is_set():
                if not select.select([child.stdout], [], [], 0.5)[0]:
                    continue
                words = os.read(child.stdout.fileno(), 1 << 16)
                if not words:
                    return
                if not any(word in words for word in _OF_INTEREST):
                    continue
                time.sleep(_SETTLE_S)
                now = _look()
                if now is None:  # the server is gone: that is no unplugging
                    return
                if unplugged(at, now):
                    self._gone()
                at = now.place
        finally:
            child.kill()
            child.wait()
            child.stdout.close()


def _look() -> Sight | None:
    """What the server shows; None if it does not answer."""
    asked: list[subprocess.Popen[bytes]] = []
    try:
        asked += [_ask("sink-inputs"), _ask("sinks")]  # both at once: half a second is all there is
        return sight(os.getpid(), _answer(asked[0]), _answer(asked[1]))
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    finally:
        for process in asked:
            with process:
                process.kill()


def _ask(what: str) -> subprocess.Popen[bytes]:
    words = ("pactl", "-f", "json", "list", what)
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _answer(asked: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
    said, _ = asked.communicate(timeout=_ASK_S)
    if asked.returncode:
        raise subprocess.CalledProcessError(asked.returncode, "pactl")
    found = json.loads(said)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
