"""Saved loops: exactly one pass, downbeat first, where it was said; the loop's points where other programs look."""

from __future__ import annotations

import os
import signal
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import settings as bounds
from hypothesis import strategies as some
from msgspec.structs import replace

from services.controller.saving import (
    MP3_WARNING,
    Saved,
    SaveOrder,
    Tags,
    encode,
    find_target,
    save_loop,
    tags_of,
    write_file,
)
from services.controller.saving import vorbis as comments
from services.controller.saving.music import cut, faded, one_pass, repeated, section_of
from services.controller.saving.tags import file_name, short_key
from shared.audio_files import snap_to_grid, write_wav
from shared.errors import AudioFileError, StoreError, UsageError
from shared.music import BeatGrid, Loop, Recipe, Section
from shared.units import Audio
from tests.full_disk import full_disk
from tests.unit.controller.saved import by_ffmpeg, chunks, loop_points, probed, run, tagged, tiled_by_sox

RATE = 48_000
FRAMES = 96_000
FIRST_DOWNBEAT = 3_001
FORMATS = ("wav", "flac", "ogg", "mp3")


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
    return replace(loop, recipe=recipe)


def saved(loop: Loop, target: Path, **more: object) -> Saved:
    return save_loop(SaveOrder(loop, target, **more))  # type: ignore[arg-type]


# -- what is in it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_lossless_files_hold_exactly_one_pass_from_the_downbeat(
    loop: Loop, samples: Audio, folder: Path, suffix: str
) -> None:
    done = saved(loop, folder / f"mein Lied ä.{suffix}")
    assert soundfile.info(done.path).subtype == "PCM_24"
    back, rate = soundfile.read(done.path, dtype="float32", always_2d=True)
    assert rate == RATE
    np.testing.assert_array_equal(back, np.roll(samples, -FIRST_DOWNBEAT, axis=0))
    assert loop_points(done.path) == (0, FRAMES)


@pytest.mark.tools
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_lossless_files_are_the_same_to_every_reader(loop: Loop, samples: Audio, folder: Path, suffix: str) -> None:
    done = saved(loop, folder / f"mein Lied ä.{suffix}")
    told = probed(done.path)["stream"]
    assert (told["sample_rate"], told["channels"], told["bits_per_raw_sample"]) == ("48000", 2, "24")
    expected = np.roll(samples, -FIRST_DOWNBEAT, axis=0)
    np.testing.assert_array_equal(by_ffmpeg(done.path), expected)
    np.testing.assert_array_equal(tiled_by_sox(done.path, 0, FRAMES, 2), np.tile(expected, (2, 1)))


def test_an_ogg_has_as_many_frames_and_the_same_sound(loop: Loop, samples: Audio, folder: Path) -> None:
    done = saved(loop, folder / "a.ogg")
    back, _ = soundfile.read(done.path, dtype="float32")
    assert len(back) == FRAMES
    expected = np.roll(samples, -FIRST_DOWNBEAT, axis=0)
    assert np.vdot(back, expected) > 0.5 * np.vdot(expected, expected)


@pytest.mark.tools
def test_lossy_files_are_whole_to_other_readers(loop: Loop, folder: Path) -> None:
    ogg, mp3 = saved(loop, folder / "a.ogg").path, saved(loop, folder / "a.mp3").path
    assert len(by_ffmpeg(ogg)) == int(run("sox", "--i", "-s", ogg)) == FRAMES
    assert probed(mp3)["format"]["format_name"] == "mp3"
    assert abs(len(by_ffmpeg(mp3)) - FRAMES) < 2_500


def test_a_piece_is_saved_as_the_section_that_sounds_and_never_as_a_fill(
    loop: Loop, samples: Audio, folder: Path
) -> None:
    sections = (
        Section(label="fill", start=0, end=24_000, bars=1),
        Section(label="A", start=48_000, end=FRAMES, bars=4),
        Section(label="B", start=24_000, end=48_000, bars=4),
    )
    piece = replace(loop, grid=None, sections=sections)
    for label, part in (("", samples[48_000:]), ("B", samples[24_000:48_000]), ("fill", samples[48_000:])):
        done = saved(piece, folder / f"{label}.wav", section=label)
        np.testing.assert_array_equal(soundfile.read(done.path, dtype="float32")[0], part)


