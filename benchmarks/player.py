"""Measures the player: speed, memory over a day, and whether the sound holds under load.

    python benchmarks/player.py                          # speed and an hour's memory; needs nothing else
    python benchmarks/player.py day --hours 24 --record .flac
    python benchmarks/player.py sound --seconds 600 --burn 2 --burn-nice 2
    python benchmarks/player.py latencies

``sound`` and ``latencies`` play through PortAudio into a private PulseAudio null sink and compare what was recorded
with the offline render, frame by frame. ``--burn N`` keeps N processes busy at nice 0, ``--burn-nice N`` at nice 19.
One JSON object per figure.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import click
import numpy as np
import psutil

from services.player.engine import Engine
from services.player.librarian import ROOM_FRAMES
from services.player.offline import Programme
from services.player.outputs.file import FileOutput
from services.player.samples import CHUNK, Pool, Samples
from services.player.service import SPARE_CHUNKS
from services.player.store import LoadedLoop
from shared.messages import Wanted, encode
from shared.music import Jump
from shared.settings.player import PlayerSettings
from shared.units import STATION_RATE, TAP_BLOCK, Audio
from tests.pipeline.test_player import Station
from tests.realtime.pulse import Pulse, Recorder
from tests.unit.player.material import at_once, loaded, loop, noise, render, sections, wanted, written

BAR = 2 * STATION_RATE


def say(**figure: object) -> None:
    print(json.dumps(figure, ensure_ascii=False), flush=True)


def material() -> list[LoadedLoop]:
    """A plain loop, one with a jump, one with sections: 16 to 24 s each, as they come from the analyzer."""
    records = [
        loop("plain", 8 * BAR, bars=8),
        loop("jumpy", 8 * BAR, bars=8, jumps=(Jump(source=6 * BAR, target=2 * BAR, crossfade=720),)),
        loop("piece", 12 * BAR, bars=12, sections=sections("A", "A'", "B", frames=4 * BAR)),
    ]
    return [loaded(record, number) for number, record in enumerate(records)]


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Measure the player."""
    if context.invoked_subcommand is None:
        speed()
        over_time(1.0)


def speed() -> None:
    """Processor time of the engine (programme, tap and output) against the sound that it made."""
    held = material()
    engine = Engine(held[0], wanted(1, min_duration_s=60.0), at_once)
    for other in held[1:]:
        engine.add(other)
    tap, out = np.empty((TAP_BLOCK, 2), np.float32), np.empty((TAP_BLOCK, 2), np.float32)
    blocks, slowest = 50 * 600, 0.0
    began = time.process_time()
    for _ in range(blocks):
        block_began = time.perf_counter()
        engine.render(tap, out)
        slowest = max(slowest, time.perf_counter() - block_began)
    used = time.process_time() - began
    say(figure="engine_times_real_time", value=round(blocks * TAP_BLOCK / STATION_RATE / used, 1))
    say(figure="engine_us_per_block", value=round(used / blocks * 1e6, 1), slowest_ms=round(slowest * 1e3, 1))


@main.command()
@click.option("--hours", default=24.0)
@click.option("--record", default="", help="Record it meanwhile, as .flac or .wav: a file for each song.")
def day(hours: float, record: str) -> None:
    """Memory over station time, faster than real time."""
    with tempfile.TemporaryDirectory() as folder:
        over_time(hours, FileOutput(Path(folder) / f"day{record}", split=True) if record else None)


