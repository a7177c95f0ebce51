"""What is saved: one loop with all its facts, and its samples."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from shared.audio_files import snap_to_grid, write_wav
from shared.music import BeatGrid, Loop, Recipe
from shared.units import Audio
from tests.files.controller.saved import FIRST_DOWNBEAT, FRAMES, RATE


@pytest.fixture
def samples() -> Audio:
    noise = np.random.default_rng(5).normal(0, 0.1, (FRAMES, 2)).astype(np.float32)
    return snap_to_grid(noise)


@pytest.fixture
def source(tmp_path: Path, samples: Audio) -> Path:
    path = tmp_path / "l1.wav"
    write_wav(path, samples, RATE)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a listener saves."""
    made = tmp_path / "music"
    made.mkdir()
    return made


@pytest.fixture
def loop(source: Path) -> Loop:
    return Loop(
        loop_id="l1",
        job_id="j1",
        epoch=1,
        path=str(source),
        frames=FRAMES,
        bpm=120.0,
        beats_per_bar=4,
        bars=1,
        key="F# minor",
        grid=BeatGrid(beats=(FIRST_DOWNBEAT, 27_001, 51_001, 75_001), downbeats=(FIRST_DOWNBEAT,)),
        title="Amber Street – 雨",
        artist="Ada Vale",
        genre="lo-fi",
        recipe=Recipe(
            prompt="rain",
            backend="composer",
            seed=4,
            disclosure="composed by rules, no AI model; free to use, also commercially",
            options={"meter": "4/4"},
        ),
    )


@pytest.fixture
def generated(loop: Loop) -> Loop:
    """The same from a model."""
    recipe = Recipe(
        prompt="rain = water, “softly”",
        backend="musicgen",
        seed=9,
        model="small",
        model_revision="4c8334b",
        weights_licence="CC-BY-NC-4.0",
        disclosure="AI-generated with MusicGen small; weights CC-BY-NC-4.0, non-commercial",
    )
    return msgspec.structs.replace(loop, recipe=recipe)
