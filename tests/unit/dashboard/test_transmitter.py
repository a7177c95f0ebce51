"""The encoder works while somebody listens, begins with what was just heard, and its work is bounded."""

import io

import numpy as np
import soundfile

from services.dashboard.programme import BLOCK_S
from services.dashboard.transmitter import BURST_BYTES, Chunk, Transmitter
from shared.units import STATION_RATE, TAP_BLOCK


def feed(transmitter: Transmitter, first: int, count: int) -> None:
    for number in range(first, first + count):
        t = (number * TAP_BLOCK + np.arange(TAP_BLOCK)) / STATION_RATE
        tone = (0.3 * np.sin(2 * np.pi * 330 * t)).astype(np.float32)
        transmitter.take(number, np.stack([tone, tone], axis=1), number * BLOCK_S)
        while transmitter.work():
            pass


def test_nothing_is_encoded_while_nobody_listens() -> None:
    made: list[Chunk] = []
    transmitter = Transmitter(160, made.append)
    feed(transmitter, 0, 50)
    assert made == []
    transmitter.begin(1)
    feed(transmitter, 50, 4)
    assert made
    transmitter.end()
    made.clear()
    feed(transmitter, 54, 50)
    assert made == []


def test_whoever_comes_gets_the_last_seconds_and_then_what_follows_without_a_gap() -> None:
    made: list[Chunk] = []
    transmitter = Transmitter(160, made.append)
    feed(transmitter, 0, 300)
    transmitter.title = "Dusk"
    transmitter.begin(7)
    while transmitter.work():
        pass
    assert 0.97 * BURST_BYTES < sum(len(chunk.audio) for chunk in made) <= BURST_BYTES
    feed(transmitter, 300, 100)
    assert {(chunk.run, chunk.title) for chunk in made} == {(7, "Dusk")}
    sound, _ = soundfile.read(io.BytesIO(b"".join(chunk.audio for chunk in made)), dtype="float32")
    assert len(sound) / STATION_RATE > 6.7
    window = STATION_RATE // 20
    heard = sound[2 * window : len(sound) // window * window, 0].reshape(-1, window)
    assert np.sqrt(np.mean(heard**2, axis=1)).min() > 0.15


def test_one_turn_of_work_is_small() -> None:
    made: list[Chunk] = []
    transmitter = Transmitter(320, made.append)
    feed(transmitter, 0, 400)
    transmitter.begin(1)
    turns = 1
    while transmitter.work():
        turns += 1
    assert turns >= 5
