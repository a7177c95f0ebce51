"""What the player reads is whole and checked, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from services.player.store import load_loop, load_transition
from shared.errors import AudioFileError
from shared.music import Section, Transition
from shared.units import STATION_RATE
from tests.unit.player.material import audio_of, loop, noise, written


def test_a_loop_is_read_bit_for_bit(tmp_path: Path) -> None:
    audio = noise(2 * STATION_RATE, level=0.9)
    assert np.array_equal(audio_of(load_loop(written(tmp_path, loop(), audio), (tmp_path,))), audio)


def _refused(tmp_path: Path, audio: np.ndarray, rate: int = STATION_RATE, said: int | None = None) -> str:
    path = tmp_path / "bad.wav"
    soundfile.write(path, audio, rate, subtype="FLOAT")
    record = msgspec.structs.replace(loop(), path=str(path), frames=said or len(audio))
    with pytest.raises(AudioFileError) as refusal:
        load_loop(record, (tmp_path,))
    sentence = str(refusal.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def test_another_rate_is_refused(tmp_path: Path) -> None:
    assert "44100 Hz" in _refused(tmp_path, noise(96_000), 44_100)


def test_one_channel_is_refused(tmp_path: Path) -> None:
    assert "1 channels" in _refused(tmp_path, noise(96_000)[:, :1])


def test_ten_minutes_are_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", STATION_RATE, 2, "PCM_16") as sound:
        for _ in range(160):
            sound.write(np.zeros((STATION_RATE, 2), np.float32))
    with pytest.raises(AudioFileError, match="160 s long"):
        load_loop(msgspec.structs.replace(loop(), path=str(path), frames=160 * STATION_RATE), (tmp_path,))


def test_too_short_and_empty_files_are_refused(tmp_path: Path) -> None:
    assert "at least" in _refused(tmp_path, noise(1_000))
    assert "at least" in _refused(tmp_path, noise(0), said=1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e9])
def test_values_that_are_not_samples_are_refused(tmp_path: Path, value: float) -> None:
    audio = noise(96_000)
    audio[70_000, 1] = value
    assert "not samples" in _refused(tmp_path, audio)


def test_a_length_other_than_announced_is_refused(tmp_path: Path) -> None:
    assert "announced" in _refused(tmp_path, noise(96_000), said=96_001)


def test_a_missing_a_truncated_and_a_foreign_file_are_refused(tmp_path: Path) -> None:
    record = written(tmp_path, loop(), noise(96_000))
    path = Path(record.path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(AudioFileError):
        load_loop(record, (tmp_path,))
    path.write_bytes(b"not a sound at all" * 100)
    with pytest.raises(AudioFileError, match="cannot be read"):
        load_loop(record, (tmp_path,))
    path.unlink()
    with pytest.raises(AudioFileError, match="missing"):
        load_loop(record, (tmp_path,))
    path.mkdir()
    with pytest.raises(AudioFileError, match="missing"):
        load_loop(record, (tmp_path,))


def test_a_file_outside_the_folders_is_refused_links_included(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    record = written(outside, loop(), noise(96_000))
    with pytest.raises(AudioFileError, match="outside"):
        load_loop(record, (inside,))
    link = inside / "a.wav"
    link.symlink_to(record.path)
    with pytest.raises(AudioFileError, match="outside"):
        load_loop(msgspec.structs.replace(record, path=str(link)), (inside,))


def test_a_section_beyond_the_end_is_refused(tmp_path: Path) -> None:
    record = written(tmp_path, loop(), noise(96_000))
    record = msgspec.structs.replace(record, sections=(Section(label="A", start=0, end=96_001, bars=4),))
    with pytest.raises(AudioFileError, match="section A"):
        load_loop(record, (tmp_path,))


def test_a_file_that_is_replaced_afterwards_is_not_read_again(tmp_path: Path) -> None:
    audio = noise(96_000)
    record = written(tmp_path, loop(), audio)
    held = load_loop(record, (tmp_path,))
    Path(record.path).write_bytes(b"")
    assert np.array_equal(audio_of(held), audio)


def test_a_transition_is_read_and_checked_alike(tmp_path: Path) -> None:
    audio = noise(9_000)
    record = written(tmp_path, loop("t"), audio)
    done = Transition(
        from_loop="a", to_loop="b", kind="blend", path=record.path, frames=9_000, exit_frame=1, entry_frame=2
    )
    held = load_transition(done, (tmp_path,))
    out = np.empty((9_000, 2), np.float32)
    held.samples.read_into(out, 0)
    assert np.array_equal(out, audio)
    with pytest.raises(AudioFileError):
        load_transition(msgspec.structs.replace(done, frames=9_001), (tmp_path,))