def over_time(hours: float, output: FileOutput | None = None) -> None:
    """Resident memory while the programme of so many hours is rendered, with a new loop or piece for each song.

    Of what is recorded only the last song's file is kept: a day of it would fill the disk.
    """
    process = psutil.Process()
    pool = Pool(ROOM_FRAMES // CHUNK + SPARE_CHUNKS)

    def loops() -> Iterator[LoadedLoop]:
        for number in count():
            yield piece(number, pool)

    programme = Programme(loops(), PlayerSettings())
    frames = round(hours * 3600 * STATION_RATE)
    seen: list[float] = []
    recorded = 1
    began = time.process_time()
    for number, block in enumerate(programme.blocks(frames)):
        if output is not None:
            if len(programme.songs) > recorded:
                recorded = len(programme.songs)
                before = output.path
                output.next_song()
                if output.path != before:
                    before.unlink()
            output.write(block)
        if number % (50 * 60) == 0:
            seen.append(process.memory_info().rss / 1e6)
    used = time.process_time() - began
    if output is not None:
        output.close()
    settled = seen[min(10, len(seen) - 1) :]
    say(
        figure="rss_over_station_time_mb",
        hours=hours,
        recorded=output is not None,
        at_ten_minutes=round(settled[0], 1),
        at_the_end=round(settled[-1], 1),
        most=round(max(settled), 1),
        songs=len(programme.songs),
        times_real_time=round(hours * 3600 / used, 1),
    )


def piece(number: int, pool: Pool) -> LoadedLoop:
    """A loop of 16 s or a piece of three sections of up to 96 s, by turns, in the player's own memory."""
    seconds = (60, 72, 96, 16)[number % 4]
    parts = sections("A", "A'", "B", frames=seconds * STATION_RATE // 3, bars=seconds // 6) if seconds > 16 else ()
    record = loop(f"l{number}", seconds * STATION_RATE, bars=seconds // 2, sections=parts)
    samples = Samples(record.frames, pool)
    for second in range(seconds):
        samples.write(noise(STATION_RATE, 97 * number + second), second * STATION_RATE)
    return LoadedLoop(record, samples)


@main.command()
@click.option("--seconds", default=60.0)
@click.option("--burn", default=0, help="Busy processes at nice 0.")
@click.option("--burn-nice", default=0, help="Busy processes at nice 19.")
@click.option("--settle", default=20.0, help="Seconds before the recording counts: the latency may grow meanwhile.")
def sound(seconds: float, burn: int, burn_nice: int, settle: float) -> None:
    """Breaks in what is heard, with the machine loaded by ourselves."""
    with playing() as (station, pulse, held, state):
        with burning(burn, burn_nice), standing_still() as longest:
            _listen(station, settle, lambda: None)
            before = station.statuses[-1]
            recorder = Recorder(pulse)
            measured = _processor(station)
            frames = round(seconds * STATION_RATE)
            _listen(station, seconds, lambda: recorder.wait(TAP_BLOCK))
            recorder.wait(max(0, frames - recorder.frames))
            share = measured()
            recorded = recorder.sound()
            recorder.stop()
            _listen(station, 1.5, lambda: None)
        last = station.statuses[-1]
        reference = _reference(held, state, round((settle + seconds + 60) * STATION_RATE))
        breaks, wrong = breaks_in(recorded, reference)
        say(
            figure="breaks_in_the_recording",
            value=len(breaks),
            breaks=breaks[:20],
            frames_wrong=wrong,
            seconds=round(len(recorded) / STATION_RATE, 1),
            load=round(os.getloadavg()[0], 1),
            burning=burn,
            burning_nice_19=burn_nice,
            latency_s=last.latency_s,
            underruns_counted=last.underruns - before.underruns,
            underruns_while_settling=before.underruns,
            worst_lateness_s=last.worst_lateness_s,
            worst_lateness_while_settling_s=before.worst_lateness_s,
            machine_stood_still_s=round(longest(), 3),
        )
        say(figure="player_processor_percent", value=share)
        assert station.player is not None
        say(figure="player_rss_mb", value=round(psutil.Process(station.player.pid).memory_info().rss / 1e6, 1))


@main.command()
@click.option("--times", default=10)
def latencies(times: int) -> None:
    """Seconds from a message to its sound, at the sink."""
    with playing() as (station, pulse, _, state):
        recorder = Recorder(pulse)
        recorder.read(5 * STATION_RATE)
        taken = []
        for number in range(times):
            silent = number % 2 == 0
            said = len(recorder.sound())
            station.loops.send(wanted(2 + number, queue=state.queue, min_duration_s=300.0, playing=not silent))
            heard = np.abs(recorder.read(STATION_RATE)[said:]).max(axis=1) > 1e-3
            turned = np.flatnonzero(heard)[-1] + 1 if silent else np.flatnonzero(heard)[0]
            taken.append(float(turned) / STATION_RATE)
            station.turn()
        recorder.stop()
        say(
            figure="pause_and_resume_s",
            median=round(statistics.median(taken), 3),
            most=round(max(taken), 3),
            latency_s=station.statuses[-1].latency_s,
            note="with the recorder's own 50 ms",
        )


@contextmanager
def playing() -> Iterator[tuple[Station, Pulse, list[LoadedLoop], Wanted]]:
    """A player that plays into a private sound server."""
    with tempfile.TemporaryDirectory() as folder:
        pulse = Pulse(Path(folder) / "p")
        os.environ.update(pulse.environment)
        pulse.start()
        station = Station(Path(folder) / "home")
        try:
            held = material()
            records = [held_loop.loop for held_loop in held]
            queue = tuple(
                written(station.paths.loops, record, noise(record.frames, number))
                for number, record in enumerate(records)
            )
            state = wanted(1, queue=queue, min_duration_s=60.0)
            station.paths.wanted_file.write_bytes(encode(state))
            station.start(INFINILOOP_PLAYER_DRIVER="pulse")
            station.until(lambda: station.statuses and station.statuses[-1].driver == "pulse", "the sound device")
            yield station, pulse, held, state
        finally:
            station.close()
            pulse.kill()


@contextmanager
def burning(normal: int, nice: int) -> Iterator[None]:
    """Processes that do nothing but work."""
    burners = [
        multiprocessing.Process(target=_burn, args=(level,), daemon=True) for level in [0] * normal + [19] * nice
    ]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.terminate()
            burner.join()


@contextmanager
def standing_still() -> Iterator[Callable[[], float]]:
    """How long a process that comes before all others was kept waiting at most: what no player can bear but by latency.

    A machine that is a guest of another stands still when its host has other things to do.
    """
    worst = multiprocessing.Value("d", 0.0)
    probe = multiprocessing.Process(target=_probe, args=(worst,), daemon=True)
    probe.start()
    try:
        yield lambda: float(worst.value)
    finally:
        probe.terminate()
        probe.join()


def _probe(worst: Synchronized[float]) -> None:
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    while True:
        began = time.monotonic()
        time.sleep(0.005)
        worst.value = max(worst.value, time.monotonic() - began - 0.005)


def _burn(level: int) -> None:
    os.nice(level)
    values = np.random.default_rng(0).random(200_000)
    while True:
        np.sort(values)
        sum(range(100_000))


def _listen(station: Station, seconds: float, meanwhile: Callable[[], object]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        station.turn()
        station.blocks.clear()
        meanwhile()


def _processor(station: Station) -> Callable[[], float]:
    """Begins to measure the player's processor time; the function ends it, in percent of one core."""
    assert station.player is not None
    process = psutil.Process(station.player.pid)

    def used() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    before, began = used(), time.monotonic()
    return lambda: round(100 * (used() - before) / (time.monotonic() - began), 2)


def _reference(held: list[LoadedLoop], state: Wanted, frames: int) -> Audio:
    engine = Engine(held[0], state, at_once)
    for other in held[1:]:
        engine.add(other)
    return render(engine, frames)[1]


def breaks_in(recorded: Audio, reference: Audio) -> tuple[list[dict[str, float]], int]:
    """Where the recording leaves the render, by how many frames it then runs ahead of it, and how many are not its."""
    breaks: list[dict[str, float]] = []
    at, wrong = 0, 0
    expected: int | None = None
    while at < len(recorded) - 64:
        found = _places(reference, recorded[at : at + 64], expected)
        if not found:
            ahead = 64 + int(np.argmax(np.append(recorded[at + 64 :, 0] != 0.0, True)))  # over a gap at once
            at += ahead
            wrong += ahead
            continue
        # A pass that is played twice is in the render twice: what follows tells which one it is.
        runs = [_alike(recorded[at:], reference[same:]) for same in found]
        run = max(runs)
        same = found[runs.index(run)]
        if expected is not None:
            breaks.append({"second": round(at / STATION_RATE, 3), "slip_frames": same - expected})
        at += run
        expected = same + run
    return breaks, wrong


def _alike(one: Audio, other: Audio) -> int:
    """How many frames are the same from the beginning on."""
    most = min(len(one), len(other))
    for start in range(0, most, STATION_RATE):
        equal = (one[start : min(most, start + STATION_RATE)] == other[start : min(most, start + STATION_RATE)]).all(1)
        if not equal.all():
            return start + int(np.argmin(equal))
    return most


def _places(reference: Audio, probe: Audio, expected: int | None) -> list[int]:
    """Where ``probe`` lies in the render: within five seconds of where it is expected, else anywhere."""
    for within in (5 * STATION_RATE, len(reference)):
        low = 0 if expected is None else max(0, expected - within)
        near = reference if expected is None else reference[low : expected + within]
        starts = np.flatnonzero(near[: len(near) - len(probe), 0] == probe[0, 0])
        places = [low + int(at) for at in starts if np.array_equal(near[at : at + len(probe)], probe)]
        if places:
            return places
    return []


if __name__ == "__main__":
    main()
