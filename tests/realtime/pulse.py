"""A private PulseAudio with a null sink, and a recorder of what it plays."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np

from shared.units import STATION_RATE, Audio

SINK = "station"
_WAIT_S = 10.0
_FORMAT = ("--format=float32le", "--rate=48000", "--channels=2")


class Pulse:
    """One server in ``folder``; ``environment`` leads a client to it."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("pulseaudio") is None or shutil.which("parec") is None:
            raise RuntimeError(
                "These tests need PulseAudio: "
                "apt-get install libportaudio2 pulseaudio pulseaudio-utils libasound2-plugins"
            )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._folder = folder
        self._server: subprocess.Popen[bytes] | None = None
        self.environment = {
            "PULSE_RUNTIME_PATH": str(folder),
            "PULSE_STATE_PATH": str(folder),
            "PULSE_COOKIE": str(folder / "cookie"),
            "PULSE_SERVER": f"unix:{folder / 'native'}",
        }

    def start(self, sinks: tuple[str, ...] = (SINK,)) -> None:
        loads = [f"module-native-protocol-unix auth-anonymous=1 socket={self._folder / 'native'}"]
        loads += [f"module-null-sink sink_name={name} format=float32le rate=48000 channels=2" for name in sinks]
        loads += ["module-rescue-streams"]
        self._server = subprocess.Popen(
            ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes"]
            + [part for load in loads for part in ("-L", load)],
            env={**os.environ, **self.environment},
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # as a sound server has one: the system shares its cores out between sessions
        )
        end = time.monotonic() + _WAIT_S
        while self.control("info", check=False).returncode:
            if time.monotonic() > end:
                raise RuntimeError("PulseAudio did not start.")

    def control(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pactl", *words],
            env={**os.environ, **self.environment, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=check,
            timeout=_WAIT_S,
        )

    def freeze(self, *, thaw: bool = False) -> None:
        """Have the server stand still as it is; or go on."""
        assert self._server is not None
        self._server.send_signal(signal.SIGCONT if thaw else signal.SIGSTOP)

    def kill(self) -> None:
        if self._server is not None:
            self._server.send_signal(signal.SIGKILL)
            self._server.wait(_WAIT_S)
            self._server = None
            (self._folder / "native").unlink(missing_ok=True)


class Recorder:
    """Records a sink's monitor from the moment it is made."""

    def __init__(self, pulse: Pulse, sink: str = SINK) -> None:
        self._process = subprocess.Popen(
            ["parec", "-d", f"{sink}.monitor", "--raw", "--latency-msec=50", *_FORMAT],
            env={**os.environ, **pulse.environment},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._data = bytearray()
        self.read(STATION_RATE // 10)

    def read(self, frames: int) -> Audio:
        """Wait for ``frames`` more; returns all that was recorded so far, shape=(n, 2)."""
        self.wait(frames)
        return self.sound()

    def wait(self, frames: int) -> None:
        """Wait for ``frames`` more: of a long recording nothing is copied."""
        assert self._process.stdout is not None
        goal = len(self._data) + 8 * frames
        while len(self._data) < goal:
            got = os.read(self._process.stdout.fileno(), 1 << 16)
            if not got:
                raise RuntimeError("The recorder ended.")
            self._data += got

    @property
    def frames(self) -> int:
        """How many were recorded so far."""
        return len(self._data) // 8

    def sound(self) -> Audio:
        whole = len(self._data) // 8 * 8
        return np.frombuffer(bytes(self._data[:whole]), "<f4").reshape(-1, 2)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(_WAIT_S)
        assert self._process.stdout is not None
        self._process.stdout.close()


def find(recorded: Audio, reference: Audio) -> int:
    """The frame of ``recorded`` at which ``reference`` begins, by its first sound; −1 if it is not there."""
    probe = reference[:64]
    starts = np.flatnonzero(recorded[: len(recorded) - len(probe), 0] == probe[0, 0])
    return next((int(at) for at in starts if np.array_equal(recorded[at : at + len(probe)], probe)), -1)