def test_a_loop_is_as_loud_as_it_is_played(loop: Loop, samples: Audio, folder: Path) -> None:
    done = saved(replace(loop, lufs=-16.0), folder / "a.wav", loudness=-22.0)
    back, _ = soundfile.read(done.path, dtype="float32")
    np.testing.assert_allclose(back, np.roll(samples, -FIRST_DOWNBEAT, axis=0) * 10 ** (-6 / 20), atol=2.0**-23)


def test_passes_follow_one_another_and_fades_begin_and_end_in_silence(loop: Loop, samples: Audio) -> None:
    one = one_pass(samples, loop)
    passes = np.concatenate(list(repeated(one, 3)))
    np.testing.assert_array_equal(passes, np.tile(one, (3, 1)))
    frames = 2 * FRAMES
    ended = np.concatenate(list(faded(cut(repeated(one, 3), frames), frames, 4_800, 9_600)))
    assert len(ended) == frames
    np.testing.assert_array_equal(ended[4_800 : frames - 9_600], passes[4_800 : frames - 9_600])
    gain = np.abs(ended) / np.maximum(np.abs(passes[:frames]), 1e-9)
    assert gain[:10].max() < 1e-4 > gain[-10:].max()
    assert np.abs(np.diff(gain[:4_800, 0])).max() < 1e-3


@bounds(max_examples=20, deadline=None)
@given(some.integers(1, 40), some.lists(some.integers(1, 30), min_size=1, max_size=6), some.integers(0, 30))
def test_fades_do_not_depend_on_how_the_sound_is_cut(fade: int, cuts: list[int], more: int) -> None:
    whole = np.ones((sum(cuts) + more, 2), np.float32)
    edges = np.cumsum(cuts)[:-1] if not more else np.cumsum(cuts)
    parts = list(faded(np.split(whole, edges), len(whole), fade, fade))
    (once,) = faded([whole], len(whole), fade, fade)
    np.testing.assert_allclose(np.concatenate(parts), once, atol=1e-7)


def test_the_first_section_that_is_more_than_a_fill(loop: Loop) -> None:
    assert section_of(loop) is None
    only = replace(loop, sections=(Section(label="fill", start=0, end=100, bars=1),))
    assert section_of(only) == only.sections[0]


# -- what it says -----------------------------------------------------------------------------------------------------


def test_a_wav_says_how_it_loops(loop: Loop, folder: Path) -> None:
    found = chunks(saved(loop, folder / "a.wav").path)
    assert struct.unpack_from("<I", found["cue "])[0] == 2
    root, flags = struct.unpack_from("<H", found["acid"], 4)[0], struct.unpack_from("<I", found["acid"])[0]
    beats, lower, upper, bpm = struct.unpack("<IHHf", found["acid"][12:24])
    assert (beats, lower, upper, bpm) == (4, 4, 4, 120.0)
    assert (flags & 0x06, root) == (0x06, 66)  # F sharp
    assert len(found["acid"]) == 24


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_file_says_what_it_is_and_who_made_it(loop: Loop, generated: Loop, folder: Path, suffix: str) -> None:
    for each, trained in ((loop, "no"), (generated, "yes")):
        recipe = each.recipe
        assert recipe is not None
        path = saved(each, folder / f"{trained}.{suffix}").path
        found = tagged(path)
        assert found["AI_GENERATED"] == trained
        assert found["DISCLOSURE"] == recipe.disclosure
        assert (found["PROMPT"], found["SEED"]) == (recipe.prompt, str(recipe.seed))
        assert found["APPLICATION"].startswith("INFINI LOOP 0.")
        assert found["DIGITALSOURCETYPE"].endswith(
            "/trainedAlgorithmicMedia" if trained == "yes" else "/algorithmicMedia"
        )
        if trained == "yes":
            assert (found["MODEL"], found["MODEL_REVISION"]) == ("small", "4c8334b")
            assert found["WEIGHTS_LICENCE"] == "CC-BY-NC-4.0"
        if suffix in ("flac", "ogg"):
            assert (found["BPM"], found["INITIALKEY"]) == ("120", "F#m")
        else:
            assert (found["TBPM"], found["TKEY"]) == ("120", "F#m")


