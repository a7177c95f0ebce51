"""A render is the station's programme: the same seed the same bytes, as loud as it should be, and never silent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyloudnorm
import pytest
import soundfile

from tests.files.controller.saved import tagged
from tests.pipeline.whole import QUICK, ROOT

pytestmark = pytest.mark.timeout(600)


def render(folder: Path, name: str, *more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "INFINILOOP_HOME": str(folder / "home"),
        "INFINILOOP_PLAYER_MIN_DURATION": "10",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        (sys.executable, "-m", "services", "render", "-o", name, "--json", *more),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


@pytest.fixture(scope="module")
def mix(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Twenty seconds, two songs."""
    folder = tmp_path_factory.mktemp("render")
    done = render(folder, "mix.flac", "--minutes", "0.333", "--seed", "7", "--prompt", QUICK)
    assert done.returncode == 0, done.stderr
    return folder / "mix.flac", json.loads(done.stdout.splitlines()[-1])


def test_the_same_seed_gives_the_same_bytes(mix: tuple[Path, dict[str, Any]]) -> None:
    path, _ = mix
    done = render(path.parent, "again.flac", "--minutes", "0.333", "--seed", "7", "--prompt", QUICK)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == (path.parent / "again.flac").read_bytes()


def test_it_is_as_long_and_as_loud_as_it_should_be_and_never_silent(mix: tuple[Path, dict[str, Any]]) -> None:
    path, report = mix
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert (len(samples), rate) == (round(0.333 * 60 * 48_000), 48_000)
    assert report["songs"] == 2
    assert report["longest_run_of_one_pass"] <= 3
    assert abs(pyloudnorm.Meter(rate).integrated_loudness(samples[: 17 * rate]) + 16) <= 1.5
    assert np.abs(samples).max() <= 10 ** (-1 / 20) + 1e-4
    level = np.abs(samples[: 17 * rate]).reshape(-1, rate // 20, 2).max(axis=(1, 2))
    assert level.min() > 1e-4


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("x.doc",), 2, ".flac"),
        (("x.flac", "--minutes", "0"), 2, "0.1 to 720"),
        (("x.flac", "--prompt", " "), 2, "empty"),
        (("missing/x.flac",), 1, "does not exist"),
    ],
)
def test_what_cannot_be_rendered_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = render(tmp_path, *arguments)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_file_says_what_it_is(mix: tuple[Path, dict[str, Any]]) -> None:
    found = tagged(mix[0])
    assert (found["AI_GENERATED"], found["PROMPT"], found["SEED"]) == ("no", QUICK, "7")
    assert "no AI model" in found["DISCLOSURE"]
