"""The library: what comes in comes back, whatever happens to its file or its folder in between."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from services.controller.library import DISLIKED, LIKED, Library, Query, keep_audio, library_file, open_library
from services.controller.library.entry import audio_file, fold, wish_of
from services.controller.library.opening import read_verdicts, write_verdicts
from services.controller.library.repair import repair
from shared.audio_files import read_audio, write_wav
from shared.errors import AudioFileError, StoreError, UsageError
from shared.music import Loop, Recipe
from shared.paths import Paths
from tests.unit.controller.conftest import a_loop

FRAMES = 4_800


@pytest.fixture
def library(paths: Paths) -> Library:
    return open_library(paths)[0]


def sound(paths: Paths, loop_id: str, **more: object) -> Loop:
    """A loop whose audio is in the cache."""
    path = paths.loops / f"{loop_id}.wav"
    samples = np.random.default_rng(len(loop_id)).uniform(-1, 1, (FRAMES, 2)).astype(np.float32)
    write_wav(path, samples, 48_000)
    return a_loop(loop_id, path=str(path), frames=FRAMES, **more)


def keep(library: Library, loop: Loop, at: float = 1.0) -> Loop:
    """Have the library take a loop and its audio."""
    library.add(loop, at)
    kept = keep_audio(loop, library.folder, free_wanted=0)
    assert kept is not None
    library.kept(loop.loop_id, kept.bytes)
    return kept.loop


def titles(library: Library, words: str = "", **more: bool) -> list[str]:
    return [entry.title for entry in library.search(Query(words=words, **more))[0]]  # type: ignore[arg-type]


def test_a_loop_comes_in_once_and_comes_back_as_it_was(paths: Paths, library: Library) -> None:
    loop = sound(paths, "l1", title="Amber Street")
    library.add(loop, 1.0)
    library.add(loop, 2.0)
    library.heard("l1", 3.0)
    assert (library.extent().loops, library.last_epoch()) == (1, 1)
    library.close()
    library, note = open_library(paths)
    assert (library.shelf(), note) == ([loop], "")
    ((at, entry),) = library.history(10)
    assert (at, entry.title, entry.plays, entry.heard) == (3.0, "Amber Street", 1, 3.0)
    library.gone(["l1"])
    assert (library.shelf(), library.extent().stored, library.record("l1")) == ([], 0, loop)
    library.close()


def test_kept_audio_is_the_cached_audio_bit_for_bit(paths: Paths, library: Library) -> None:
    loop = sound(paths, "l1", title="Straße – 雨")
    kept = keep(library, loop)
    (before, rate), (after, kept_rate) = read_audio(Path(loop.path)), read_audio(Path(kept.path))
    assert rate == kept_rate
    assert np.array_equal(before, after)
    assert soundfile.info(kept.path).subtype == "PCM_24"
    Path(loop.path).unlink()
    assert library.shelf() == [kept]


def test_a_cut_off_file_is_not_kept(paths: Paths, library: Library) -> None:
    loop = sound(paths, "l1")
    Path(loop.path).write_bytes(Path(loop.path).read_bytes()[:600])
    with pytest.raises(AudioFileError, match="cut off"):
        keep_audio(loop, library.folder, free_wanted=0)
    assert not list(library.folder.glob("*.flac"))
    assert not list(library.folder.glob(".*.part"))


def test_nothing_is_stored_where_the_disk_is_short(paths: Paths, library: Library) -> None:
    assert keep_audio(sound(paths, "l1"), library.folder, free_wanted=1 << 60) is None
    assert not list(library.folder.glob("*.flac"))


def test_codes_come_along_so_that_the_loop_can_be_continued(paths: Paths, library: Library) -> None:
    codes = paths.clips / "job-l1.npz"
    codes.write_bytes(b"codes")
    kept = keep(library, sound(paths, "l1", codes_path=str(codes)))
    codes.unlink()
    (shelved,) = library.shelf()
    assert shelved.codes_path == kept.codes_path == str(library.folder / "job-l1.npz")
    assert [file.exists() for file in library.files_of("l1")] == [True, True]


@pytest.mark.parametrize("words", [True, False])
def test_a_search_finds_beginnings_of_words_whatever_their_case_order_and_accents(paths: Paths, words: bool) -> None:
    library, _ = open_library(paths, words=words)
    made = Recipe(prompt="Solo piano in the RAIN, café at 3 a.m.", backend="composer", seed=1)
    library.add(a_loop("l1", title="Amber Street", recipe=made), 1.0)
    library.add(a_loop("l2", title="Quiet Harbour", genre="techno"), 2.0)
    for found in ("pian rai", "CAFE", "café", "amber piano", "3"):
        assert titles(library, found) == ["Amber Street"], found
    assert titles(library) == ["Quiet Harbour", "Amber Street"]
    assert titles(library, "iano") == titles(library, 'techno "" piano') == []
    for odd in ("AND OR NOT", "techno*piano", "tech'no", "NEAR(a b)", "title:x", "^ambers", "-amberx"):
        assert titles(library, odd) == [], odd
    for nothing in ('"', "%", "_ *"):
        with pytest.raises(UsageError, match="no word to look for"):
            library.search(Query(words=nothing))


@settings(max_examples=12, deadline=None)
@given(st.lists(st.text("abé ß雨1_%'\"*", max_size=8), max_size=6), st.text("abé ß雨1_%'\"*", min_size=1, max_size=5))
def test_with_and_without_an_index_of_words_a_search_finds_the_same(names: list[str], wanted: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        paths = Paths.under(Path(folder))
        paths.create()
        found = []
        for words in (True, False):
            library, _ = open_library(paths, words=words)
            for number, title in enumerate(names):
                library.add(a_loop(f"l{number}", title=title), 1.0)
            if fold(wanted):
                found.append(titles(library, wanted))
            library.close()
        assert not found or found[0] == found[1]


def test_searches_are_narrowed_and_paged(library: Library) -> None:
    free = Recipe(prompt="a", backend="composer", disclosure="composed by rules, no AI model; free to use")
    made = Recipe(prompt="b", backend="musicgen", model="musicgen-small", weights_licence="CC-BY-NC-4.0")
    library.add(a_loop("l1", title="Free", recipe=free), 1.0)
    library.add(a_loop("l2", title="Bound", recipe=made), 2.0)
    library.add(a_loop("l3", title="Unknown", recipe=None), 3.0)
    library.judge(2, LIKED)
    library.judge(3, DISLIKED)
    assert titles(library, free=True) == ["Free"]
    assert titles(library, liked=True) == ["Bound"]
    assert titles(library, disliked=True) == ["Unknown"]
    entries, more = library.search(Query(limit=2))
    assert ([entry.number for entry in entries], more) == ([3, 2], True)
    entries, more = library.search(Query(limit=2, skip=2))
    assert ([entry.number for entry in entries], more) == ([1], False)
    with pytest.raises(UsageError, match="1 to 1000"):
        library.search(Query(limit=0))


def test_a_loop_is_found_by_number_name_and_title(library: Library) -> None:
    for number in (1, 2):
        library.add(a_loop(f"1-{number}-ab", title="Amber Street"), 1.0)
    library.add(a_loop("1-3-ab", title="Café, Dawn"), 1.0)
    assert {library.find(name).number for name in ("3", "#3", "1-3-ab", "cafe dawn", " Café, Dawn ")} == {3}
    with pytest.raises(UsageError, match=r"#2, #1"):
        library.find("amber street")
    for wrong in ("99", "#", "", "amber", "x" * 500, "9" * 40):
        with pytest.raises(UsageError):
            library.find(wrong)


def test_what_is_disliked_is_never_offered_again_and_what_was_heard_lately_not_soon(
    paths: Paths, library: Library
) -> None:
    for name in ("l1", "l2", "l3"):
        library.add(sound(paths, name), 1.0)
    library.judge(2, DISLIKED)
    library.heard("l3", 50.0)
    assert [loop.loop_id for loop in library.shelf()] == ["l1", "l3"]
    assert [entry.loop_id for entry in library.likely(wish_of("Calm!"), "", 49.0, 10)] == ["l1"]


@pytest.mark.parametrize("damage", [b"this is no database at all" * 200, b"SQLite format 3\0" + b"\xff" * 9000])
def test_a_damaged_library_is_set_aside_and_the_loops_and_favourites_come_back(paths: Paths, damage: bytes) -> None:
    library, _ = open_library(paths)
    kept = [keep(library, sound(paths, name, title=name.upper()), 1.0) for name in ("l1", "l2")]
    library.judge(library.find("l2").number, LIKED)
    write_verdicts(library)
    library.close()
    library_file(paths).write_bytes(damage)
    library, note = open_library(paths)
    aside = next(paths.library.glob("library.sqlite.broken-*"))
    assert str(aside) in note
    assert aside.read_bytes() == damage
    assert sorted(library.shelf(), key=lambda loop: loop.loop_id) == kept
    assert library.verdicts() == {"l2": LIKED}
    library.close()


def test_a_library_that_cannot_be_begun_is_one_sentence(paths: Paths) -> None:
    library_file(paths).mkdir()
    with pytest.raises((StoreError, sqlite3.Error), match=r"library|open"):
        open_library(paths)


def test_a_library_of_a_newer_station_is_left_alone(paths: Paths) -> None:
    library, _ = open_library(paths)
    library.close()
    with sqlite3.connect(library_file(paths)) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="newer version"):
        open_library(paths)


def test_the_first_version_s_loops_are_carried_over(paths: Paths) -> None:
    loop = sound(paths, "l1", title="Amber Street")
    with sqlite3.connect(library_file(paths)) as db:
        db.executescript(
            "CREATE TABLE loops (loop_id TEXT PRIMARY KEY, added REAL, epoch INTEGER, prompt TEXT, backend TEXT, "
            "title TEXT, artist TEXT, genre TEXT, bpm REAL, key TEXT, frames INTEGER, liked INTEGER, plays INTEGER, "
            "path TEXT, record BLOB) WITHOUT ROWID; CREATE INDEX loops_by_age ON loops (added);"
            "CREATE TABLE history (at REAL NOT NULL, loop_id TEXT NOT NULL);"
            "CREATE INDEX history_by_time ON history (at); PRAGMA user_version = 1;"
        )
        row = ("l1", 1.0, 1, "calm", "composer", "Amber Street", "", "", 80, "Am", 480_000, 1, 2, loop.path)
        db.execute(f"INSERT INTO loops VALUES ({'?,' * 14}?)", (*row, msgspec.msgpack.encode(loop)))
        db.execute("INSERT INTO history VALUES (5.0, 'l1')")
    db.close()
    library, note = open_library(paths)
    assert (note, library.shelf(), titles(library, "amber")) == ("", [loop], ["Amber Street"])
    ((at, entry),) = library.history(9)
    assert (at, entry.verdict, entry.plays, entry.heard) == (5.0, LIKED, 2, 5.0)
    library.close()


def test_after_a_crash_library_and_folder_agree_again(paths: Paths, library: Library) -> None:
    lost, found = (keep(library, sound(paths, name)) for name in ("lost", "found"))
    strange = library.folder / "mine.flac"
    strange.write_bytes(b"not a loop")
    half = library.folder / ".l9.flac.4711.part"
    half.write_bytes(b"half")
    Path(lost.path).unlink()
    library.forget(library.find("found").number)
    done = repair(library, {"found": LIKED})
    assert (done.missing, done.found, done.swept) == (1, 1, 1)
    assert library.shelf() == [found]
    assert library.find("found").verdict == LIKED
    assert strange.exists()
    assert not half.exists()
    assert not repair(library, {})


def test_a_kept_file_whose_crash_came_before_its_entry_is_named(paths: Paths, library: Library) -> None:
    loop = sound(paths, "l1")
    library.add(loop, 1.0)
    assert keep_audio(loop, library.folder, free_wanted=0)
    assert repair(library, {}).found == 1
    assert library.shelf()[0].path == str(audio_file(library.folder, "l1"))


def test_what_the_listener_thinks_lies_beside_the_library(library: Library) -> None:
    library.add(a_loop("l1"), 1.0)
    library.judge(1, DISLIKED)
    write_verdicts(library)
    assert read_verdicts(library.folder) == {"l1": DISLIKED}
    assert read_verdicts(library.folder / "nowhere") == {}


def test_what_is_asked_often_is_answered_from_an_index(library: Library) -> None:
    seen: list[str] = []
    library._db.set_trace_callback(seen.append)
    library.extent()
    library.stored()
    library.waiting(4)
    library.verdicts()
    library.search(Query(words="a", liked=True))
    library.search(Query(words="a", disliked=True))
    library.likely("a b", "c", 1.0, 9)
    library._db.set_trace_callback(None)
    for sql in seen:
        if sql.startswith("SELECT"):
            plan = " ".join(row[3] for row in library._db.execute(f"EXPLAIN QUERY PLAN {sql}"))
            assert "SCAN loops" not in plan or "INDEX" in plan, (sql, plan)
