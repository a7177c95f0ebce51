"""Listens to a running station and measures what a listener would notice.

    python -m benchmarks.station soak --minutes 30
    python -m benchmarks.station kill --times 20 --seed 1

Both attach to the station of this environment (``INFINILOOP_HOME``), hear its PCM tap and its status, and print one
JSON object per figure. ``kill`` ends the services' processes with SIGKILL at random moments; start the station for it
alone, with short songs (``INFINILOOP_PLAYER_MIN_DURATION=10``).
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field

import click
import numpy as np
import psutil

from shared.bus import Bus, Link, ask
from shared.messages import Command, ControllerStatus, PlayerStatus, Status
from shared.paths import Paths
from shared.tap import unpack_block
from shared.topology import STATUS, TAP
from shared.units import STATION_RATE, TAP_BLOCK

SILENCE_DBFS = -80.0
SILENCE_BLOCKS = 3
"""Three blocks of 20 ms under the threshold hold at least 50 ms of silence."""


def say(**figure: object) -> None:
    print(json.dumps(figure, ensure_ascii=False), flush=True)


@dataclass
class Ear:
    """What was heard on the tap so far."""

    blocks: int = 0
    missing: int = 0
    restarts: int = 0
    silences: int = 0
    longest_silence_s: float = 0.0
    longest_wait_s: float = 0.0
    _last: int | None = None
    _quiet: int = 0
    _heard_at: float = field(default_factory=time.monotonic)

    def hear(self, number: int, samples: np.ndarray, now: float) -> None:
        self.blocks += 1
        self.longest_wait_s = max(self.longest_wait_s, now - self._heard_at)
        self._heard_at = now
        if self._last is not None and number != self._last + 1:
            if number > self._last:
                self.missing += number - self._last - 1
            else:
                self.restarts += 1
        self._last = number
        level = 20 * math.log10(float(np.sqrt(np.mean(np.square(samples)))) + 1e-12)
        self._quiet = self._quiet + 1 if level < SILENCE_DBFS else 0
        if self._quiet == SILENCE_BLOCKS:
            self.silences += 1
        self.longest_silence_s = max(self.longest_silence_s, self._quiet * TAP_BLOCK / STATION_RATE)

    def figures(self) -> dict[str, object]:
        return {
            "blocks": self.blocks,
            "blocks_missing": self.missing,
            "silences_50ms": self.silences,
            "longest_silence_s": round(self.longest_silence_s, 3),
            "longest_wait_s": round(self.longest_wait_s, 3),
            "player_restarts": self.restarts,
        }


class Observer:
    """The station, heard and watched."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self._bus = Bus(paths)
        self._tap = self._bus.connect(TAP)
        self._status = self._bus.connect(STATUS)
        self.ear = Ear()
        self.status: dict[str, Status] = {}
        self.seen_at: dict[str, float] = {}
        self.loops: list[str] = []
        """Identities of the loops in the order in which they began to sound."""

    def turn(self, timeout_s: float = 0.1) -> None:
        for token in self._bus.wait(timeout_s):
            assert isinstance(token, Link)
            if token is self._tap:
                while (frames := token.receive_frames()) is not None:
                    number, samples = unpack_block(frames)
                    self.ear.hear(number, samples, time.monotonic())
            else:
                while (received := token.receive()) is not None:
                    if isinstance(received.message, Status):
                        self._note(received.message)

    def _note(self, status: Status) -> None:
        self.status[status.service] = status
        self.seen_at[status.service] = time.monotonic()
        if isinstance(status.state, PlayerStatus) and status.state.loop_id:
            self.loops += [status.state.loop_id] if self.loops[-1:] != [status.state.loop_id] else []

    def until(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.turn(min(left, 0.1))

    def wait_for(self, condition: object, timeout_s: float) -> float | None:
        """Seconds until ``condition()`` holds, or None if it does not in time."""
        began = time.monotonic()
        while time.monotonic() - began < timeout_s:
            self.turn(0.02)
            if condition():  # type: ignore[operator]
                return time.monotonic() - began
        return None

    @property
    def player(self) -> PlayerStatus:
        state = self.status["player"].state
        assert isinstance(state, PlayerStatus)
        return state

    @property
    def controller(self) -> ControllerStatus:
        state = self.status["controller"].state
        assert isinstance(state, ControllerStatus)
        return state


def _memory(observer: Observer) -> dict[str, int]:
    """Resident bytes of each service with its children."""
    sizes = {}
    for name, status in observer.status.items():
        try:
            process = psutil.Process(status.pid)
            family = [process, *process.children(recursive=True)]
            sizes[name] = sum(member.memory_info().rss for member in family)
        except psutil.NoSuchProcess:
            continue
    return sizes


@click.group()
def main() -> None:
    """Measure a running station."""


@main.command()
@click.option("--minutes", default=30.0, show_default=True)
@click.option("--settle", default=5.0, show_default=True, help="Minutes before memory counts.")
def soak(minutes: float, settle: float) -> None:
    """Listen for a long time: gaps, silences, underruns, memory, disk."""
    observer = Observer(Paths.from_environment())
    if observer.wait_for(lambda: len(observer.status) >= 5, 20) is None:
        sys.exit(f"only these services were seen: {sorted(observer.status)}")
    memory: dict[str, list[tuple[float, int]]] = defaultdict(list)
    cache: list[int] = []
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < minutes * 60:
        observer.until(min(5.0, minutes * 60 - elapsed))
        for name, size in _memory(observer).items():
            memory[name].append((time.monotonic() - began, size))
        cache.append(observer.controller.cache_bytes)
    played_s = observer.ear.blocks * TAP_BLOCK / STATION_RATE
    say(figure="soak", minutes=minutes, behind_s=round(minutes * 60 - played_s, 2), **observer.ear.figures())
    say(figure="underruns", value=observer.player.underruns, worst_lateness_s=observer.player.worst_lateness_s)
    say(figure="loops heard", value=len(observer.loops), different=len(set(observer.loops)))
    say(figure="cache", most_mb=round(max(cache) / 1e6, 1))
    for name, sizes in memory.items():
        later = [size for at, size in sizes if at >= settle * 60] or [sizes[-1][1]]
        # The state at the mark and at the end, each as the median of a minute, so that one busy moment does not count.
        first, last = float(np.median(later[:12])), float(np.median(later[-12:]))
        say(
            figure="memory",
            service=name,
            settled_mb=round(first / 1e6, 1),
            end_mb=round(last / 1e6, 1),
            change_mb=round((last - first) / 1e6, 2),
            change_percent=round((last - first) / first * 100, 2),
        )


@main.command()
@click.option("--times", default=20, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option(
    "--service", "services", multiple=True, default=("generator", "analyzer", "controller", "dashboard", "player")
)
def kill(times: int, seed: int, services: tuple[str, ...]) -> None:
    """Kill each service again and again at random moments and see how it heals."""
    chance = random.Random(seed)
    observer = Observer(Paths.from_environment())
    if observer.wait_for(lambda: len(observer.status) >= 5, 20) is None:
        sys.exit(f"only these services were seen: {sorted(observer.status)}")
    for name in services:
        back: list[float] = []
        fresh: list[float] = []
        orphans = unhealed = 0
        observer.ear = Ear()
        for _ in range(times):
            observer.until(chance.uniform(0.5, 4.0))
            back_s, fresh_s, left = _kill_once(observer, name)
            orphans += left
            unhealed += back_s is None
            back += [] if back_s is None else [back_s]
            fresh += [] if fresh_s is None else [fresh_s]
        say(
            figure="kill",
            service=name,
            times=times,
            unhealed=unhealed,
            back_median_s=round(float(np.median(back)), 2) if back else None,
            back_worst_s=round(max(back), 2) if back else None,
            sound_or_fresh_worst_s=round(max(fresh), 2) if fresh else None,
            without_new_loop_in_30_s=times - len(fresh) if name != "player" else None,
            processes_left_after_2_s=orphans,
            **observer.ear.figures(),
        )
    observer.until(2)
    state = observer.controller
    say(
        figure="leases",
        sent=state.jobs_sent,
        accepted=state.accepted,
        rejected=state.rejected,
        open=state.leases,
        lost=state.lost,
        balanced=state.jobs_sent == state.accepted + state.rejected + state.leases and state.lost == 0,
    )


def _kill_once(observer: Observer, name: str) -> tuple[float | None, float | None, int]:
    """Kill one service, then ask for the next song.

    Returns the seconds until it reports again, those until sound (the player) or until a loop sounds that never sounded
    before (the others), and how many of the killed service's own processes are left after two seconds.
    """
    victim = psutil.Process(observer.status[name].pid)
    family = victim.children(recursive=True)
    known = set(observer.loops)
    blocks = observer.ear.blocks
    os.kill(victim.pid, signal.SIGKILL)
    killed = time.monotonic()
    back_s = observer.wait_for(lambda: observer.status[name].pid != victim.pid, 30)
    if name == "player":
        sounding = observer.wait_for(lambda: observer.ear.blocks > blocks + 5, 30)
        fresh_s = None if sounding is None else time.monotonic() - killed
    else:
        ask(observer.paths, Command(command_id=f"skip-{killed}", name="skip"), timeout_s=2.0)
        fresh_s = observer.wait_for(lambda: bool(set(observer.loops) - known), 30)
        fresh_s = None if fresh_s is None else time.monotonic() - killed
    observer.until(max(0.0, 2.0 - (time.monotonic() - killed)))
    left = sum(1 for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return back_s, fresh_s, left


if __name__ == "__main__":
    main()
