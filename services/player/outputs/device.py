"""The sound device, through PortAudio: PulseAudio and PipeWire, ALSA, OSS, JACK; on macOS whatever is the default.

The only module that imports sounddevice, and only when a device is opened: without PortAudio the station still plays,
to the live stream. Blocking writes from one thread held where callbacks broke (benchmarks/results/player.md).
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.player.outputs.output import OutputSpent
from shared.errors import OutputError
from shared.units import STATION_CHANNELS, STATION_RATE, TAP_BLOCK, Audio

DRIVERS = ("pulse", "alsa", "dsp", "jack")
_HOST_APIS = {"alsa": "ALSA", "dsp": "OSS", "jack": "JACK Audio Connection Kit"}
_PROPERTIES = (
    'application.name="INFINI LOOP" application.id=infiniloop application.icon_name=audio-x-generic '
    'media.name="INFINI LOOP" media.role=music'
)
_SETTLING_S = 0.5
"""A stream that begins reports underruns of its own making: for so long after the first block that had to wait."""
_GONE_S = 1.0
"""A JACK server that takes nothing for so long is gone."""
_quiet: Any = None


@dataclass(frozen=True)
class Device:
    """A device as PortAudio lists it."""

    number: int
    name: str
    host_api: str
    driver: str


class DeviceOutput:
    """A stream to one device, opened when it is made.

    Parameters
    ----------
    driver
        ``auto`` takes the first that works of PulseAudio, ALSA's default, the system's default, JACK and OSS.
    device
        Name (or a part of it) or number of the device; empty for the driver's own default.
    latency_s
        Seconds of sound that wait in the device.
    fresh
        Have PortAudio look for devices anew; no stream may be open.

    Raises
    ------
    OutputError
        No PortAudio, no such device, or none that opens; the sentence says how to get one.
    """

    paced = True

    def __init__(self, driver: str = "auto", device: str = "", latency_s: float = 0.12, *, fresh: bool = False) -> None:
        self._portaudio = portaudio = _portaudio(fresh=fresh)
        self._errors: tuple[type[Exception], ...] = (portaudio.PortAudioError, OSError, ValueError)
        self._stream: Any = None
        failures: list[str] = []
        for found in _candidates(_listed(portaudio), driver, device, _default(portaudio)):
            try:
                self._stream = portaudio.OutputStream(
                    samplerate=STATION_RATE,
                    channels=STATION_CHANNELS,
                    dtype="float32",
                    device=found.number,
                    latency=latency_s,
                    blocksize=TAP_BLOCK,
                )
                self._stream.start()
            except self._errors as error:
                failures.append(f"{found.name}: {_said(error)}")
                self.close()
                continue
            self.driver, self.description = found.driver, f"{found.name} ({found.host_api})"
            self._room = int(self._stream.write_available)
            # For JACK, PortAudio tells only of the server's own latency, not of what it keeps for it.
            kept = float(self._stream.latency) if found.driver != "jack" else self._room / STATION_RATE
            self._latency_s = max(kept, TAP_BLOCK / STATION_RATE)
            self._settled: float | None = None
            self._written = time.monotonic()
            return
        raise OutputError(_why_none(driver, device, failures))

    @property
    def latency_s(self) -> float:
        return self._latency_s

    def write(self, block: Audio) -> bool:
        if self._stream is None:
            raise OutputError("The sound device is closed.")
        begun = time.monotonic()
        try:
            # Nothing waits any more: it ran dry. OSS alone cannot be asked, it answers with numbers below zero.
            dry = self.driver != "dsp" and self._stream.write_available >= self._room
            if self.driver == "jack":
                self._wait_for_room(len(block))
            broke = self._stream.write(block)
        except self._errors as error:
            raise OutputError(f"The sound device {self.description} was lost ({_said(error)}).") from error
        before, self._written = self._written, time.monotonic()
        if self._settled is None and self._written - begun > 0.5 * TAP_BLOCK / STATION_RATE:
            self._settled = self._written + _SETTLING_S
        # PortAudio's own flag misses most breaks; the time from one block's end to the next misses none that was
        # measured, whether this process stood still or the sound server, on which a write then waits.
        late = self._written - before > self._latency_s
        return self._settled is None or self._written < self._settled or not (late or dry or broke)

    def _wait_for_room(self, frames: int) -> None:
        """Until the JACK server would take so many: for one that is gone a write would wait, and closing as well."""
        given_up = time.monotonic() + _GONE_S
        while self._stream.write_available < frames:
            if time.monotonic() > given_up:
                self._stream = None
                atexit.unregister(self._portaudio._exit_handler)  # which would wait for the server too
                raise OutputSpent("The JACK server is gone, and PortAudio goes with it.")
            time.sleep(0.25 * TAP_BLOCK / STATION_RATE)

    def close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                stream.abort(ignore_errors=True)
                stream.close(ignore_errors=True)
            except self._errors:
                return


def devices(*, fresh: bool = False) -> list[Device]:
    """Every device that can play, in PortAudio's order; raises ``OutputError`` without PortAudio."""
    return _listed(_portaudio(fresh=fresh))


