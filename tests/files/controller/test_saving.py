"""Saved loops: exactly one pass, downbeat first; the loop's points where other programs look."""

from __future__ import annotations

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

from services.controller.saving import MP3_WARNING, Tags, encode, tags_of
from services.controller.saving import vorbis as comments
from shared.music import Loop, Section
from shared.units import Audio
from tests.files.controller.saved import (
    FIRST_DOWNBEAT,
    FORMATS,
    FRAMES,
    RATE,
    by_ffmpeg,
    chunks,
    loop_points,
    probed,
    run,
    saved,
    tagged,
    tiled_by_sox,
)

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
    seconds = 30 if suffix in ("wav", "flac") else 15

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
