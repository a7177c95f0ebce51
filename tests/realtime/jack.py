"""A private JACK server without a sound card, and what its clients play."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import soundfile

from shared.units import STATION_RATE, Audio

_WAIT_S = 10.0
_NAME = "infiniloop-tests"
"""Always the same: JACK keeps a place for each name, and has eight."""


class Jack:
    """A server beside the listener's own; ``environment`` leads a client to it."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("jackd") is None:
            raise RuntimeError("These tests need JACK: apt-get install jackd2")
        self._folder = folder
        self._server: subprocess.Popen[bytes] | None = None
        self.environment = {
            "JACK_DEFAULT_SERVER": _NAME,
            "JACK_NO_AUDIO_RESERVATION": "1",
            "JACK_NO_START_SERVER": "1",
        }

    def start(self) -> None:
        self._server = subprocess.Popen(
            f"jackd --no-realtime --name {_NAME} -d dummy --rate {STATION_RATE} --period 1024".split(),
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._run("jack_wait", "--server", _NAME, "--wait", "--timeout", str(round(_WAIT_S)))

    def record(self, seconds: int) -> Audio:
        """What PortAudio's client plays during so many seconds from now on, shape=(n, 2)."""
        path = self._folder / "jack.wav"
        ports = [f"PortAudio:out_{channel}" for channel in (0, 1)]
        self._run("jack_rec", "-f", str(path), "-d", str(seconds), "-b", "32", *ports, within_s=seconds + _WAIT_S)
        sound: Audio = soundfile.read(path, dtype="float32")[0]
        return sound

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(_WAIT_S)
            self._server = None

    def _run(self, *words: str, within_s: float = 2 * _WAIT_S) -> None:
        subprocess.run(words, env={**os.environ, **self.environment}, capture_output=True, check=True, timeout=within_s)