def signs() -> tuple[object, ...]:
    """What the system shows of sound servers and cards without being searched: it differs when one comes or goes."""
    seen: list[object] = []
    for place in (_pulse_socket(), Path("/dev/snd"), Path("/dev/dsp")):
        try:
            found = place.stat()
        except OSError:
            seen.append(None)
        else:
            seen.append((found.st_ino, found.st_mtime_ns))
    with contextlib.suppress(OSError):
        seen += sorted(found.name for found in Path("/dev/shm").glob("jack*"))
    return tuple(seen)


def _portaudio(*, fresh: bool) -> Any:
    """The sounddevice module, its PortAudio begun anew where ``fresh``."""
    _prepare_environment()
    try:
        import sounddevice
    except OSError as error:
        command = "brew install portaudio" if sys.platform == "darwin" else "sudo apt install libportaudio2"
        raise OutputError(f"PortAudio is not installed, so no sound device can be used: {command}.") from error
    try:
        if fresh:
            # A device that came later is seen only by a PortAudio that begins anew.
            sounddevice._terminate()
            sounddevice._initialize()
    except sounddevice.PortAudioError as error:
        raise OutputError(f"PortAudio does not start ({_said(error)}).") from error
    return sounddevice


def _prepare_environment() -> None:
    """How the station is shown by PulseAudio, and that asking for a server does not start one of its own."""
    global _quiet  # noqa: PLW0603 (a C library keeps the pointer, so it must live as long as the process)
    os.environ.setdefault("PULSE_PROP_OVERRIDE", _PROPERTIES)
    if "PULSE_SERVER" not in os.environ and not _pulse_socket().exists():
        os.environ["PULSE_SERVER"] = f"unix:{_pulse_socket()}"
    if _quiet is None and sys.platform == "linux":
        kind = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)
        _quiet = kind(lambda *_: None)
        try:
            ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_quiet)
        except (OSError, AttributeError):
            return


def _pulse_socket() -> Path:
    if runtime := os.environ.get("PULSE_RUNTIME_PATH"):
        return Path(runtime) / "native"
    return Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}") / "pulse" / "native"


def _listed(portaudio: Any) -> list[Device]:
    apis = portaudio.query_hostapis()
    found = []
    for number, entry in enumerate(portaudio.query_devices()):
        if entry["max_output_channels"] >= STATION_CHANNELS:
            name, api = str(entry["name"]), str(apis[entry["hostapi"]]["name"])
            driver = (
                "pulse" if name == "pulse" else next((d for d, known in _HOST_APIS.items() if known == api), "alsa")
            )
            found.append(Device(number, name, api, driver))
    return found


def _default(portaudio: Any) -> int:
    return int(portaudio.default.device[1])


def _candidates(listed: list[Device], driver: str, device: str, default: int) -> Iterator[Device]:
    """The devices to try, the best first, each once."""
    fitting = [found for found in listed if driver in ("auto", found.driver)]
    if device:
        exact = [found for found in fitting if device in (found.name, str(found.number))]
        yield from exact or [found for found in fitting if device.lower() in found.name.lower()]
        return
    order = [
        *(found for found in fitting if found.driver == "pulse"),
        *(found for found in fitting if found.name == "default"),
        *(found for found in fitting if found.number == default),
        *(found for found in fitting if found.driver in ("jack", "dsp")),
        *fitting[:1],
    ]
    yield from dict.fromkeys(order)


def _why_none(driver: str, device: str, failures: list[str]) -> str:
    what = f"the sound device {device!r}" if device else "a sound device"
    through = "" if driver == "auto" else f" through {driver}"
    tried = f" (tried {'; '.join(failures)})" if failures else ""
    hints = {
        "pulse": "install libasound2-plugins and start PulseAudio or PipeWire",
        "dsp": "load the kernel's OSS emulation, or set the driver to auto",
        "jack": "start the JACK server, or set the driver to auto",
    }
    advice = hints.get(driver, "connect one, or listen to the live stream")
    return f"{what[0].upper()}{what[1:]}{through} was not found or does not open{tried}: {advice}."


def _said(error: Exception) -> str:
    return str(error.args[0] if error.args else error).strip().rstrip(".")
