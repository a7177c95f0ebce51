"""Kills a station's controller while everything is being written, and looks at what is left of it.

    python benchmarks/kills_controller.py --times 200 --seed 1

Starts a station on a small library in a temporary home. Writers change a setting, add presets, like and unlike loops,
and save the loop that plays, each noting what was confirmed. The controller is ended by SIGKILL at random moments;
after each time, before the writers go on, every file is read: settings, presets, verdicts, the library and its audio,
saved files. What was confirmed must hold; what was not confirmed may hold or not, but nothing may be half written. One
JSON object per figure.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import click
import psutil
import soundfile

from benchmarks.library import fill
from services.controller.library import library_file
from services.controller.library.entry import IN_LIBRARY, audio_file
from services.controller.library.opening import read_verdicts
from services.controller.presets import store as presets
from services.controller.state import StationState, state_file
from shared.bus import ask
from shared.errors import LinkError
from shared.messages import Answer, Command
from shared.paths import Paths
from shared.runtime.locks import is_locked
from shared.settings import load

LOOPS = 40
ROOT = Path(__file__).parents[1]


def say(**figure: object) -> None:
    print(json.dumps(figure, ensure_ascii=False), flush=True)


class Told:
    """Commands, and whether they were confirmed."""

    def __init__(self, paths: Paths, dice: random.Random) -> None:
        self.paths, self.dice = paths, dice
        self.count = 0

    def ask(self, name: str, **arguments: object) -> Answer | None:
        self.count += 1
        command = Command(command_id=f"{name}-{os.getpid()}-{self.count}", name=name, arguments=dict(arguments))
        try:
            return ask(self.paths, command, timeout_s=3.0, heard_within_s=1.0)
        except LinkError:
            return None


@dataclass
class Wrote:
    """What writers know to be safe, and what they have asked for since."""

    volume: int = 70
    volume_maybe: set[int] = field(default_factory=set)
    liked: dict[int, bool] = field(default_factory=dict)
    liked_maybe: dict[int, set[bool]] = field(default_factory=dict)
    presets: list[str] = field(default_factory=list)
    saved: dict[Path, int] = field(default_factory=dict)
    saves_tried: list[Path] = field(default_factory=list)
    confirmed: Counter[str] = field(default_factory=Counter)


class Writers:
    """Four threads that write until they are told to rest."""

    def __init__(self, paths: Paths, folder: Path, loops: int, seed: int) -> None:
        self.paths, self.folder, self.loops = paths, folder, loops
        self.wrote = Wrote()
        self.busy = threading.Event()
        self.ended = False
        works = (self._set, self._like, self._preset, self._save)
        self._resting = [threading.Event() for _ in works]
        self._threads = [
            threading.Thread(target=self._run, args=(work, Told(paths, random.Random(seed + n)), rests), daemon=True)
            for n, (work, rests) in enumerate(zip(works, self._resting, strict=True))
        ]
        for thread in self._threads:
            thread.start()

    def rest(self) -> None:
        """Have them finish what they are at."""
        self.busy.clear()
        for rests in self._resting:
            rests.wait(30.0)

    def go_on(self) -> None:
        for rests in self._resting:
            rests.clear()
        self.busy.set()

    def _run(self, work: Callable[[Told], None], told: Told, rests: threading.Event) -> None:
        while not self.ended:
            if not self.busy.is_set():
                rests.set()
                self.busy.wait(0.5)
                continue
            work(told)

    def _set(self, told: Told) -> None:
        wrote, value = self.wrote, told.dice.randint(0, 100)
        wrote.volume_maybe.add(value)
        answer = told.ask("volume", volume=value)
        if answer is not None and answer.ok:
            wrote.volume, wrote.volume_maybe = value, set()
            wrote.confirmed["settings"] += 1

    def _like(self, told: Told) -> None:
        wrote, number = self.wrote, told.dice.randint(1, self.loops)
        wish = not wrote.liked.get(number, False)
        wrote.liked_maybe.setdefault(number, set()).add(wish)
        answer = told.ask("like", loop=str(number), undo=not wish)
        if answer is not None and answer.ok:
            wrote.liked[number] = wish
            wrote.liked_maybe.pop(number, None)
            wrote.confirmed["likes"] += 1

    def _preset(self, told: Told) -> None:
        name = f"kill-{told.count}"
        told.count += 1
        book, _ = presets.open_book(self.paths)
        presets.save(self.paths, book.add(presets.Preset(name=name, title=name, prompt=f"preset {name}")))
        self.wrote.presets.append(name)
        self.wrote.confirmed["presets"] += 1
        time.sleep(0.02)

    def _save(self, told: Told) -> None:
        target = self.folder / f"saved-{told.count}.{told.dice.choice(('wav', 'flac'))}"
        self.wrote.saves_tried.append(target)
        answer = told.ask("save", file=str(target))
        if answer is not None and answer.ok:
            self.wrote.saved[target] = int(answer.data["frames"])
            self.wrote.confirmed["saves"] += 1


def look(paths: Paths, wrote: Wrote) -> list[str]:
    """What is wrong on disk, given what was confirmed."""
    wrong = []
    settings, problems = load(paths, environment={})
    if problems:
        wrong.append(f"settings: {problems}")
    elif settings.player.volume not in {wrote.volume, *wrote.volume_maybe}:
        wrong.append(f"volume {settings.player.volume}, confirmed {wrote.volume}")
    wrote.volume, wrote.volume_maybe = settings.player.volume, set()
    book, problem = presets.open_book(paths)
    missing = set(wrote.presets) - set(book.presets)
    if problem or missing:
        wrong.append(f"presets: {problem} {missing}")
    wrong += _look_at_library(paths, wrote)
    for target in wrote.saves_tried:
        frames = wrote.saved.get(target)
        if target.exists():
            try:
                found = len(soundfile.read(target, dtype="int32")[0])
            except soundfile.SoundFileError as error:
                wrong.append(f"{target.name}: {error}")
            else:
                if frames is not None and found != frames:
                    wrong.append(f"{target.name}: {found} of {frames} frames")
        elif frames is not None:
            wrong.append(f"{target.name}: confirmed and not there")
        target.unlink(missing_ok=True)
    wrote.saves_tried, wrote.saved = [], {}
    import msgspec

    try:
        msgspec.msgpack.decode(state_file(paths).read_bytes(), type=StationState)
    except (OSError, msgspec.DecodeError) as error:
        wrong.append(f"state: {error}")
    wrong += [f"set aside: {each}" for each in (*paths.config.glob("*.broken-*"), *paths.library.glob("*.broken-*"))]
    return wrong


def _look_at_library(paths: Paths, wrote: Wrote) -> list[str]:
    wrong = []
    db = sqlite3.connect(library_file(paths), timeout=10.0)
    try:
        (whole,) = db.execute("PRAGMA quick_check").fetchone()
        if whole != "ok":
            wrong.append(f"library: {whole}")
        db.execute("INSERT INTO search (search) VALUES ('integrity-check')")
        db.rollback()
        verdicts = dict(db.execute("SELECT number, verdict FROM loops"))
        names = dict(db.execute("SELECT number, loop_id FROM loops"))
        (unrecorded,) = db.execute(
            "SELECT count(*) FROM loops LEFT JOIN records USING (number) WHERE records.number IS NULL"
        ).fetchone()
        if unrecorded:
            wrong.append(f"{unrecorded} loops without a record")
        for (loop_id,) in db.execute("SELECT loop_id FROM loops WHERE place = ?", (IN_LIBRARY,)):
            if not audio_file(paths.library, loop_id).is_file():
                wrong.append(f"{loop_id}: its audio is missing")
    finally:
        db.close()
    for number, liked in wrote.liked.items():
        now = verdicts.get(number) == 1
        if now != liked and now not in wrote.liked_maybe.get(number, set()):
            wrong.append(f"#{number}: liked {now}, confirmed {liked}")
        wrote.liked[number] = now
    beside = read_verdicts(paths.library)
    for number, maybe in wrote.liked_maybe.items():
        wrote.liked[number] = verdicts.get(number) == 1
        maybe.clear()
    differing = {names[n] for n, liked in wrote.liked.items() if liked != (beside.get(names[n]) == 1)}
    if len(differing) > 1:  # the one that was being written may not have reached the file beside the database
        wrong.append(f"verdicts beside the library: {differing}")
    return wrong


@click.command()
@click.option("--times", default=200, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(times: int, seed: int) -> None:
    """Kill the controller again and again while it writes."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        home, saves = Path(folder) / "home", Path(folder) / "saves"
        saves.mkdir()
        paths = Paths.under(home)
        fill(paths, LOOPS)
        environment = {
            **os.environ,
            "INFINILOOP_HOME": str(home),
            "INFINILOOP_PLAYER_DRIVER": "null",
            "INFINILOOP_PLAYER_MIN_DURATION": "10",
            "INFINILOOP_DASHBOARD_PORT": "19342",
            "PYTHONPATH": str(ROOT),
        }
        with (Path(folder) / "log").open("wb") as log:
            station = subprocess.Popen(
                (sys.executable, "-m", "services", "station"), env=environment, cwd="/", stdout=log, stderr=log
            )
        try:
            report = _kill_often(paths, saves, dice, times, seed)
        finally:
            station.terminate()
            station.wait(20)
    say(figure="kills of the controller while it writes", times=times, **report)
    sys.exit(1 if report["wrong"] else 0)


