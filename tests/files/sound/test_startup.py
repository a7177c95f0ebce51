"""The loops that ship with the player: records and files agree, and both are exact loops."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from services.generator.backends.composer.sound.loudness import integrated_loudness, true_peak_db
from shared.music import Loop
from shared.units import STATION_RATE

FOLDER = Path(__file__).parents[3] / "services" / "player" / "startup"
LOOPS = msgspec.json.decode((FOLDER / "startup.json").read_bytes(), type=tuple[Loop, ...])


def test_two_small_loops_and_nothing_else() -> None:
    assert len(LOOPS) == 2
    assert sorted(path.name for path in FOLDER.glob("*.wav")) == sorted(loop.path for loop in LOOPS)
    assert sum((FOLDER / loop.path).stat().st_size for loop in LOOPS) < 7_000_000


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.title)
def test_the_record_tells_the_truth(loop: Loop) -> None:
    info = soundfile.info(FOLDER / loop.path)
    assert (info.samplerate, info.channels, info.subtype) == (STATION_RATE, 2, "PCM_16")
    assert info.frames == loop.frames >= 14 * STATION_RATE
    assert loop.bpm is not None
    assert loop.bars == 8
    assert loop.frames == round(8 * 4 * 60 / loop.bpm * STATION_RATE)
    assert loop.grid is not None
    assert loop.grid.downbeats == tuple(round(bar * loop.frames / 8) for bar in range(8))
    samples, _ = soundfile.read(FOLDER / loop.path, dtype="float32")
    assert integrated_loudness(samples, STATION_RATE) == pytest.approx(loop.lufs, abs=0.02)
    assert loop.lufs == pytest.approx(-16.0, abs=0.3)
    assert true_peak_db(np.concatenate([samples, samples[:STATION_RATE]])) <= -1.0


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.title)
def test_nothing_is_heard_at_the_seam(loop: Loop) -> None:
    samples, _ = soundfile.read(FOLDER / loop.path, dtype="float32")
    bend = np.abs(np.diff(np.concatenate([samples, samples[:4000]]), n=2, axis=0)).max(axis=1)
    frames = loop.frames
    usual = np.percentile([bend[at : at + 64].max() for at in range(0, frames - 64, 997)], 99)
    assert bend[frames - 32 : frames + 32].max() <= usual
