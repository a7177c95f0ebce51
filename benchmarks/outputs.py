"""Two ways to a sound device at the same latency: blocking writes, as the player has them, and rtmixer's C callback.

    python benchmarks/outputs.py [--seconds 20] [--burn 2]

Both play the same noise from a Python thread into a private PulseAudio null sink, by turns, the machine loaded by the
benchmark itself; what was recorded is compared with what was played, frame by frame. rtmixer is no part of the station:
`pip install rtmixer`. One JSON object per figure.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import click

from benchmarks.player import breaks_in, burning
from services.player import priority
from services.player.outputs.device import DeviceOutput
from shared.units import STATION_RATE, TAP_BLOCK, Audio
from tests.realtime.pulse import Pulse, Recorder
from tests.unit.player.material import noise

LATENCIES = (0.12, 0.06, 0.03)
Play = Callable[[Audio, float, threading.Event], None]


def say(**figure: object) -> None:
    print(json.dumps(figure, ensure_ascii=False), flush=True)


def blocking(audio: Audio, latency_s: float, ended: threading.Event) -> None:
    output = DeviceOutput("pulse", latency_s=latency_s, fresh=True)
    for start in range(0, len(audio) - TAP_BLOCK, TAP_BLOCK):
        if ended.is_set():
            break
        output.write(audio[start : start + TAP_BLOCK])
    output.close()


def rtmixer(audio: Audio, latency_s: float, ended: threading.Event) -> None:
    """Half of the latency in the device, half in the ring that the callback reads."""
    import rtmixer as module
    import sounddevice

    sounddevice._terminate()
    sounddevice._initialize()
    with module.Mixer(channels=2, samplerate=STATION_RATE, device="pulse", latency=latency_s / 2) as mixer:
        ring: Any = module.RingBuffer(8, 1 << 15)
        wait = round(latency_s / 2 * STATION_RATE)
        mixer.play_ringbuffer(ring, channels=2)
        for start in range(0, len(audio) - TAP_BLOCK, TAP_BLOCK):
            while ring.read_available > wait and not ended.is_set():
                time.sleep(0.002)
            ring.write(audio[start : start + TAP_BLOCK])
            if ended.is_set():
                break


@contextmanager
def playing(play: Play, audio: Audio, latency_s: float) -> Iterator[None]:
    ended = threading.Event()
    thread = threading.Thread(target=play, args=(audio, latency_s, ended))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@click.command()
@click.option("--seconds", default=20.0)
@click.option("--burn", default=2, help="Busy processes at nice 0, and as many at nice 19.")
def main(seconds: float, burn: int) -> None:
    """Compare both ways."""
    audio = noise(round((seconds + 10) * STATION_RATE))
    with tempfile.TemporaryDirectory() as folder:
        pulse = Pulse(Path(folder) / "p")
        os.environ.update(pulse.environment)
        pulse.start()
        try:
            with burning(burn, burn):
                priority.take()
                for latency_s in LATENCIES:
                    for name, play in (("blocking", blocking), ("rtmixer", rtmixer)):
                        with playing(play, audio, latency_s):
                            recorder = Recorder(pulse)
                            recorder.wait(round((seconds + 2) * STATION_RATE))
                            recorded = recorder.sound()[2 * STATION_RATE :]
                            recorder.stop()
                        breaks, wrong = breaks_in(recorded, audio)
                        load = round(os.getloadavg()[0], 1)
                        say(figure=name, latency_s=latency_s, breaks=len(breaks), frames_wrong=wrong, load=load)
        finally:
            pulse.kill()


if __name__ == "__main__":
    main()
