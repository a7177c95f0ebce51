"""Saving from a station that plays: what is in the file is what sounded, bit for bit, and nothing else stops."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from shared.units import STATION_RATE, Audio
from tests.files.controller.saved import TILERS, loop_points, tagged
from tests.pipeline.whole import WholeStation

CHANGED = 6
"""Seconds after which nothing of the song before is heard any more."""


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeStation]:
    """One station without variation that holds one loop without sections: the first one for a prompt."""
    home = tmp_path_factory.mktemp("saving") / "home"
    with WholeStation(home, INFINILOOP_PLAYER_VARIATION="off", INFINILOOP_PLAYER_VOLUME="100") as running:
        running.until(running.is_up, "all five services report")
        assert running.ask("start", "minimal techno, 150 bpm")["ok"]
        assert running.ask("hold", "on")["ok"]
        running.until(lambda: running.playing.bridge and running.playing.epoch == 2, "the prompt's first loop")
        running.until(lambda: running.player.song_frames > CHANGED * STATION_RATE, "the change is over")
        running.samples = []  # from within the song's first pass on: the first two are the loop as it is
        yield running


def grid(audio: Audio) -> Audio:
    return np.rint(audio * 2.0**23).astype(np.int64)  # type: ignore[return-value]


def recorded(station: WholeStation) -> Audio:
    """What the tap gave since it is listened to, without a gap."""
    assert station.samples is not None
    numbers = [number for number, _ in station.samples]
    assert all(later == earlier + 1 for earlier, later in pairwise(numbers))
    return np.concatenate([samples for _, samples in station.samples])


def place_of(piece: Audio, whole: Audio) -> int:
    """Where ``piece`` lies in ``whole``, both on the grid; where it does not lie as a whole, its first frames."""
    start = piece[:4_800]
    alike = np.flatnonzero((whole[: len(whole) - len(start)] == start[0]).all(axis=1))
    places = [int(at) for at in alike if np.array_equal(whole[at : at + len(start)], start)]
    assert places, "it does not sound there"
    # A loop comes back, and its first frames with it: the place is the one from which all of it sounds.
    return next((at for at in places if np.array_equal(whole[at : at + len(piece)], piece)), places[0])


@pytest.mark.parametrize("by", TILERS)
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_saved_file_tiled_by_another_program_is_what_sounded(
    station: WholeStation, suffix: str, by: Callable[[Path, int, int, int], Audio]
) -> None:
    target = station.home.parent / "mein Ordner é" / f"mein Lied ä.{suffix}"
    done = station.ask("save", f"{target.parent.name}/{target.name}", "--force")  # from the caller's folder
    assert done["path"] == str(target)
    start, frames = loop_points(target)
    assert frames == done["frames"]
    most = round(1.3 * frames)
    station.until(lambda: len(station.samples or ()) * 960 > most, "more than one pass of the loop")
    heard, tiled = grid(recorded(station)[:most]), grid(by(target, start, frames, 3))
    offset = place_of(heard, tiled)
    assert offset < frames
    np.testing.assert_array_equal(heard, tiled[offset : offset + most])


def test_every_form_is_written_while_the_music_goes_on(station: WholeStation) -> None:
    folder = station.home.parent / "forms"
    controller = station.statuses["controller"].rss_bytes
    one = station.ask("save", "forms/one.ogg")["frames"]
    assert loop_points(folder / "one.ogg") == (0, one)
    station.ask("save", "forms/three.flac", "--passes", "3")
    assert loop_points(folder / "three.flac") == (0, 3 * one)
    station.ask("save", "forms/minute.mp3", "--minutes", "1", "--fade")
    assert soundfile.info(folder / "minute.mp3").duration == pytest.approx(60, abs=0.1)
    warned = station.ask("save", "forms/one.mp3")
    assert "cannot loop without a gap" in warned["text"]
    conformed = station.ask("save", "forms/studio.wav", "--conform")
    assert conformed["bpm"] == round(conformed["bpm"])
    named = Path(station.ask("save", "forms/")["path"])
    assert named.parent == folder
    assert "bpm" in named.name
    for path in folder.iterdir():
        assert tagged(path)["AI_GENERATED"] == "no"
    assert station.gaps() == 0
    station.until(lambda: station.statuses["controller"].rss_bytes < controller + (8 << 20), "a small controller", 5)


def test_a_second_after_a_change_the_late_ears_have_the_right_loops(station: WholeStation) -> None:
    station.until(lambda: station.controller.library_loops >= 1, "a fresh loop in the library")
    station.samples = []
    station.until(lambda: len(station.samples or ()) > 300, "more than is asked for below")
    assert station.ask("hold", "off")["ok"]
    for _ in range(2):
        heard = len(station.heard)
        station.cli("skip")
        station.until(lambda before=heard: len(station.heard) > before, "a change of song")  # type: ignore[misc]
        station.watch(1.0)
        before, now = station.heard[-2].loop_id, station.playing.loop_id
        asked = len(station.samples) * 960
        last = station.ask("save", "last.flac", "--last", "4s", "--force")
        answered = len(station.samples) * 960
        previous = station.ask("save", "before.wav", "--previous", "--force")
        assert previous["loop_id"] == before
        assert station.ask("save", "now.wav", "--force")["loop_id"] == now
        assert now in [song["loop_id"] for song in last["songs"]]
        saved, _ = soundfile.read(last["path"], dtype="float32", always_2d=True)
        whole = grid(recorded(station))
        begin = place_of(grid(saved), whole)
        # It ends at the moment at which the command began, between when it was called and when it answered.
        assert asked - STATION_RATE // 2 < begin + len(saved) < answered + STATION_RATE // 2
        np.testing.assert_array_equal(grid(saved), whole[begin : begin + len(saved)])


def test_what_was_heard_is_there_when_less_was_heard_than_asked(station: WholeStation) -> None:
    done = station.ask("save", "long.wav", "--last", "10m")
    assert done["seconds"] < 600
    assert "No more than this is kept" in done["text"]
    assert soundfile.info(station.home.parent / "long.wav").frames == done["frames"]
    assert tagged(station.home.parent / "long.wav")["TIT2"].startswith("Heard ")


def test_a_killed_save_leaves_the_old_file_or_none(station: WholeStation) -> None:
    """Killed at random moments of a long save."""
    dice, folder = random.Random(7), station.home.parent / "killed"
    folder.mkdir()
    old, new = folder / "old.wav", folder / "new.wav"
    old.write_text("dear")
    for target in (old, new, old, new):
        process = subprocess.Popen(
            (sys.executable, "-m", "services", "save", str(target), "--passes", "40", "--force"),
            env=station.environment,
            stdout=subprocess.DEVNULL,
        )
        station.until(lambda: any(folder.glob(".infiniloop-*.part")), "the save has begun", 30)
        station.watch(dice.uniform(0.0, 0.2))
        process.kill()
        process.wait()
    assert old.read_text() == "dear"
    assert not new.exists()
    station.ask("save", str(new))
    assert {path.name for path in folder.iterdir()} == {"old.wav", "new.wav"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("old.txt",), 2, "wav, flac, ogg, mp3"),
        (("a.wav", "--passes", "0"), 2, "passes"),
        (("a.wav", "--minutes", "ten"), 2, "minutes"),
        (("a.wav", "--minutes", "nan"), 2, "must be a number"),
        (("a.wav", "--minutes", "2", "--passes", "2"), 2, "not both"),
        (("a.wav", "--last", "soon"), 2, "10m"),
        (("a.wav", "--last", "1m", "--stems"), 2, "--last"),
        (("x" * 260 + ".wav",), 1, "too long"),
        (("/proc/a.wav",), 1, "cannot be written"),
        (("/dev/null",), 1, "not an ordinary file"),
        (("there.wav",), 1, "--force"),
        ((), 2, "FILE"),
    ],
)
def test_what_is_wrong_is_one_sentence(station: WholeStation, words: tuple[str, ...], code: int, said: str) -> None:
    (station.home.parent / "there.wav").write_text("dear")
    before = sorted(station.home.parent.iterdir())
    done = station.cli("save", *words)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert sorted(station.home.parent.iterdir()) == before
    assert (station.home.parent / "there.wav").read_text() == "dear"


def test_a_full_disk_is_one_sentence_and_the_music_goes_on(station: WholeStation) -> None:
    done = subprocess.run(
        ("sh", "-c", f"ulimit -f 200; exec {sys.executable} -m services save full.wav"),
        env=station.environment,
        cwd=station.home.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "free some space" in done.stderr
    assert not (station.home.parent / "full.wav").exists()
    assert station.gaps() == 0


def test_what_was_heard_outlives_the_station(station: WholeStation) -> None:
    assert station.cli("shutdown").returncode == 0
    assert station.ask("save", "after.ogg", "--last", "5s")["seconds"] == 5
    done = station.cli("save", "no.wav")
    assert (done.returncode, "infiniloop start" in done.stderr) == (4, True)