@pytest.mark.tools
@pytest.mark.parametrize("suffix", FORMATS)
def test_ffprobe_reads_the_same(generated: Loop, folder: Path, suffix: str) -> None:
    told = probed(saved(generated, folder / f"a.{suffix}").path)["tags"]
    assert (told["TITLE"], told["ARTIST"], told["GENRE"]) == ("Amber Street – 雨", "Ada Vale", "lo-fi")
    assert "AI-generated with MusicGen small" in told["COMMENT"]
    assert "seed 9" in told["COMMENT"]


@pytest.mark.tools
@pytest.mark.parametrize("suffix", FORMATS)
def test_every_page_and_frame_passes_its_checksum(loop: Loop, folder: Path, suffix: str) -> None:
    run("ffmpeg", "-v", "error", "-xerror", "-i", saved(loop, folder / f"a.{suffix}").path, "-f", "null", "-")


@pytest.mark.parametrize("suffix", ["flac", "ogg"])
def test_the_loop_comes_first_among_the_comments(loop: Loop, folder: Path, suffix: str) -> None:
    path = saved(loop, folder / f"a.{suffix}").path
    assert list(tagged(path))[:2] == ["LOOPSTART", "LOOPLENGTH"]
    assert loop_points(path) == (0, FRAMES)
    assert b"LOOPLENGTH" in path.read_bytes()[:600]


@bounds(max_examples=15, deadline=None)
@given(some.text(some.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=300), some.booleans())
def test_words_of_any_kind_and_length_come_back(words: str, long: bool) -> None:
    import io

    loop = Loop(loop_id="l", job_id="j", epoch=1, path="-", frames=480, title=words * (200 if long else 1))
    file = io.BytesIO()
    assert encode(file, "ogg", tags_of(loop, 480), [np.zeros((480, 2), np.float32)]) == 480
    packet = comments._packets(comments._header_pages(file))[1]
    assert f"TITLE={loop.title}".encode() in packet or not loop.title
    file.seek(0)
    assert soundfile.info(file).frames == 480


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_of_which_nothing_is_known_says_who_wrote_it(folder: Path, suffix: str) -> None:
    with (folder / f"a.{suffix}").open("w+b") as file:
        encode(file, suffix, Tags(), [np.zeros((4_800, 2), np.float32)])
    assert tagged(folder / f"a.{suffix}")["APPLICATION"].startswith("INFINI LOOP")


def test_what_does_not_loop_has_no_loop_points(loop: Loop, folder: Path) -> None:
    for suffix in ("wav", "flac"):
        with (folder / f"a.{suffix}").open("w+b") as file:
            encode(file, suffix, tags_of(loop, 480, loops=False), [np.zeros((480, 2), np.float32)])
    assert not {"smpl", "cue ", "acid"} & set(chunks(folder / "a.wav"))
    assert "LOOPSTART" not in tagged(folder / "a.flac")


def test_mp3_is_written_with_a_warning(loop: Loop, folder: Path) -> None:
    done = saved(loop, folder / "a.mp3")
    assert done.warning == MP3_WARNING
    assert soundfile.info(done.path).format == "MP3"


@pytest.mark.parametrize("suffix", FORMATS)
def test_minutes_of_sound_are_written_without_holding_them(loop: Loop, folder: Path, suffix: str) -> None:
    block = np.random.default_rng(1).normal(0, 0.05, (RATE, 2)).astype(np.float32)
    seconds = 60 if suffix in ("wav", "flac") else 15

    def blocks() -> Iterator[Audio]:
        for _ in range(seconds):
            yield block

    with (folder / f"a.{suffix}").open("w+b") as file:
        tracemalloc.start()
        encode(file, suffix, tags_of(loop, seconds * RATE, loops=False), blocks())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 4 << 20
    assert soundfile.info(folder / f"a.{suffix}").frames == pytest.approx(seconds * RATE, abs=3_000)


# -- where it goes ----------------------------------------------------------------------------------------------------


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
