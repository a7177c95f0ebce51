"""What the live stream costs, on the music that ships with the player.

    python benchmarks/stream.py [--minutes 2]

One JSON object per figure:

``encode_percent``   processor time of the stream per second of music, in per cent of a core, while somebody listens
``resting_percent``  the same while nobody listens
``burst_ms``         processor time from the first listener's arrival until the last five seconds are there for it
``memory_mb``        growth of the process over all of it, after the first quarter
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import click

from services.dashboard.programme import BLOCK_S
from services.dashboard.transmitter import BURST_BYTES, Chunk, Transmitter
from shared.audio_files import read_audio
from shared.runtime.service import resident_bytes
from shared.tap import pack_block, unpack_block
from shared.units import TAP_BLOCK, Audio

MUSIC = Path(__file__).parents[1] / "services" / "player" / "startup"


class Tap:
    """Blocks of a loop that goes round for ever, as they come from the wire."""

    def __init__(self, samples: Audio) -> None:
        self._blocks = [samples[at : at + TAP_BLOCK] for at in range(0, len(samples) - TAP_BLOCK, TAP_BLOCK)]
        self._number = 0

    def feed(self, transmitter: Transmitter, seconds: float) -> float:
        """Take this many seconds of music; returns the processor time that it took, in seconds."""
        began = time.process_time()
        for _ in range(round(seconds / BLOCK_S)):
            number, samples = unpack_block(pack_block(self._number, self._blocks[self._number % len(self._blocks)]))
            transmitter.take(number, samples, number * BLOCK_S)
            while transmitter.work():
                pass
            self._number += 1
        return time.process_time() - began


@click.command()
@click.option("--minutes", default=2.0, help="Music to encode.")
def main(minutes: float) -> None:
    """Print the figures."""
    samples, _ = read_audio(sorted(MUSIC.glob("*.wav"))[0])
    sent = 0

    def count(chunk: Chunk) -> None:
        nonlocal sent
        sent += len(chunk.audio)

    transmitter, tap = Transmitter(160, count), Tap(samples)
    seconds = minutes * 60.0
    tell("resting_percent", 100.0 * tap.feed(transmitter, seconds) / seconds, "%")
    began = time.process_time()
    transmitter.begin(1)
    while transmitter.work():
        pass
    tell("burst_ms", 1_000.0 * (time.process_time() - began), "ms")
    if sent < 0.97 * BURST_BYTES:
        raise SystemExit(f"The burst holds {sent} bytes instead of {BURST_BYTES}.")
    spent = tap.feed(transmitter, seconds / 4)
    before = resident_bytes()
    spent += tap.feed(transmitter, seconds * 3 / 4)
    tell("encode_percent", 100.0 * spent / seconds, "%")
    tell("memory_mb", (resident_bytes() - before) / 1e6, "MB")
    transmitter.end()


def tell(name: str, value: float, unit: str) -> None:
    click.echo(json.dumps({"benchmark": "stream", "name": name, "value": round(value, 2), "unit": unit}))


if __name__ == "__main__":
    main()
