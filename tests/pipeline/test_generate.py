"""``infiniloop generate`` with the composer itself: what was asked for, exactly where it was said, or one sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile

from shared.paths import Paths
from tests.golden.musicgen_checkpoint import CASES, write_checkpoint
from tests.pipeline.generating import all_gone, family, with_musicgpt


def run(paths: Paths, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services", "generate", *words],
        env={**os.environ, "INFINILOOP_HOME": str(paths.config.parent), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def report(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


EXACT = ("calm piano", "--bars", "2", "--bpm", "96", "--key", "Ebm", "--meter", "3/4", "--seed", "5", "--json")


def test_bars_tempo_key_and_metre_are_exact_and_the_seed_repeats(paths: Paths, tmp_path: Path) -> None:
    first, again, score = tmp_path / "a.wav", tmp_path / "b.wav", tmp_path / "a.mid"
    told = report(run(paths, *EXACT, "-o", str(first), "--midi", str(score)))
    assert told["frames"] == round(2 * 3 * 60 / 96 * 48_000)
    assert (told["bars"], told["bpm"], told["key"], told["seed"]) == (2, 96.0, "Eb minor", 5)
    assert told["backend"] == "composer"
    assert soundfile.info(first).frames == told["frames"]
    assert score.read_bytes()[:4] == b"MThd"
    report(run(paths, *EXACT, "-o", str(again)))
    assert first.read_bytes() == again.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mid", "a.wav", "b.wav", "home"]


def test_a_loop_is_finished_and_says_how_it_loops(paths: Paths, tmp_path: Path) -> None:
    target = tmp_path / "loop.wav"
    told = report(run(paths, *EXACT, "--loop", "-o", str(target)))
    assert told["mode"] == "exact"
    assert abs(told["lufs"] + 16) < 0.5
    assert told["true_peak_dbtp"] <= -1.0
    assert soundfile.info(target).frames == told["frames"] == round(2 * 3 * 60 / 96 * 48_000)
    assert b"smpl" in target.read_bytes()


@pytest.mark.parametrize("loop", [(), ("--loop",)])
def test_parts_lie_beside_the_whole_and_add_up_to_it(paths: Paths, tmp_path: Path, loop: tuple[str, ...]) -> None:
    target = tmp_path / "mine.flac"
    words = ("house", "--bars", "2", "--bpm", "120", "--seed", "5", "--stems", *loop, "-o", str(target), "--json")
    told = report(run(paths, *words))
    names = {Path(path).name for path in told["stems"]}
    assert {"mine_drums.flac", "mine_bass.flac", "mine_stabs.flac"} <= names
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"mine.flac", *names}
    whole, rate = soundfile.read(target)
    parts = [soundfile.read(path)[0] for path in told["stems"]]
    assert all(part.shape == whole.shape == (told["frames"], 2) for part in parts)
    assert rate == told["sample_rate"] == 48_000
    total = np.sum(parts, axis=0)
    assert np.vdot(total, whole) / np.sqrt(np.vdot(total, total) * np.vdot(whole, whole)) > 0.9  # but for the mastering
    before = {path: Path(path).read_bytes() for path in told["stems"]}
    target.unlink()
    refused = run(paths, *words)
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    assert not target.exists()
    assert {path: Path(path).read_bytes() for path in told["stems"]} == before


@pytest.mark.parametrize("flags", [("--stems",), ("--midi", "x.mid")])
def test_a_maker_without_a_score_says_so_before_it_begins(paths: Paths, tmp_path: Path, flags: tuple[str, ...]) -> None:
    words = ("rain", "--seconds", "2", *flags, "-o", str(tmp_path / "x.wav"))
    done = run(paths, *words, **with_musicgpt(paths), INFINILOOP_GENERATOR_BACKEND="musicgpt")
    assert done.returncode == 2
    assert f"musicgpt writes no score: leave {flags[0]} out" in done.stderr
    assert not list(tmp_path.glob("x*"))


def test_many_are_numbered_and_each_has_its_own_seed(paths: Paths, tmp_path: Path) -> None:
    words = ("rain", "--count", "2", "--seconds", "2", "--seed", "7", "--json", "-o", str(tmp_path / "x.flac"))
    told = report(run(paths, *words, **with_musicgpt(paths), INFINILOOP_GENERATOR_BACKEND="musicgpt"))
    assert [Path(clip["file"]).name for clip in told["clips"]] == ["x-1.flac", "x-2.flac"]
    assert told["weights_licence"] == "CC-BY-NC 4.0"
    assert all(soundfile.info(clip["file"]).frames == 64_000 for clip in told["clips"])


@pytest.mark.parametrize("loop", [(), ("--loop",)])
def test_a_tempo_that_was_nearly_met_is_met(paths: Paths, tmp_path: Path, loop: tuple[str, ...]) -> None:
    words = ("rain", "--seconds", "10", "--bpm", "125", *loop, "--json", "-o", str(tmp_path / "x.wav"))
    told = report(run(paths, *words, **with_musicgpt(paths), INFINILOOP_GENERATOR_BACKEND="musicgpt"))
    assert told["bpm"] == pytest.approx(125, rel=2e-3)
    assert told["stretch"] == pytest.approx(120 / 125, rel=2e-3)
    assert told["attempts"] == 1
    assert soundfile.info(told["file"]).frames == told["frames"]


def test_a_tempo_that_is_not_met_is_refused_after_three_clips(paths: Paths, tmp_path: Path) -> None:
    words = ("rain", "--seconds", "8", "--bpm", "87", "--loop", "-o", str(tmp_path / "x.wav"))
    done = run(paths, *words, **with_musicgpt(paths), INFINILOOP_GENERATOR_BACKEND="musicgpt")
    assert done.returncode == 3, done.stderr
    assert "3 clips were made" in done.stderr
    assert done.stderr.count("120 beats a minute where 87 were asked for") == 3
    assert not (tmp_path / "x.wav").exists()


def test_a_model_makes_several_at_once(paths: Paths, tmp_path: Path) -> None:
    write_checkpoint(paths.models / "small" / "source", CASES["mono"])
    words = ("rain", "--count", "3", "--seconds", "2", "--seed", "7", "--json", "-o", str(tmp_path / "x.wav"))
    told = report(run(paths, *words, "--backend", "musicgen"))
    assert [clip["seed"] for clip in told["clips"]] == [7, 8, 9]
    sounds = {Path(clip["file"]).read_bytes() for clip in told["clips"]}
    assert len(sounds) == 3
    assert not list(paths.clips.iterdir())


def test_a_file_that_is_there_is_written_over_only_by_force(paths: Paths, tmp_path: Path) -> None:
    target = tmp_path / "mine.wav"
    target.write_text("mine")
    words = ("rain", "--bars", "1", "--bpm", "200", "-o", str(target))
    refused = run(paths, *words)
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    assert target.read_text() == "mine"
    assert run(paths, *words, "--force").returncode == 0
    assert soundfile.info(target).frames


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ((" ",), 2, "prompt is empty"),
        (("x" * 10_000,), 2, "10000 characters"),
        (("--help-me",), 2, "No such option"),
        (("rain", "--key", "H"), 2, "is no key"),
        (("rain", "--meter", "9/17"), 2, "9/17"),
        (("rain", "--bars", "256", "--bpm", "20"), 2, "600 s"),
        (("rain", "--bars", "4", "--seconds", "4"), 2, "not both"),
        (("rain", "--bpm", "0"), 2, "--bpm"),
        (("rain", "--backend", "magic"), 2, "musicgen, musicgpt, composer"),
        (("rain", "--backend", "musicgpt"), 1, "MusicGPT was not found"),
        (("rain", "--backend", "musicgen"), 1, "infiniloop models download"),
    ],
)
def test_what_cannot_be_made_is_one_sentence_and_leaves_nothing(
    paths: Paths, tmp_path: Path, words: tuple[str, ...], code: int, sentence: str
) -> None:
    nowhere = {"PATH": "/usr/bin:/bin", "HF_HOME": str(tmp_path / "hub"), "XDG_DATA_HOME": str(tmp_path / "data")}
    done = run(paths, *words, "-o", str(tmp_path / "x.wav"), **nowhere)
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x.wav").exists()


@pytest.mark.parametrize(
    ("target", "code", "sentence"),
    [("no/such/folder/x.wav", 1, "does not exist"), ("home", 2, "no format"), ("x.aiff", 2, "wav, flac, ogg, mp3")],
)
def test_a_place_that_cannot_be_written_is_said_before_the_work(
    paths: Paths, tmp_path: Path, target: str, code: int, sentence: str
) -> None:
    done = run(paths, "rain", "-o", str(tmp_path / target))
    assert done.returncode == code
    assert sentence in done.stderr


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """As at a terminal: tests that run in the background would hand down that SIGINT is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_ends_it_with_everything_it_began(paths: Paths, tmp_path: Path) -> None:
    environment = {**os.environ, "INFINILOOP_HOME": str(paths.config.parent), **with_musicgpt(paths)}
    command = [sys.executable, "-m", "services", "generate", "never returning", "-o", str(tmp_path / "x.wav")]
    process = subprocess.Popen([*command, "--backend", "musicgpt"], env=environment, stderr=subprocess.PIPE)
    below: list[psutil.Process] = []
    while len(below) < 3:  # the child, the guard, the program
        assert process.poll() is None
        below = family(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    assert all_gone(below)
    assert not (tmp_path / "x.wav").exists()
