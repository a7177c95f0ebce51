"""Measures a running station's ways: how soon a new prompt is heard, and how much of the machine its modes take.

    python -m benchmarks.modes changes --times 10 --seed 1
    python -m benchmarks.modes share --minutes 11

Both attach to the station of this environment (``INFINILOOP_HOME``) and print one JSON object per figure. ``changes``
asks for other music at random moments; one that was asked for before comes out of the library. ``share`` listens to
the stream meanwhile, so that the station works for somebody.
"""

from __future__ import annotations

import json
import random
import threading
import time
import urllib.request
from contextlib import suppress

import click
import psutil

from shared.bus import Bus, Link, ask
from shared.messages import Command, ControllerStatus, DashboardStatus, PlayerStatus, Status
from shared.music import Loop
from shared.paths import Paths
from shared.topology import STATUS

WITHIN_S = 4.0
"""A new prompt is heard within this and one bar."""
PROMPTS = (
    "calm solo piano, 68 bpm",
    "minimal techno, hypnotic, 126 bpm",
    "deep dark ambient, slow pads",
    "lo-fi hip hop, dusty drums, 78 bpm",
    "bossa nova guitar, relaxed",
    "synthwave, night drive, 100 bpm",
    "dub, deep bass, 72 bpm",
    "chiptune adventure, fast",
)


def say(**figure: object) -> None:
    print(json.dumps(figure, ensure_ascii=False), flush=True)


class Eye:
    """Sees what every service says of itself."""

    def __init__(self, paths: Paths) -> None:
        self._bus = Bus(paths)
        self._status = self._bus.connect(STATUS)
        self.states: dict[str, Status] = {}

    def turn(self, timeout_s: float = 0.02) -> None:
        for link in self._bus.wait(timeout_s):
            assert isinstance(link, Link)
            while (received := link.receive()) is not None:
                if isinstance(received.message, Status):
                    self.states[received.message.service] = received.message

    @property
    def loop(self) -> Loop | None:
        state = self.states["player"].state if "player" in self.states else None
        return state.loop if isinstance(state, PlayerStatus) else None

    @property
    def controller(self) -> ControllerStatus:
        state = self.states["controller"].state if "controller" in self.states else None
        return state if isinstance(state, ControllerStatus) else ControllerStatus()

    def url(self) -> str:
        state = self.states["dashboard"].state if "dashboard" in self.states else None
        return state.url if isinstance(state, DashboardStatus) else ""

    def watch(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.turn()


@click.group()
def main() -> None:
    """Figures of the station's modes."""


@main.command()
@click.option("--times", default=10, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--wait", "wait_s", default=60.0, show_default=True, help="Longest wait for a change.")
def changes(times: int, seed: int, wait_s: float) -> None:
    """How soon after its command a new prompt is heard."""
    paths, dice = Paths.from_environment(), random.Random(seed)
    eye, took = Eye(paths), []
    eye.watch(2.0)
    for number in range(times):
        eye.watch(dice.uniform(3.0, 9.0))
        leaving = eye.loop
        bar = leaving.frames / leaving.bars / leaving.sample_rate if leaving is not None and leaving.bars else 0.0
        before, cancelled = eye.controller.epoch, eye.controller.cancelled
        prompt = PROMPTS[number % len(PROMPTS)]
        began = time.monotonic()
        ask(paths, Command(command_id=f"bench-{number}", name="start", arguments={"prompt": prompt}), timeout_s=5.0)
        while (eye.loop is None or eye.loop.epoch <= before) and time.monotonic() - began < wait_s:
            eye.turn()
        seconds = time.monotonic() - began
        heard = eye.loop
        kind = "nothing" if heard is None or heard.epoch <= before else "bridge" if heard.bridge else "loop"
        eye.watch(0.3)
        note, cancelled = eye.controller.bridge, eye.controller.cancelled - cancelled
        took.append(seconds - bar)
        say(prompt=prompt, seconds=round(seconds, 2), bar_s=round(bar, 2), heard=kind, note=note, cancelled=cancelled)
    took.sort()
    say(
        changes=times,
        median_beyond_bar_s=round(took[times // 2], 2),
        worst_beyond_bar_s=round(took[-1], 2),
        within=sum(each <= WITHIN_S for each in took),
    )


@main.command()
@click.option("--minutes", default=11.0, show_default=True)
def share(minutes: float) -> None:
    """Processor seconds of every service over so many minutes, as shares of the machine."""
    eye = Eye(Paths.from_environment())
    eye.watch(3.0)
    while not eye.url():
        eye.turn()
    threading.Thread(target=_listen, args=(f"{eye.url()}stream.mp3",), daemon=True).start()
    cores = psutil.cpu_count() or 1
    began, accepted = time.monotonic(), eye.controller.accepted
    spent = {name: _processor_s(status.pid) for name, status in eye.states.items()}
    heard: list[str] = []
    while time.monotonic() - began < minutes * 60:
        eye.turn(0.2)
        if eye.loop is not None and eye.loop.loop_id not in heard[-1:]:
            heard.append(eye.loop.loop_id)
    lasted = time.monotonic() - began
    shares = {
        name: round((_processor_s(status.pid) - spent[name]) / lasted / cores, 4)
        for name, status in eye.states.items()
        if name in spent
    }
    say(
        mode=eye.controller.mode,
        minutes=round(lasted / 60, 1),
        cores=cores,
        share_of_machine=round(sum(shares.values()), 4),
        making=round(shares.get("generator", 0.0) + shares.get("analyzer", 0.0), 4),
        by_service=shares,
        loops_made=eye.controller.accepted - accepted,
        loops_heard=len(heard),
        heard_twice=len(heard) - len(set(heard)),
    )


def _processor_s(pid: int) -> float:
    """Of a process, its living children and those that have ended."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(sum(each.cpu_times()[:4]) if each is process else sum(each.cpu_times()[:2]) for each in family)
    return 0.0


def _listen(url: str) -> None:
    with urllib.request.urlopen(url) as stream:
        while stream.read(16_384):
            pass


if __name__ == "__main__":
    main()
