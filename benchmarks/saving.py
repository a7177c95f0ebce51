"""What saving costs: each format's processor time and memory, and the record of what was heard.

Every figure is one JSON line. The sound is the programme that ``infiniloop render`` makes, so that FLAC meets music and
not noise. Times are of the processor, not of the clock, against the length of the sound.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from services.controller.cli.conforming import conform
from services.controller.saving import FORMATS, write_file
from services.controller.saving.tags import Tags
from services.dashboard.recorder import Recorder
from shared.heard import pieces
from shared.units import STATION_RATE, TAP_BLOCK, Audio


def say(figure: str, value: float, **more: object) -> None:
    print(json.dumps({"benchmark": "saving", "figure": figure, "value": round(value, 4), **more}), flush=True)


def programme(folder: Path, minutes: float, prompt: str) -> Audio:
    path = folder / "programme.wav"
    words = ("render", "-o", str(path), "--minutes", str(minutes), "--seed", "5", "--prompt", prompt)
    subprocess.run((sys.executable, "-m", "services", *words), check=True, stdout=subprocess.DEVNULL)
    samples: Audio = soundfile.read(path, dtype="float32", always_2d=True)[0]
    return samples


def again(sound: Audio, seconds: int) -> Iterator[Audio]:
    """The sound over and over, a second at a time."""
    whole = len(sound) // STATION_RATE
    for second in range(seconds):
        start = second % whole * STATION_RATE
        yield sound[start : start + STATION_RATE]


def bench_formats(sound: Audio, folder: Path, seconds: int) -> None:
    for form in FORMATS:
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        path = folder / f"a.{form}"
        write_file(path, form, Tags(), again(sound, seconds), frames=seconds * STATION_RATE)
        used = time.process_time() - began
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        say(f"{form}: processor time by the sound's length", used / seconds, seconds=seconds)
        say(f"{form}: memory grown, MB", grown / 1_000)
        say(f"{form}: MB a minute", path.stat().st_size / seconds * 60 / 1e6)
        path.unlink()


def bench_record(sound: Audio, folder: Path, prompt: str) -> None:
    room = folder / "heard"
    room.mkdir(exist_ok=True)
    recorder = Recorder(room, minutes=60, budget=1 << 40, free=0, songs=lambda: (), room=10_000)
    began, blocks = time.process_time(), len(sound) // TAP_BLOCK
    for number in range(blocks):
        recorder.take(number, sound[number * TAP_BLOCK : (number + 1) * TAP_BLOCK])
    recorder.close(600.0)
    seconds = blocks * TAP_BLOCK / STATION_RATE
    say("record: processor time by the sound's length", (time.process_time() - began) / seconds, prompt=prompt)
    size = sum(piece.bytes for piece in pieces(room))
    say("record: MB a minute", size / seconds * 60 / 1e6, prompt=prompt)
    for piece in pieces(room):
        piece.path.unlink()


def bench_conforming(sound: Audio) -> None:
    one = sound[: 20 * STATION_RATE]
    for name, frames in (("resampled", round(len(one) * 1.001)), ("stretched", round(len(one) * 1.005))):
        began = time.process_time()
        made = conform(one, frames)
        say(f"conform, {name}: processor time by the sound's length", (time.process_time() - began) / 20)
        say(f"conform, {name}: frames beside the length that was asked for", len(made) - frames)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--minutes", type=float, default=2.0, help="of programme for each prompt")
    asked.add_argument("--seconds", type=int, default=600, help="that each format is given")
    asked.add_argument("--prompts", nargs="*", default=["calm lo-fi", "calm piano", "drum and bass"])
    chosen = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="infiniloop-bench-") as place:
        folder, sound = Path(place), np.zeros((0, 2), np.float32)
        for prompt in chosen.prompts:
            sound = programme(folder, chosen.minutes, prompt)
            bench_record(sound, folder, prompt)
        bench_formats(sound, folder, chosen.seconds)
        bench_conforming(sound)


if __name__ == "__main__":
    main()
