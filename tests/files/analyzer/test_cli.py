"""``analyze`` on real files: its keys, its exit codes, its outputs."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from services.analyzer.cli import analyze
from services.analyzer.reading import read_any
from shared.errors import AudioFileError, NoLoopError, UsageError
from tests.unit.analyzer.music import RATE, groove

TONE = Path(__file__).with_name("tone.m4a")
"""Half a second of a' as AAC, which libsndfile does not read."""
PROMISED = {
    "start", "end", "sample_rate", "mode", "n", "bpm", "beats_per_bar", "bars", "downbeats", "key", "confidence",
    "lufs", "true_peak_dbtp", "analysis_s", "analysis_cpu_s",
}  # fmt: skip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "groove.wav"
    soundfile.write(path, groove(bars=9), RATE)
    return path


def run(*arguments: object) -> dict[str, object]:
    result = CliRunner().invoke(analyze, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return dict(json.loads(result.stdout.splitlines()[-1]))


def test_json_has_the_promised_keys(clip: Path) -> None:
    report = run(clip, "--json", "--min-loop", 4, "--repeat", 2)
    assert set(report) >= PROMISED | {"warm_s", "warm_cpu_s"}
    start, end = report["start"], report["end"]
    assert isinstance(start, int)
    assert isinstance(end, int)
    assert end - start >= 4 * RATE


def test_output_and_plot_are_written(clip: Path, tmp_path: Path) -> None:
    loop, picture = tmp_path / "loop.wav", tmp_path / "plot.png"
    run(clip, "--json", "--min-loop", 4, "--output", loop, "--plot", picture)
    facts = soundfile.info(loop)
    assert (facts.samplerate, facts.channels, facts.subtype) == (48_000, 2, "PCM_24")
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    at = data.index(b"IDAT")
    size = struct.unpack(">I", data[at - 4 : at])[0]
    assert len(zlib.decompress(data[at + 4 : at + 4 + size])) == height * (3 * width + 1)


@pytest.mark.parametrize(
    ("content", "error", "code"),
    [
        (np.zeros(RATE * 5), NoLoopError, 3),
        (np.full(RATE, np.nan), AudioFileError, 1),
        (np.zeros(0), AudioFileError, 1),
        (groove(bars=1)[:, 0], NoLoopError, 3),
    ],
)
def test_what_holds_no_loop_has_its_exit_code(
    tmp_path: Path, content: np.ndarray, error: type[Exception], code: int
) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, content, RATE, subtype="FLOAT")
    result = CliRunner().invoke(analyze, [str(path), "--min-loop", "4"])
    assert isinstance(result.exception, error)
    assert result.exception.exit_code == code
    assert str(result.exception).endswith(".")


def test_garbage_and_odd_wishes_are_one_sentence(tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "noise.wav"
    path.write_bytes(bytes(range(256)) * 100)
    assert isinstance(CliRunner().invoke(analyze, [str(path)]).exception, AudioFileError)
    assert isinstance(CliRunner().invoke(analyze, [str(tmp_path / "none.wav")]).exception, AudioFileError)
    assert isinstance(CliRunner().invoke(analyze, [str(clip), "--min-loop", "soon"]).exception, UsageError)


def test_what_soundfile_does_not_know_is_left_to_ffmpeg() -> None:
    if shutil.which("ffmpeg") is None:
        with pytest.raises(AudioFileError, match="install ffmpeg"):
            read_any(TONE)
        return
    samples, rate = read_any(TONE)
    assert rate == RATE
    assert len(samples) == pytest.approx(0.5 * RATE, rel=0.2)
    middle = samples[RATE // 8 : RATE // 8 + RATE // 4, 0]
    assert np.abs(np.fft.rfft(middle)).argmax() * 4 == pytest.approx(440, abs=4)


def test_without_ffmpeg_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AudioFileError, match="install ffmpeg"):
        read_any(TONE)
