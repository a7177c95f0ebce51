"""What was heard is on the disk, bit for bit, without its pauses, within its room, whoever is killed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from services.controller.cli.heard import last_heard
from services.dashboard.recorder import Recorder, songs_of
from shared.audio_files import snap_to_grid
from shared.errors import InfiniLoopError
from shared.heard import Song, look_into, pieces, read_piece, write_piece
from shared.messages import ControllerStatus, PlayerStatus
from shared.music import Loop, Recipe
from shared.units import STATION_RATE, TAP_BLOCK, Audio
from tests.full_disk import full_disk

SONG = Song(loop_id="a", title="Amber Street", disclosure="composed by rules", trained=False)
SILENCE: Audio = np.zeros((TAP_BLOCK, 2), np.float32)
PLENTY = 1 << 30


def noise(blocks: int, seed: int = 0) -> Audio:
    drawn = np.random.default_rng(seed).uniform(-0.3, 0.3, (blocks * TAP_BLOCK, 2))
    return snap_to_grid(drawn.astype(np.float32))


def recorder(folder: Path, **changed: object) -> Recorder:
    how = {"minutes": 1, "budget": PLENTY, "free": 0, "songs": lambda: (SONG,), "room": 100} | changed
    return Recorder(folder, **how)  # type: ignore[arg-type]


def feed(recorder: Recorder, audio: Audio, first: int = 0) -> int:
    for number in range(len(audio) // TAP_BLOCK):
        recorder.take(first + number, audio[number * TAP_BLOCK : (number + 1) * TAP_BLOCK])
    return first + len(audio) // TAP_BLOCK


def kept(folder: Path) -> Audio:
    return np.concatenate([read_piece(piece.path) for piece in pieces(folder)])


def test_the_tap_is_kept_bit_for_bit_over_a_restart(tmp_path: Path) -> None:
    first, second = noise(333, 1), noise(57, 2)
    for audio in (first, second):
        keeping = recorder(tmp_path)
        feed(keeping, audio)
        keeping.close()
    np.testing.assert_array_equal(kept(tmp_path), np.concatenate([first, second]))
    assert all(look_into(piece.path)[1] == (SONG,) for piece in pieces(tmp_path))


def test_a_pause_is_left_out_and_a_lost_block_is_silence(tmp_path: Path) -> None:
    before, after = noise(120, 1), noise(120, 2)
    keeping = recorder(tmp_path)
    number = feed(keeping, before)
    number = feed(keeping, np.tile(SILENCE, (500, 1)), number)
    feed(keeping, after[:TAP_BLOCK], number)
    feed(keeping, after[3 * TAP_BLOCK :], number + 3)
    keeping.close()
    heard = kept(tmp_path)
    np.testing.assert_array_equal(heard[: len(before)], before)
    hole = after.copy()
    hole[TAP_BLOCK : 3 * TAP_BLOCK] = 0.0
    np.testing.assert_array_equal(heard[-len(after) :], hole)
    assert len(heard) == len(before) + STATION_RATE + len(after)  # a second of the pause


def test_the_oldest_goes_first_and_the_room_is_kept(tmp_path: Path) -> None:
    keeping = recorder(tmp_path, minutes=0.1, budget=PLENTY)
    feed(keeping, noise(100 * 40))
    keeping.close(30.0)
    numbers = [piece.number for piece in pieces(tmp_path)]
    assert numbers == list(range(40 - 33, 40))  # six seconds and a minute beyond
    keeping = recorder(tmp_path, budget=2_000_000)
    keeping.close()
    assert sum(piece.bytes for piece in pieces(tmp_path)) <= 2_000_000
    assert pieces(tmp_path)[-1].number == 39


def test_nothing_is_kept_where_it_is_not_wanted_or_has_no_room(tmp_path: Path) -> None:
    for how in ({"minutes": 0}, {"free": 1 << 60}):
        keeping = recorder(tmp_path, **how)
        feed(keeping, noise(250))
        keeping.close()
        assert pieces(tmp_path) == []


def test_a_full_disk_leaves_no_half_piece_and_the_next_one_is_kept(tmp_path: Path) -> None:
    with pytest.raises(OSError), full_disk():  # noqa: PT011 - whatever the system says
        write_piece(tmp_path, 1, noise(100), ())
    assert list(tmp_path.iterdir()) == []
    write_piece(tmp_path, 1, noise(100), ())
    assert len(pieces(tmp_path)) == 1


def test_what_is_said_of_a_song_is_what_is_known(tmp_path: Path) -> None:
    recipe = Recipe(prompt="p", backend="musicgen", model="small", disclosure="AI-generated with MusicGen small")
    loop = Loop(loop_id="x", job_id="x", epoch=1, path="-", frames=10, artist="Ada", recipe=recipe)
    states = {"player": PlayerStatus(loop=loop), "controller": ControllerStatus(titles={"x": "Quiet Bay"})}
    (song,) = songs_of(states)  # type: ignore[arg-type]
    assert (song.title, song.artist, song.trained) == ("Quiet Bay", "Ada", True)
    assert songs_of({}) == ()


# -- reading it back --------------------------------------------------------------------------------------------------


def filled(folder: Path, lengths: list[float], ended_at: float) -> Audio:
    """Pieces of these lengths in seconds, the last of which ended at this time."""
    audio = noise(round(sum(lengths) * 50))
    at, clock = 0, ended_at - sum(lengths)
    for number, length in enumerate(lengths):
        frames = round(length * STATION_RATE)
        path = write_piece(folder, number, audio[at : at + frames], (Song(loop_id=f"l{number}"),))
        at, clock = at + frames, clock + length
        os.utime(path, (clock, clock))
    return audio


def test_the_last_seconds_before_the_moment(tmp_path: Path) -> None:
    moment = time.time() - 100.0
    audio = filled(tmp_path, [2.0, 2.0, 2.0, 2.0], moment + 0.5)
    heard = last_heard(tmp_path, 3.0, moment)
    end = len(audio) - STATION_RATE // 2
    np.testing.assert_allclose(
        np.concatenate(list(heard.blocks())), audio[end - 3 * STATION_RATE : end], atol=0, err_msg="the last three"
    )
    assert [song.loop_id for song in heard.songs] == ["l2", "l3"]
    whole = last_heard(tmp_path, 600.0, moment)
    np.testing.assert_array_equal(np.concatenate(list(whole.blocks())), audio[:end])


def test_a_piece_that_is_broken_or_older_than_a_break_is_left_out(tmp_path: Path) -> None:
    moment = time.time() - 100.0
    audio = filled(tmp_path, [2.0, 2.0, 2.0, 2.0], moment)
    paths = [piece.path for piece in pieces(tmp_path)]
    os.utime(paths[0], (moment - 8_000, moment - 8_000))
    paths[2].write_bytes(b"fLaC")
    os.utime(paths[2], (moment - 2, moment - 2))
    heard = np.concatenate(list(last_heard(tmp_path, 600.0, moment).blocks()))
    kept_frames = 2 * STATION_RATE
    np.testing.assert_array_equal(heard, np.concatenate([audio[kept_frames : 2 * kept_frames], audio[-kept_frames:]]))


def test_nothing_heard_is_one_sentence(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InfiniLoopError, match="heard_minutes"):
            last_heard(folder, 10.0, time.time())
