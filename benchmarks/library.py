"""Measures the library: a large one behind a running station, and a week of listening against the budgets.

    python benchmarks/library.py                      # both, as `make bench` runs them
    python benchmarks/library.py large --loops 100000
    python benchmarks/library.py week

``large`` writes a library of so many loops into a temporary home, starts a station on it, and asks it from a link that
stays open and from the command line. ``week`` runs 5040 songs, one every two minutes, through the library, the cache
and their budgets with a clock of its own; sounds and budgets are 1/860 of their size. One JSON object per figure.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import click
import numpy as np
import psutil

from services.controller.library import LIKED, Library, keep_audio, open_library
from services.controller.library.budget import surplus
from services.controller.library.entry import GONE, IN_LIBRARY
from services.controller.library.repair import repair
from services.controller.library.store import insert
from services.controller.naming import named
from services.controller.tidy import Needs, tidy
from shared.audio_files import read_audio, write_wav
from shared.bus import Bus, Link
from shared.messages import Answer, Command
from shared.music import BeatGrid, Loop, Recipe
from shared.paths import Paths
from shared.topology import COMMANDS

ROOT = Path(__file__).parents[1]
WITH_AUDIO = 300
FRAMES = 24_000
SETTLED_S = 45.0
"""After so long what was made before the stop is stored as FLAC and its cache tidied: the station is idle."""
SCALE = 860
"""The week's sounds are a tenth of a second where a song of two minutes at 24 bit has 25 MB."""
_MOODS = ("calm", "warm", "dark", "bright", "slow", "dreamy", "rainy", "late night", "dusty", "gentle", "restless")
_STYLES = ("lo-fi", "ambient", "deep house", "bossa nova", "chiptune", "techno", "solo piano", "jazz trio", "waltz")
_THINGS = (
    "vinyl crackle",
    "soft drums",
    "tape hiss",
    "electric piano",
    "double bass",
    "strings",
    "a music box",
    "rain",
)


def say(**figure: object) -> None:
    print(json.dumps(figure, ensure_ascii=False), flush=True)


def a_loop(number: int, dice: random.Random, path: str, frames: int = FRAMES) -> Loop:
    """A loop as the station makes them: with beats, bars and a recipe of usual size."""
    prompt = f"{dice.choice(_MOODS)} {dice.choice(_STYLES)}, {dice.choice(_THINGS)}, {dice.randint(60, 140)} bpm"
    model = number % 3 == 0
    beats = tuple(range(0, 64 * 37_000, 37_000))
    return named(
        Loop(
            loop_id=f"1-{number}-be7c4",
            job_id=f"1-{number}-be7c4",
            epoch=1 + number // 20,
            path=path,
            frames=frames,
            bpm=float(dice.randint(60, 140)),
            key=dice.choice(("Am", "C", "D minor", "F")),
            bars=16,
            beats_per_bar=4,
            grid=BeatGrid(beats=beats, downbeats=beats[::4]),
            energy=tuple(-20.0 - each % 7 for each in range(16)),
            recipe=Recipe(
                prompt=prompt,
                backend="musicgen" if model else "composer",
                model="musicgen-small" if model else None,
                weights_licence="CC-BY-NC-4.0" if model else None,
                disclosure="AI-generated" if model else "composed by rules, no AI model; free to use",
                seed=number,
                style=None if model else "lofi",
            ),
        )
    )


# -- a large library --------------------------------------------------------------------------------------------------


def fill(paths: Paths, count: int) -> float:
    """Write a library of so many loops; the newest few hundred have audio. Returns the seconds that it took."""
    paths.create()
    library, _ = open_library(paths)
    sound = paths.loops / "one.wav"
    write_wav(sound, np.zeros((FRAMES, 2), np.float32), 48_000)
    kept = keep_audio(a_loop(0, random.Random(0), str(sound)), paths.library, free_wanted=0)
    assert kept is not None
    dice, began = random.Random(1), time.perf_counter()
    db = library._db
    db.execute("BEGIN")
    for number in range(1, count + 1):
        there = number > count - WITH_AUDIO
        loop = a_loop(number, dice, "")
        insert(db, loop, 1e9 + number, IN_LIBRARY if there else GONE)
        if there:
            shutil.copyfile(kept.loop.path, paths.library / f"{loop.loop_id}.flac")
    db.execute(f"UPDATE loops SET verdict = 1 WHERE number % 500 = 0 OR number > {count} - 20")
    db.execute("COMMIT")
    Path(kept.loop.path).unlink()
    library.close()
    return time.perf_counter() - began