def _kill_often(paths: Paths, saves: Path, dice: random.Random, times: int, seed: int) -> dict[str, object]:
    told = Told(paths, dice)
    deadline = time.monotonic() + 60.0
    while not _plays(told):
        if time.monotonic() > deadline:
            raise SystemExit("the station played nothing of the library within a minute")
        time.sleep(0.5)
    writers = Writers(paths, saves, LOOPS, seed)
    wrong: list[str] = []
    back = []
    for number in range(times):
        writers.go_on()
        time.sleep(dice.uniform(0.05, 1.2))
        pid = _controller(paths)
        psutil.Process(pid).send_signal(signal.SIGKILL)
        began = time.monotonic()
        writers.rest()
        while _controller(paths) == pid or told.ask("status") is None:
            if time.monotonic() - began > 30.0:
                raise SystemExit(f"the controller did not come back after kill {number}")
        back.append(time.monotonic() - began)
        wrong += [f"{number}: {each}" for each in look(paths, writers.wrote)]
    writers.ended = True
    writers.rest()
    left = [path.name for path in saves.iterdir()]
    for each in wrong[:20]:
        print(each, file=sys.stderr)
    assert is_locked(paths.runtime, "controller")
    return {
        "wrong": len(wrong),
        "confirmed": dict(writers.wrote.confirmed),
        "loops": _loops(told),
        "unfinished_left": len(left),
        "answers_again_worst_s": round(max(back), 1),
    }


def _plays(told: Told) -> bool:
    answer = told.ask("status")
    return answer is not None and answer.data["now"] is not None and not answer.data["now"]["startup"]


def _loops(told: Told) -> int:
    answer = told.ask("status")
    return int(answer.data["library"]["loops"]) if answer is not None else 0


def _controller(paths: Paths) -> int:
    """The process that holds the controller's lock."""
    return int((paths.runtime / "controller.lock").read_text() or 0)


if __name__ == "__main__":
    main()
