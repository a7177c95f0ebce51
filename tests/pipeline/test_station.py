"""The whole station, real processes over ipc: music at once, fresh loops, words heard, killed services healed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from shared.topology import SERVICES
from tests.pipeline.whole import AUDIBLE, QUICK, WholeStation, gone


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeStation]:
    """One station for all tests of this module; each takes it as it finds it."""
    with WholeStation(tmp_path_factory.mktemp("station") / "home") as running:
        running.until(running.is_up, "all five services report")
        yield running


def test_music_sounds_at_once_and_a_fresh_loop_follows(station: WholeStation) -> None:
    station.until(lambda: any(peak > AUDIBLE for _, peak in station.blocks), "sound on the tap")
    assert station.heard[0].startup or station.heard[0].recipe is not None
    station.until(station.plays_fresh, "a loop that was composed here")
    assert station.balances()
    assert station.gaps() == 0


def test_a_new_prompt_is_heard_without_a_gap_and_the_old_is_kept(station: WholeStation) -> None:
    station.until(lambda: station.controller.accepted >= 1, "a loop of the first prompt")
    kept, epoch = station.controller.library_loops, station.controller.epoch
    assert station.ask("start", f"{QUICK} at night")["ok"]
    station.until(lambda: station.controller.epoch == epoch + 1, "the prompt's epoch")
    station.until(lambda: station.playing.epoch == epoch + 1, "a loop for the new prompt")
    loop = station.playing
    assert loop.recipe is not None
    assert loop.recipe.prompt == f"{QUICK} at night"
    assert station.controller.library_loops > kept
    assert station.gaps() == 0


@pytest.mark.parametrize("service", ["generator", "analyzer", "controller", "dashboard"])
def test_a_killed_service_is_healed_and_the_music_goes_on(station: WholeStation, service: str) -> None:
    station.until(station.is_up, "all five services report")
    before, heard, accepted = station.statuses[service].pid, len(station.heard), station.controller.accepted
    family = station.kill(service)
    station.until(lambda: station.statuses[service].pid != before, f"{service} is back")
    assert gone(family, 2.0) == []
    station.cli("skip")
    station.until(lambda: station.controller.accepted > accepted, "a new loop is made")
    station.until(lambda: station.plays_fresh(after=heard), "a song changes")
    station.until(station.balances, "the lease table balances")
    assert station.controller.lost == 0
    assert station.gaps() == 0


def test_a_killed_player_sounds_again(station: WholeStation) -> None:
    before = station.statuses["player"].pid
    station.kill("player")
    station.blocks.clear()
    station.until(lambda: any(peak > AUDIBLE for _, peak in station.blocks), "sound again")
    station.until(lambda: station.statuses["player"].pid != before, "the player is back")
    station.blocks.clear()


def test_pause_and_stop_are_silent_and_survive_the_controller(station: WholeStation) -> None:
    station.until(lambda: station.player.playing, "it plays")
    for word, back in (("pause", "resume"), ("stop", "start")):
        assert station.ask(word)["ok"]
        station.until(lambda: not station.player.playing, f"{word} is heard by the player")
        pid = station.statuses["controller"].pid
        station.kill("controller")
        station.until(lambda before=pid: station.statuses["controller"].pid != before, "the controller is back")
        station.blocks.clear()
        station.until(lambda: [p for _, p in station.blocks[-20:]] == [0.0] * 20, f"silence by {word}")
        assert station.ask(back)["ok"]
        station.until(lambda: station.blocks[-1][1] > AUDIBLE, f"sound by {back}")
    station.blocks.clear()


def test_what_plays_is_saved_exactly_where_it_was_said(station: WholeStation) -> None:
    station.until(station.plays_fresh, "a loop that was composed here")
    target = station.home.parent / "mein Lied ä.wav"
    saved = station.ask("save", str(target))
    samples, rate = soundfile.read(target, dtype="float32", always_2d=True)
    assert (len(samples), rate) == (saved["frames"], 48_000)
    assert np.abs(samples).max() > 0.01
    again = station.cli("save", target.name)
    assert again.returncode == 1
    assert "--force" in again.stderr
    assert len(soundfile.read(target)[0]) == len(samples)


def test_settings_take_effect_at_once_and_are_kept(station: WholeStation) -> None:
    assert station.ask("volume", "31")["ok"]
    station.until(lambda: station.player.volume == 31, "the player's volume")
    assert "volume = 31" in station.paths.settings_file.read_text()
    refused = station.cli("set", "volume", "300")
    assert refused.returncode == 2
    assert "0 to 100" in refused.stderr
    station.until(lambda: station.controller.volume == 31, "the volume stays")


def test_the_status_says_what_plays_and_why_it_waits(station: WholeStation) -> None:
    station.until(lambda: station.controller.waiting, "the station says what it waits for")
    report = station.ask("status")
    assert report["now"]["loop_id"]
    assert report["jobs"]["balances"]
    assert set(report["services"]) >= set(SERVICES) - {"controller"}
    words = station.cli("status")
    assert words.returncode == 0
    assert report["prompt"] in words.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("start", ""), 2, "empty"),
        (("start", "x" * 10_000), 2, "2,000"),
        (("start", "-dark techno"), 2, "comes after --"),
        (("start", "--colour"), 2, "--help"),
        (("shutdwn",), 2, "shutdown"),
        (("set", "volum", "3"), 2, "volume"),
        (("start", "--backend", "magic", "x"), 2, "composer"),
        (("start", "--preset", "no-such-thing"), 2, "preset"),
        (("station",), 1, "already runs"),
        (("precheck",), 1, "already runs"),
        (("hold", "perhaps"), 2, "on"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_nothing_stops(
    station: WholeStation, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = station.cli(*arguments)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert station.launcher is not None
    assert station.launcher.poll() is None


def test_shutdown_ends_every_process(tmp_path: Path) -> None:
    with WholeStation(tmp_path / "home") as station:
        station.until(station.is_up, "all five services report")
        family = station.family()
        assert station.cli("shutdown").returncode == 0
        assert gone(family, 5.0) == []
        done = station.cli("status", "--json")
        assert (done.returncode, "infiniloop start" in done.stderr) == (4, True)


def test_a_launcher_that_is_killed_takes_its_station_with_it(tmp_path: Path) -> None:
    with WholeStation(tmp_path / "home") as station:
        station.until(station.is_up, "all five services report")
        family = station.family()
        assert station.launcher is not None
        station.launcher.send_signal(signal.SIGKILL)
        station.launcher.wait(5)
        assert gone(family, 6.0) == []


def test_a_long_home_and_broken_settings_are_no_hindrance(tmp_path: Path) -> None:
    home = tmp_path / ("h" * (150 - len(str(tmp_path)) - 1) if len(str(tmp_path)) < 149 else "home")
    assert len(str(home)) >= 149
    (home / "config").mkdir(parents=True)
    (home / "config" / "settings.toml").write_text("[player\nvolume = ")
    with WholeStation(home) as station:
        station.until(station.is_up, "all five services report")
        station.until(lambda: any(peak > AUDIBLE for _, peak in station.blocks), "sound")
        aside = next((home / "config").glob("settings.toml.broken-*"))
        assert str(aside) in station.controller.note
        assert station.ask("volume", "44")["ok"]
        assert "volume = 44" in (home / "config" / "settings.toml").read_text()
        assert station.cli("shutdown").returncode == 0