class Asker:
    """One link to the controller that stays open."""

    def __init__(self, paths: Paths) -> None:
        self._bus = Bus(paths)
        self._link: Link = self._bus.connect(COMMANDS)
        self._number = 0

    def ask(self, name: str, **arguments: object) -> tuple[Answer, float]:
        self._number += 1
        began = time.perf_counter()
        self._link.send(Command(command_id=f"bench-{self._number}", name=name, arguments=dict(arguments)))
        while self._link.wait_readable(30.0):
            received = self._link.receive()
            answer = received.message if received is not None else None
            if isinstance(answer, Answer) and answer.command_id == f"bench-{self._number}":
                return answer, (time.perf_counter() - began) * 1000
        raise SystemExit(f"{name} was not answered")

    def close(self) -> None:
        self._bus.close(linger_ms=0)


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Measure the library."""
    if context.invoked_subcommand is None:
        context.invoke(large)
        context.invoke(week)


@main.command()
@click.option("--loops", default=100_000, show_default=True)
@click.option("--times", default=200, show_default=True)
@click.option("--idle", default=60.0, show_default=True, help="Seconds over which the idle processor time is taken.")
def large(loops: int = 100_000, times: int = 200, idle: float = 60.0) -> None:
    """A station on a library of many loops."""
    with tempfile.TemporaryDirectory(prefix="library-") as folder:
        home = Path(folder) / "home"
        paths = Paths.under(home)
        took = fill(paths, loops)
        size = sum(file.stat().st_size for file in paths.library.glob("library.sqlite*"))
        say(figure="filled", loops=loops, seconds=round(took, 1), database_mb=round(size / 1e6, 1))
        environment = {
            **os.environ,
            "INFINILOOP_HOME": str(home),
            "INFINILOOP_PLAYER_DRIVER": "null",
            "INFINILOOP_DASHBOARD_PORT": "19341",
            "PYTHONPATH": str(ROOT),
        }
        began = time.perf_counter()
        station = subprocess.Popen((sys.executable, "-m", "services", "station"), env=environment, cwd="/")
        try:
            asker = Asker(paths)
            asker.ask("status")
            say(figure="first answer of a station that begins", seconds=round(time.perf_counter() - began, 2))
            controller = psutil.Process(int((paths.runtime / "controller.lock").read_text()))
            _ask_much(asker, controller, times)
            _ask_cold(environment)
            asker.ask("stop")
            time.sleep(SETTLED_S)
            report, _ = asker.ask("status")
            say(figure="library", **report.data["library"])
            _idle(controller, idle)
            asker.close()
        finally:
            station.terminate()
            station.wait(20)


def _ask_much(asker: Asker, controller: psutil.Process, times: int) -> None:
    dice = random.Random(2)
    queries: dict[str, list[dict[str, object]]] = {
        "search, a common word": [{"words": dice.choice(("calm", "piano", "lo", "composer"))} for _ in range(times)],
        "search, three words": [
            {"words": f"{dice.choice(_MOODS)} {dice.choice(_STYLES)} {dice.randint(60, 140)}"} for _ in range(times)
        ],
        "search, nothing found": [{"words": "calm zither"} for _ in range(times)],
        "search, free and liked": [{"words": "rain", "free": True, "liked": True} for _ in range(times)],
        "list": [{} for _ in range(times)],
    }
    for name, arguments in queries.items():
        before = _spent(controller)
        took = [asker.ask("library", do="search", **each)[1] for each in arguments]
        _told(name, took, (_spent(controller) - before) / times)
    before = _spent(controller)
    took = [asker.ask("status")[1] for _ in range(times)]
    _told("status", took, (_spent(controller) - before) / times)
    _told("like", [asker.ask("like", loop=str(1 + each))[1] for each in range(min(times, 100))])


def _spent(process: psutil.Process) -> float:
    """Processor time so far, in milliseconds: what a busy machine does not make longer."""
    times = process.cpu_times()
    return 1000 * (times.user + times.system)


def _told(name: str, took: list[float], spent_ms: float | None = None) -> None:
    ranked = sorted(took)
    say(
        figure=name,
        **({} if spent_ms is None else {"controller_cpu_ms": round(spent_ms, 1)}),
        times=len(ranked),
        median_ms=round(statistics.median(ranked), 1),
        p95_ms=round(ranked[int(0.95 * len(ranked))], 1),
        worst_ms=round(ranked[-1], 1),
    )


def _ask_cold(environment: dict[str, str]) -> None:
    for words in (("status", "--json"), ("library", "search", "piano", "--json"), ("like", "12", "--json")):
        took = []
        for _ in range(12):
            began = time.perf_counter()
            done = subprocess.run(
                (sys.executable, "-m", "services", *words), env=environment, cwd="/", capture_output=True, check=False
            )
            assert done.returncode == 0, done.stderr
            took.append((time.perf_counter() - began) * 1000)
        _told(f"infiniloop {' '.join(words)}, cold", took)


def _idle(controller: psutil.Process, seconds: float) -> None:
    before, began = controller.cpu_times(), time.perf_counter()
    time.sleep(seconds)
    after, took = controller.cpu_times(), time.perf_counter() - began
    used = after.user + after.system - before.user - before.system
    say(figure="controller, stopped", cpu_percent=round(100 * used / took, 2), seconds=round(took))
    say(figure="controller, memory", rss_mb=round(controller.memory_info().rss / 1e6, 1))


# -- a week -----------------------------------------------------------------------------------------------------------


@main.command()
@click.option("--songs", default=5040, show_default=True)
def week(songs: int = 5040) -> None:
    """A week of new songs every two minutes, one in 50 liked, one in 60 disliked, the cache tidied meanwhile."""
    cache_budget, library_budget = 1_000_000_000 // SCALE, 2_000_000_000 // SCALE
    dice, noise = random.Random(3), np.random.default_rng(3)
    memory = Path("/dev/shm")  # where nothing waits for a disk, a week passes in a minute or two
    with tempfile.TemporaryDirectory(prefix="week-", dir=memory if memory.is_dir() else None) as folder:
        paths = Paths.under(Path(folder))
        paths.create()
        library, _ = open_library(paths)
        liked: dict[str, np.ndarray] = {}
        most_cache = most_unliked = 0
        for number in range(1, songs + 1):
            samples = noise.uniform(-0.3, 0.3, (4_800, 2)).astype(np.float32)
            path = paths.loops / f"1-{number}-be7c4.wav"
            write_wav(path, samples, 48_000)
            loop = a_loop(number, dice, str(path), 4_800)
            library.add(loop, float(number * 120))
            library.heard(loop.loop_id, float(number * 120))
            kept = keep_audio(loop, library.folder, free_wanted=0)
            assert kept is not None
            library.kept(loop.loop_id, kept.bytes)
            if number % 50 == 0:
                late = library.find(f"1-{number - dice.randint(0, 8)}-be7c4")
                library.judge(late.number, LIKED)
                liked[late.loop_id] = read_audio(library.folder / f"{late.loop_id}.flac")[0]
            elif number % 60 == 1:
                library.judge(library.find(loop.loop_id).number, -1)
            _let_go(library, library_budget)
            _age(paths, 120.0)
            needs = Needs(frozenset({loop.path}), (), frozenset(), frozenset())
            done = tidy(paths, needs, budget=cache_budget, free_wanted=0)
            most_cache = max(most_cache, done.cache_bytes)
            most_unliked = max(most_unliked, sum(each.bytes for each in library.stored() if not each.liked))
        shelf = {loop.loop_id for loop in library._loops("verdict = 1", ())}
        whole = sum(
            np.array_equal(read_audio(library.folder / f"{name}.flac")[0], samples) for name, samples in liked.items()
        )
        say(figure="a week", songs=songs, simulated_hours=songs / 30, known=library.extent().loops)
        say(figure="cache at most", of_budget=round(most_cache / cache_budget, 3))
        say(figure="library's unliked audio at most", of_budget=round(most_unliked / library_budget, 3))
        say(figure="favourites", liked=len(liked), there=len(shelf & set(liked)), bit_for_bit=whole)
        say(figure="afterwards", database_mb=round(library.database_bytes() / 1e6, 1), mended=bool(repair(library, {})))
        library.close()


def _let_go(library: Library, budget: int) -> None:
    going = surplus(
        library.stored(), budget=budget, database=library.database_bytes() // SCALE, short_of_disk=0, needed=()
    )
    files = [file for each in going for file in library.files_of(each.loop_id)]
    library.gone([each.loop_id for each in going])
    for file in files:
        file.unlink(missing_ok=True)


def _age(paths: Paths, seconds: float) -> None:
    """Let time pass for the files of the cache."""
    for path in paths.loops.iterdir():
        at = path.stat().st_mtime - seconds
        os.utime(path, (at, at))


if __name__ == "__main__":
    main()
