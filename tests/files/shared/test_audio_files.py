"""Audio files keep every sample on their grid; what cannot be played is refused in words."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from shared.audio_files import from_bytes, read_audio, read_within, snap_to_grid, to_flac, write_wav
from shared.errors import AudioFileError
from shared.units import Audio
from tests.full_disk import full_disk

RATE = 48_000


@pytest.fixture
def noise() -> Audio:
    return np.random.default_rng(5).uniform(-1, 1, (RATE // 4, 2)).astype(np.float32)


def test_samples_on_the_grid_survive_wav_and_flac(tmp_path: Path, noise: Audio) -> None:
    on_grid = snap_to_grid(noise)
    write_wav(tmp_path / "a.wav", on_grid, RATE)
    assert np.array_equal(read_audio(tmp_path / "a.wav")[0], on_grid)
    assert np.array_equal(from_bytes(to_flac(on_grid, RATE))[0], on_grid)


def test_snapping_moves_no_sample_by_more_than_half_a_step(noise: Audio) -> None:
    snapped = snap_to_grid(noise)
    # float32 holds 24 bits only below full scale's upper half to within its own rounding
    assert np.abs(snapped.astype(np.float64) - noise).max() <= 2.0**-24 + 2.0**-25
    assert np.array_equal(snap_to_grid(snapped), snapped)


def test_nothing_half_written_is_left(tmp_path: Path, noise: Audio) -> None:
    write_wav(tmp_path / "a.wav", noise, RATE)
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]
    with pytest.raises(AudioFileError, match="cannot be written"):
        write_wav(tmp_path / "missing" / "a.wav", noise, RATE)


def _write(path: Path, samples: Audio, **options: str) -> Path:
    soundfile.write(path, samples, RATE, **options)
    return path


def test_what_is_not_sound_is_refused(tmp_path: Path, noise: Audio) -> None:
    (tmp_path / "text.wav").write_text("not audio at all, though it says so")
    (tmp_path / "empty.wav").write_bytes(b"")
    _write(tmp_path / "whole.wav", noise)
    flac = _write(tmp_path / "whole.flac", noise).read_bytes()
    (tmp_path / "cut.flac").write_bytes(flac[: len(flac) // 2])
    broken = noise.copy()
    broken[7] = np.nan
    _write(tmp_path / "nan.wav", broken, subtype="FLOAT")
    _write(tmp_path / "silent.wav", noise[:0])
    for name, word in (
        ("text.wav", "cannot be read as audio"),
        ("empty.wav", "cannot be read as audio"),
        ("missing.wav", "does not exist"),
        ("nan.wav", "not numbers"),
        ("silent.wav", "no sound"),
        ("cut.flac", "cut off|cannot be read"),
    ):
        with pytest.raises(AudioFileError, match=word):
            read_audio(tmp_path / name)
    with pytest.raises(AudioFileError, match="not a file"):
        read_audio(tmp_path)
    with pytest.raises(AudioFileError, match="longer than"):
        read_audio(tmp_path / "whole.wav", max_seconds=0.1)


def test_a_path_outside_the_folder_is_refused(tmp_path: Path, noise: Audio) -> None:
    inside = tmp_path / "cache"
    inside.mkdir()
    outside = _write(tmp_path / "a.wav", noise)
    (inside / "link.wav").symlink_to(outside)
    for path in (outside, inside / ".." / "a.wav", inside / "link.wav"):
        with pytest.raises(AudioFileError, match="outside"):
            read_within((inside,), path)
    read_within((inside,), _write(inside / "b.wav", noise))


def test_a_disk_without_room_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="free some disk space"), full_disk():
        write_wav(tmp_path / "x.wav", np.zeros((48_000, 2), np.float32), 48_000)
    assert not list(tmp_path.iterdir())
