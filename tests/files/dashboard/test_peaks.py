"""The outline shows what is in the file, and only files of the station are read."""

from pathlib import Path

import numpy as np
import pytest

from services.dashboard.peaks import SLICES, read_peaks
from shared.audio_files import write_wav
from shared.errors import AudioFileError


@pytest.mark.parametrize("frames", [100, SLICES, 70_000, 200_001])
def test_the_outline_is_the_lowest_and_highest_of_each_slice(tmp_path: Path, frames: int) -> None:
    samples = np.random.default_rng(frames).uniform(-1, 1, (frames, 2)).astype(np.float32)
    write_wav(tmp_path / "loop.wav", samples, 48_000)
    peaks = np.array(read_peaks(tmp_path / "loop.wav", (tmp_path,)))
    assert peaks.shape == (SLICES, 2)
    edges = -(-np.arange(SLICES + 1) * frames // SLICES)
    for index in range(SLICES):
        part = samples[edges[index] : edges[index + 1]]
        expected = (min(part.min(), 0.0), max(part.max(), 0.0)) if len(part) else (0.0, 0.0)
        np.testing.assert_allclose(peaks[index], expected, atol=6e-4)


def test_a_file_elsewhere_is_refused_also_by_a_link(tmp_path: Path) -> None:
    inside, outside = tmp_path / "cache", tmp_path / "elsewhere"
    inside.mkdir()
    outside.mkdir()
    write_wav(outside / "loop.wav", np.zeros((480, 2), np.float32), 48_000)
    (inside / "link.wav").symlink_to(outside / "loop.wav")
    for path in (outside / "loop.wav", inside / "link.wav", inside / ".." / "elsewhere" / "loop.wav"):
        with pytest.raises(AudioFileError, match="refused"):
            read_peaks(path, (inside,))


def test_a_file_that_is_gone_or_broken_is_said(tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF nonsense")
    for name in ("gone.wav", "broken.wav"):
        with pytest.raises(AudioFileError, match="gone or cannot"):
            read_peaks(tmp_path / name, (tmp_path,))
