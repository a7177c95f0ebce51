"""A private JACK server without a sound card, and what its clients play."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import soundfile

from shared.units import STATION_RATE, Audio

_WAIT_S = 10.0


class Jack:
    """One server of its own name; ``environment`` leads a client to it."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("jackd") is None:
            raise RuntimeError("These tests need JACK: apt-get install jackd2")
        self._folder = folder
        self._name = f"infiniloop-{os.getpid()}"
        self._server: subprocess.Popen[bytes] | None = None
        self.environment = {
            "JACK_DEFAULT_SERVER": self._name,
            "JACK_NO_AUDIO_RESERVATION": "1",
            "JACK_NO_START_SERVER": "1",
        }

    def start(self) -> None:
        self._server = subprocess.Popen(
            f"jackd --no-realtime --name {self._name} -d dummy --rate {STATION_RATE} --period 1024".split(),
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._run("jack_wait", "--server", self._name, "--wait", "--timeout", str(round(_WAIT_S)))

    def record(self, seconds: int) -> Audio:
        """What PortAudio's client plays during so many seconds from now on, shape=(n, 2)."""
        path = self._folder / "jack.wav"
        ports = [f"PortAudio:out_{channel}" for channel in (0, 1)]
        self._run("jack_rec", "-f", str(path), "-d", str(seconds), "-b", "32", *ports, within_s=seconds + _WAIT_S)
        sound: Audio = soundfile.read(path, dtype="float32")[0]
        return sound

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait(_WAIT_S)
            self._server = None

    def _run(self, *words: str, within_s: float = 2 * _WAIT_S) -> None:
        subprocess.run(words, env={**os.environ, **self.environment}, capture_output=True, check=True, timeout=within_s)
