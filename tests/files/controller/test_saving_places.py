"""Where saved files go: exactly where it was said, over nothing that is there, and nothing is left of what fails."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from msgspec.structs import replace

from services.controller.saving import Tags, find_target, write_file
from services.controller.saving.tags import file_name, short_key
from shared.errors import AudioFileError, StoreError, UsageError
from shared.music import Loop
from shared.units import Audio
from tests.files.controller.saved import FORMATS, FRAMES, saved
from tests.full_disk import full_disk


def test_a_file_that_is_there_is_kept_unless_forced(loop: Loop, folder: Path) -> None:
    target = folder / "a.wav"
    target.write_text("dear")
    with pytest.raises(StoreError, match="--force"):
        saved(loop, target)
    assert target.read_text() == "dear"
    saved(loop, target, force=True)
    assert soundfile.info(target).frames == FRAMES
    assert [path.name for path in folder.iterdir()] == ["a.wav"]


def test_a_link_stays_and_what_it_points_to_is_written(loop: Loop, folder: Path) -> None:
    (folder / "real.wav").write_text("old")
    (folder / "link.wav").symlink_to("real.wav")
    saved(loop, folder / "link.wav", force=True)
    assert (folder / "link.wav").is_symlink()
    assert soundfile.info(folder / "real.wav").frames == FRAMES


def test_a_folder_gets_a_file_that_says_what_is_in_it(loop: Loop, folder: Path) -> None:
    first = saved(loop, folder)
    again = saved(loop, folder, format="flac")
    third = saved(loop, folder)
    names = [done.path.name for done in (first, again, third)]
    stem = "Amber Street – 雨_120bpm_F#m_1bars"
    assert names == [f"{stem}.wav", f"{stem}.flac", f"{stem}_2.wav"]


def test_where_a_name_leads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    for said, path in (
        ("a.wav", folder / "a.wav"),
        ("x y/ä.wav", folder / "x y" / "ä.wav"),
        ("../a.wav", folder / ".." / "a.wav"),
        ("~/a.wav", Path("/home/ada/a.wav")),
        ("~nobody-at-all/a.wav", folder / "~nobody-at-all" / "a.wav"),
        ("/tmp/a.wav", Path("/tmp/a.wav")),
        ("not/there/", folder / "not" / "there" / "named.wav"),
        (".", folder / "named.wav"),
    ):
        assert find_target(said, folder, "", lambda form: f"named.{form}").path == path


def test_names_say_what_is_known_and_hold_nothing_that_a_disk_refuses(loop: Loop) -> None:
    assert file_name(replace(loop, title="a/b: “c”", bpm=91.87, key=None), "ogg", 8) == "a b “c”_91.9bpm_8bars.ogg"
    assert file_name(replace(loop, title="..", bpm=None, key="?"), "wav", None) == "loop.wav"
    assert len(file_name(replace(loop, title="ü" * 500), "wav", 8).encode()) < 200
    assert [short_key(key) for key in ("A minor", "Am", "F# major", "Eb", None)] == ["Am", "Am", "F#", "Eb", ""]


def test_missing_folders_are_made_and_go_again_if_nothing_comes_of_it(loop: Loop, folder: Path) -> None:
    target = folder / "new" / "deeper" / "ä b.wav"
    saved(loop, target)
    assert soundfile.info(target).frames == FRAMES
    with pytest.raises(StoreError), full_disk():
        saved(loop, folder / "other" / "deeper" / "a.wav")
    assert [path.name for path in folder.iterdir()] == ["new"]


def test_a_name_without_a_suffix_is_kept_as_it_was_said(loop: Loop, folder: Path) -> None:
    assert saved(loop, folder / "plain").path.read_bytes()[:4] == b"RIFF"
    assert saved(loop, folder / "odd.sound", format="flac").path.read_bytes()[:4] == b"fLaC"


@pytest.mark.parametrize(
    ("name", "more", "error", "words"),
    [
        ("file/a.wav", {}, StoreError, "is a file, not a folder|not a directory"),
        ("a.doc", {}, UsageError, "wav, flac, ogg, mp3"),
        ("a.wav", {"format": "flac"}, UsageError, "name of a wav file"),
        ("a.wav", {"format": "doc"}, UsageError, "doc cannot be written"),
        ("a\0b.wav", {}, UsageError, "name"),
        ("x" * 300 + ".wav", {}, StoreError, "too long"),
        ("fifo", {"force": True}, StoreError, "not an ordinary file"),
    ],
)
def test_a_wrong_target_is_one_sentence(
    loop: Loop, folder: Path, *, name: str, more: dict[str, object], error: type[Exception], words: str
) -> None:
    (folder / "file").touch()
    os.mkfifo(folder / "fifo")
    before = sorted(folder.iterdir())
    with pytest.raises(error, match=words):
        saved(loop, folder / name, **more)
    assert sorted(folder.iterdir()) == before


def test_a_folder_without_permission_is_one_sentence(loop: Loop, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StoreError, match="permission denied"):
        saved(loop, folder / "a.wav")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("there", [False, True])
def test_a_disk_without_room_is_one_sentence_and_leaves_what_was_there(
    loop: Loop, folder: Path, suffix: str, there: bool
) -> None:
    target = folder / f"full.{suffix}"
    if there:
        target.write_text("dear")
    with pytest.raises(StoreError, match="file too large"), full_disk():
        saved(loop, target, force=there)
    assert [path.read_text() for path in folder.iterdir()] == ["dear"] * there


@pytest.mark.parametrize("suffix", FORMATS)
def test_ctrl_c_ends_a_save_and_leaves_what_was_there(folder: Path, suffix: str) -> None:
    target = folder / f"a.{suffix}"
    target.write_text("dear")
    block = np.zeros((4_800, 2), np.float32)

    def blocks() -> Iterator[Audio]:
        yield block
        signal.raise_signal(signal.SIGINT)
        yield block
        raise AssertionError("it went on")

    with pytest.raises(KeyboardInterrupt):
        write_file(target, suffix, Tags(), blocks(), frames=14_400, force=True)
    assert [path.read_text() for path in folder.iterdir()] == ["dear"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_a_killed_save_left_is_swept_and_what_another_writes_is_not(loop: Loop, folder: Path) -> None:
    dead, alive = folder / ".infiniloop-4194305-ab.part", folder / f".infiniloop-{os.getppid()}-ab.part"
    dead.touch()
    alive.touch()
    saved(loop, folder / "a.wav")
    assert not dead.exists()
    assert alive.exists()


def test_a_loop_whose_file_is_gone_is_one_sentence(loop: Loop, folder: Path) -> None:
    Path(loop.path).unlink()
    with pytest.raises(AudioFileError, match="no longer there"):
        saved(loop, folder / "a.wav")
    assert list(folder.iterdir()) == []
