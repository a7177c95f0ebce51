"""What is known of MusicGPT without running it: its screen, its patience, its wording, where it lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.generator.backends.musicgpt import installation
from services.generator.backends.musicgpt.backend import MusicGptBackend, said
from services.generator.backends.musicgpt.patience import FACTOR, Patience
from services.generator.backends.musicgpt.screen import GENERATING, LOADING, Screen
from shared.messages import Job
from shared.paths import Paths
from shared.settings.generator import GeneratorSettings

STAND_IN = Path(__file__).parents[2] / "stand_ins" / "musicgpt"


def job(prompt: str, **changes: object) -> Job:
    return Job(**{"job_id": "j1", "token": "t1", "epoch": 0, "prompt": prompt, **changes})  # type: ignore[arg-type]


def test_tempo_and_key_become_words() -> None:
    assert said(job("rain", bpm=82.0, key="F#m")) == "rain. bpm: 82. key: f# minor"
    assert said(job("rain at 90 bpm", bpm=90.0, key="C major")) == "rain at 90 bpm. key: c major"
    assert said(job("rain.", bpm=82.0, meter="3/4", key="B♭")) == "rain, 3/4 time. bpm: 82. key: bb major"
    assert said(job("exit")) == "exit music"


def test_its_models_follow_the_folder_that_was_named(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    settings = GeneratorSettings(musicgpt=str(STAND_IN), models_path=str(tmp_path / "own"))
    found = installation.find(paths, settings)
    assert found.data == tmp_path / "own" / "musicgpt"
    command = MusicGptBackend(paths, settings).command(found, "small", 3, tmp_path / "x.wav", job("--help"))
    assert command[command.index("--data-path") + 1] == str(found.data)
    assert command[-2:] == ["--", "--help"]
    # What it has fetched into a folder of its own is not fetched again.
    (tmp_path / "share" / "musicgpt" / "v1").mkdir(parents=True)
    found = installation.find(paths, settings)
    assert found.data == tmp_path / "share" / "musicgpt"
    assert "--data-path" not in MusicGptBackend(paths, settings).command(found, "small", 3, tmp_path, job("x"))


def test_the_binary_is_found_in_path_under_its_published_name(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = tmp_path / "bin" / "musicgpt-x86_64-unknown-linux-gnu"
    published.parent.mkdir()
    published.symlink_to(STAND_IN)
    monkeypatch.setenv("PATH", str(published.parent))
    assert installation.find(paths, GeneratorSettings()).binary == published


def test_patience_learns_from_the_slowest_run(tmp_path: Path) -> None:
    patience = Patience(tmp_path / "times.json")
    unknown = patience.limit("large", 10)
    assert unknown > 600
    patience.learn("large", 10, 100.0)
    patience.learn("large", 20, 300.0)
    assert patience.limit("large", 10) == FACTOR * 150.0
    assert Patience(tmp_path / "times.json").limit("large", 10) == FACTOR * 150.0
    (tmp_path / "times.json").write_text("[broken")
    assert Patience(tmp_path / "times.json").limit("large", 10) == unknown


def test_the_screen_is_read_whatever_the_pieces() -> None:
    drawn = (
        b'\x1b[34m\xe2\xa0\x8b\x1b[0m Loading "text_encoder.onnx"...\r\x1b[2K'
        b"Generating audio \x1b[32m\xe2\xa0\x99\x1b[0m [00:00:03] [\x1b[36m#####>\x1b[34m----\x1b[0m] (12.3s)"
    )
    for size in (1, 7, 64, len(drawn)):
        screen, stages = Screen(), []
        for start in range(0, len(drawn), size):
            screen.feed(drawn[start : start + size])
            stages.append(screen.stage)
        assert (screen.stage, screen.fraction) == (GENERATING, 0.5)
        assert size == len(drawn) or LOADING in stages
