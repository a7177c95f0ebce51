"""A whole station of real processes under a temporary home, and an ear and an eye on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from shared.bus import Bus, Link
from shared.messages import ControllerStatus, DashboardStatus, PlayerStatus, Status
from shared.music import Loop
from shared.paths import Paths
from shared.tap import unpack_block
from shared.topology import SERVICES, STATUS, TAP
from shared.units import Audio

ROOT = Path(__file__).parents[2]
WAITS_S = 60.0
"""No wait is ever this long but on a machine that is busy with everything else."""
AUDIBLE = 1e-4
QUICK = "fast chiptune in 2/4, 200 bpm"
"""Its eight bars pass in five seconds, its thirty in eighteen: soon composed, and soon changed."""
BUSY_PORT = "18420"


class WholeStation:
    """One station: its launcher, what it says and what it sounds like."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.paths = Paths.under(home)
        self.environment = {
            **os.environ,
            "INFINILOOP_HOME": str(home),
            "INFINILOOP_PLAYER_DRIVER": "null",
            "INFINILOOP_PLAYER_MIN_DURATION": "10",
            "INFINILOOP_DASHBOARD_PORT": BUSY_PORT,
            "PYTHONPATH": str(ROOT),
            **environment,
        }
        self.launcher: subprocess.Popen[bytes] | None = None
        self.statuses: dict[str, Status] = {}
        self.heard: list[Loop] = []
        """What sounded, in order."""
        self.blocks: list[tuple[int, float]] = []
        """Numbers and peaks of the tap's blocks."""
        self.samples: list[tuple[int, Audio]] | None = None
        """The blocks themselves, where a test wants to keep them."""
        self._bus: Bus | None = None

    def __enter__(self) -> WholeStation:
        self.paths.create()
        self.launcher = subprocess.Popen(
            (sys.executable, "-m", "services", "station"), env=self.environment, cwd="/", start_new_session=True
        )
        self._bus = Bus(self.paths)
        self._status, self._tap = self._bus.connect(STATUS), self._bus.connect(TAP)
        return self

    def __exit__(self, *_: object) -> None:
        family = self.family()
        if self.launcher is not None and self.launcher.poll() is None:
            self.launcher.terminate()
            self.launcher.wait(15)
        if self._bus is not None:
            self._bus.close(linger_ms=0)
        for left in family:
            if left.is_running():
                left.kill()

    # -- what is seen and heard ---------------------------------------------------------------------------------------

    def turn(self, wait_s: float = 0.05) -> None:
        assert self._bus is not None
        for token in self._bus.wait(wait_s):
            assert isinstance(token, Link)
            if token is self._tap:
                while (frames := token.receive_frames()) is not None:
                    number, samples = unpack_block(frames)
                    self.blocks.append((number, float(np.abs(samples).max())))
                    if self.samples is not None:
                        self.samples.append((number, samples))
                continue
            while (received := token.receive()) is not None:
                if isinstance(received.message, Status):
                    self._see(received.message)

    def _see(self, status: Status) -> None:
        self.statuses[status.service] = status
        loop = status.state.loop if isinstance(status.state, PlayerStatus) else None
        if loop is not None and (not self.heard or self.heard[-1].loop_id != loop.loop_id):
            self.heard.append(loop)

    def until(self, condition: Callable[[], object], what: str, within_s: float = WAITS_S) -> float:
        """Watch until it is so; returns the seconds that it took."""
        began = time.monotonic()
        while not condition():
            took = time.monotonic() - began
            assert took < within_s, f"not within {within_s} s: {what}; {self._last_words()}"
            self.turn()
        return time.monotonic() - began

    def watch(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.turn()

    @property
    def controller(self) -> ControllerStatus:
        state = self.statuses["controller"].state
        assert isinstance(state, ControllerStatus)
        return state

    @property
    def player(self) -> PlayerStatus:
        state = self.statuses["player"].state
        assert isinstance(state, PlayerStatus)
        return state

    @property
    def dashboard(self) -> DashboardStatus:
        state = self.statuses["dashboard"].state
        assert isinstance(state, DashboardStatus)
        return state

    def is_up(self) -> bool:
        return set(self.statuses) >= set(SERVICES)

    @property
    def playing(self) -> Loop:
        """What sounded last."""
        return self.heard[-1]

    def own_song(self) -> Loop:
        """Wait for a song of the prompt that was given last, no bridge to it; returns it."""

        def sounds() -> bool:
            loop = self.playing
            return loop.epoch == self.controller.epoch and not loop.bridge and not loop.startup

        self.until(sounds, "a song of this prompt")
        return self.playing

    def plays_fresh(self, *, after: int = 0) -> bool:
        """Whether a loop that was made here has sounded, of those heard from number ``after`` on."""
        return any(not loop.startup for loop in self.heard[after:])

    def balances(self) -> bool:
        c = self.controller
        return c.jobs_sent == c.accepted + c.rejected + c.lost + c.leases

    def gaps(self) -> int:
        """Blocks of the tap that were lost, and silences of 60 ms or more within what was heard."""
        numbers = [number for number, _ in self.blocks]
        lost = sum(later != earlier + 1 for earlier, later in pairwise(numbers))
        quiet = silences = 0
        for _, peak in self.blocks:
            quiet = quiet + 1 if peak < AUDIBLE else 0
            silences += quiet == 3
        return lost + silences

    # -- what is done to it -------------------------------------------------------------------------------------------

    def kill(self, service: str) -> list[psutil.Process]:
        """Kill a service's process outright; returns it and what it had begun."""
        victim = psutil.Process(self.statuses[service].pid)
        family = [victim, *victim.children(recursive=True)]
        victim.send_signal(signal.SIGKILL)
        return family

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line to its end, watching the station meanwhile."""
        process = subprocess.Popen(
            (sys.executable, "-m", "services", *arguments),
            env=self.environment,
            cwd=self.home.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while process.poll() is None and self._bus is not None:
            self.turn()
        out, err = process.communicate(timeout=WAITS_S)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def ask(self, *arguments: str) -> dict[str, Any]:
        """The last line of a command with ``--json``, which must succeed."""
        done = self.cli(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    def family(self) -> list[psutil.Process]:
        """Every process of the station."""
        if self.launcher is None or self.launcher.poll() is not None:
            return []
        launcher = psutil.Process(self.launcher.pid)
        return [launcher, *launcher.children(recursive=True)]

    def _last_words(self) -> str:
        states = {name: status.state for name, status in self.statuses.items()}
        waiting = states["controller"].waiting if isinstance(states.get("controller"), ControllerStatus) else ""
        return f"services {sorted(states)}, waiting: {waiting!r}, heard: {[loop.loop_id for loop in self.heard]}"


def gone(processes: list[psutil.Process], within_s: float) -> list[psutil.Process]:
    """Those that are still there after this time."""
    left = psutil.wait_procs(processes, timeout=within_s)[1]
    return [each for each in left if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
