"""Saved loops: exactly one pass, downbeat first, the loop's points where other programs look for them."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from services.controller import containers
from services.controller.saving import MP3_WARNING, Saved, SaveOrder, check_order, save_loop
from shared.audio_files import snap_to_grid, write_wav
from shared.errors import AudioFileError, StoreError, UsageError
from shared.music import BeatGrid, Loop, Recipe, Section
from shared.units import Audio
from tests.full_disk import full_disk

RATE = 48_000
FRAMES = 96_000
FIRST_DOWNBEAT = 3_001


@pytest.fixture
def samples() -> Audio:
    noise = np.random.default_rng(5).normal(0, 0.1, (FRAMES, 2)).astype(np.float32)
    return snap_to_grid(noise)


@pytest.fixture
def loop(tmp_path: Path, samples: Audio) -> Loop:
    path = tmp_path / "l1.wav"
    write_wav(path, samples, RATE)
    return Loop(
        loop_id="l1",
        job_id="j1",
        epoch=1,
        path=str(path),
        frames=FRAMES,
        bpm=120.0,
        beats_per_bar=4,
        bars=1,
        grid=BeatGrid(beats=(FIRST_DOWNBEAT, 27_001, 51_001, 75_001), downbeats=(FIRST_DOWNBEAT,)),
        title="Amber Street – 雨",
        artist="Ada Vale",
        genre="lo-fi",
        recipe=Recipe(prompt="rain", backend="composer", seed=4, disclosure="composed by rules, no AI model"),
    )


def saved(loop: Loop, target: Path, **more: object) -> Saved:
    return save_loop(check_order(SaveOrder(loop, target, **more)))  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_lossless_files_hold_exactly_one_pass_from_the_downbeat(
    loop: Loop, samples: Audio, tmp_path: Path, suffix: str
) -> None:
    done = saved(loop, tmp_path / f"mein Lied ä.{suffix}")
    back, rate = soundfile.read(done.path, dtype="float32", always_2d=True)
    assert rate == RATE
    assert soundfile.info(done.path).subtype == "PCM_24"
    np.testing.assert_array_equal(back, np.roll(samples, -FIRST_DOWNBEAT, axis=0))


def test_a_loop_of_sections_is_saved_as_its_first(loop: Loop, samples: Audio, tmp_path: Path) -> None:
    sections = (Section(label="A", start=48_000, end=FRAMES, bars=1), Section(label="B", start=0, end=48_000, bars=1))
    piece = Loop(loop_id="l1", job_id="j1", epoch=1, path=loop.path, frames=FRAMES, sections=sections)
    back, _ = soundfile.read(saved(piece, tmp_path / "a.wav").path, dtype="float32", always_2d=True)
    np.testing.assert_array_equal(back, samples[48_000:])


def chunks(path: Path) -> dict[str, bytes]:
    data, at, found = path.read_bytes(), 12, {}
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    while at < len(data):
        name, size = data[at : at + 4].decode(), struct.unpack_from("<I", data, at + 4)[0]
        found[name] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    return found


def test_a_wav_says_how_it_loops(loop: Loop, tmp_path: Path) -> None:
    found = chunks(saved(loop, tmp_path / "a.wav").path)
    assert struct.unpack_from("<I", found["smpl"], 28)[0] == 1
    assert struct.unpack("<6I", found["smpl"][36:60]) == (1, 0, 0, FRAMES - 1, 0, 0)
    assert struct.unpack_from("<I", found["cue "])[0] == 2
    beats, _, meter, bpm = struct.unpack("<IHHf", found["acid"][12:24])
    assert (beats, meter, bpm) == (4, 4, 120.0)
    assert len(found["acid"]) == 24


def comments(block: bytes) -> list[str]:
    at = 4 + struct.unpack_from("<I", block)[0]
    count, at, found = struct.unpack_from("<I", block, at)[0], at + 4, []
    for _ in range(count):
        size = struct.unpack_from("<I", block, at)[0]
        found.append(block[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return found


def test_flac_and_ogg_carry_their_loop_first_among_the_tags(loop: Loop, tmp_path: Path) -> None:
    flac = saved(loop, tmp_path / "a.flac").path.read_bytes()
    size = int.from_bytes(flac[5:8], "big")
    at = 8 + size
    assert flac[at] & 0x7F == 4
    block = flac[at + 4 : at + 4 + int.from_bytes(flac[at + 1 : at + 4], "big")]
    ogg = saved(loop, tmp_path / "a.ogg").path.read_bytes()
    packet = ogg[ogg.index(b"\x03vorbis") + 7 :]
    for found in (comments(block), comments(packet)):
        assert found[:2] == ["LOOPSTART=0", f"LOOPLENGTH={FRAMES}"]
        assert "TITLE=Amber Street – 雨" in found
        assert any("no AI model" in line and "seed 4" in line for line in found)


def test_every_page_of_an_ogg_has_its_right_checksum_and_number(loop: Loop, tmp_path: Path) -> None:
    data = saved(loop, tmp_path / "a.ogg").path.read_bytes()
    at, number = 0, 0
    while at < len(data) and number < 6:
        count = data[at + 26]
        size = 27 + count + sum(data[at + 27 : at + 27 + count])
        page = data[at : at + size]
        assert struct.unpack_from("<I", page, 18)[0] == number
        assert struct.unpack_from("<I", page, 22)[0] == containers._checksum(page[:22] + b"\0\0\0\0" + page[26:])
        at, number = at + size, number + 1
    assert soundfile.info(tmp_path / "a.ogg").frames == FRAMES


def test_mp3_is_written_with_a_warning(loop: Loop, tmp_path: Path) -> None:
    done = saved(loop, tmp_path / "a.mp3")
    assert done.warning == MP3_WARNING
    assert soundfile.info(done.path).format == "MP3"


def test_a_file_that_is_there_is_kept_unless_forced(loop: Loop, tmp_path: Path) -> None:
    target = tmp_path / "a.wav"
    target.write_text("dear")
    with pytest.raises(StoreError, match="--force"):
        saved(loop, target)
    assert target.read_text() == "dear"
    saved(loop, target, force=True)
    assert soundfile.info(target).frames == FRAMES
    assert {path.name for path in tmp_path.iterdir()} == {"l1.wav", "a.wav"}


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("folder", StoreError, "is a folder"),
        ("missing/a.wav", StoreError, "does not exist"),
        ("a.doc", UsageError, "wav, flac, ogg, mp3"),
    ],
)
def test_a_wrong_target_is_one_sentence(
    loop: Loop, tmp_path: Path, name: str, error: type[Exception], words: str
) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(error, match=words):
        saved(loop, tmp_path / name)


def test_a_folder_without_permission_is_one_sentence(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StoreError, match="permission denied"):
        saved(loop, tmp_path / "a.wav")
    assert [path.name for path in tmp_path.iterdir()] == ["l1.wav"]


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_a_disk_without_room_is_one_sentence_and_leaves_nothing(loop: Loop, tmp_path: Path, suffix: str) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoreError, match="cannot be written"), full_disk():
        saved(loop, tmp_path / f"full.{suffix}")
    assert sorted(tmp_path.iterdir()) == before


def test_a_loop_whose_file_is_gone_is_one_sentence(loop: Loop, tmp_path: Path) -> None:
    Path(loop.path).unlink()
    with pytest.raises(AudioFileError, match="no longer there"):
        saved(loop, tmp_path / "a.wav")
