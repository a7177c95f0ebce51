"""Settings: precedence, ranges, aliases, and files that cannot be read."""

from pathlib import Path

import pytest

from shared import settings
from shared.errors import SettingError, StoreError
from shared.paths import Paths
from shared.settings.store import set_aside_broken
from shared.settings.watch import SettingsWatch


def test_flag_over_environment_over_file_over_default(paths: Paths) -> None:
    assert settings.load(paths, environment={})[0].player.volume == 70
    settings.change(paths, "volume", "50")
    assert settings.load(paths, environment={})[0].player.volume == 50
    environment = {"INFINILOOP_PLAYER_VOLUME": "40"}
    assert settings.load(paths, environment=environment)[0].player.volume == 40
    assert settings.load(paths, environment=environment, flags={"volume": 30})[0].player.volume == 30


@pytest.mark.parametrize(
    ("key", "given", "kept"),
    [
        ("volume", "0", 0),
        ("volume", 100, 100),
        ("minlength", "4bars", "4bars"),
        ("minlength", "6.5 s", "6.5"),
        ("min-duration", "10s", 10.0),
        ("generator.duration", "30", 30.0),
        ("loudness", "-16 LUFS", -16.0),
        ("backend", "Composer", "composer"),
        ("lan", "on", True),
    ],
)
def test_what_is_allowed_is_kept(paths: Paths, key: str, given: object, kept: object) -> None:
    chosen, value = settings.change(paths, key, given)
    assert value == kept
    loaded, problems = settings.load(paths, environment={})
    assert settings.read_value(loaded, chosen) == kept
    assert problems == []


@pytest.mark.parametrize(
    ("key", "given", "range_named"),
    [
        ("volume", "101", "0 to 100"),
        ("volume", "loud", "0 to 100"),
        ("volume", "50.5", "whole"),
        ("volume", "nan", "0 to 100"),
        ("volume", True, "0 to 100"),
        ("duration", "4.9", "5 to 30 s"),
        ("min_duration", "301", "10 to 300 s"),
        ("min_loop", "0.5", "1 to 20 s"),
        ("min_loop", "40bars", "1 to 32"),
        ("driver", "oss", "pulse, alsa, dsp"),
        ("loudness", "-7", "-30 to -8 LUFS"),
        ("lan", "maybe", "on or off"),
        ("musicgpt", "a\nb", "path"),
    ],
)
def test_what_is_out_of_range_is_refused_with_the_range(
    paths: Paths, key: str, given: object, range_named: str
) -> None:
    with pytest.raises(SettingError, match=range_named):
        settings.change(paths, key, given)
    assert not paths.settings_file.exists()


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(SettingError, match="volume"):
        settings.find_field("volum")


def test_a_bad_line_in_the_file_costs_one_setting(paths: Paths) -> None:
    paths.settings_file.write_text('[player]\nvolume = 400\ndriver = "null"\n[colours]\nsky = 1\n')
    loaded, problems = settings.load(paths, environment={})
    assert (loaded.player.volume, loaded.player.driver) == (70, "null")
    assert any("400" in p and "0 to 100" in p for p in problems)
    assert any("colours" in p for p in problems)


def test_a_corrupt_file_is_set_aside_and_named(paths: Paths) -> None:
    paths.settings_file.write_text("[player\nvolume = ")
    with pytest.raises(StoreError, match="cannot be read"):
        settings.change(paths, "volume", 50)
    assert paths.settings_file.read_text() == "[player\nvolume = "
    sentence = set_aside_broken(paths)
    assert sentence is not None
    aside = paths.settings_file.with_name("settings.toml.broken-1")
    assert str(aside) in sentence
    assert aside.read_text() == "[player\nvolume = "
    settings.change(paths, "volume", 50)
    assert set_aside_broken(paths) is None


def test_comments_and_order_survive_a_change(paths: Paths) -> None:
    written = '# mine\n[player]\n# quiet please\nvolume = 20\n\n[generator]\nbackend = "composer"\n'
    paths.settings_file.write_text(written)
    settings.change(paths, "volume", 30)
    assert paths.settings_file.read_text() == written.replace("20", "30")


def test_every_default_is_allowed() -> None:
    for each in settings.fields():
        assert each.check(each.default) == each.default


def test_every_name_and_alias_means_one_setting() -> None:
    names = [name for each in settings.fields() for name in (each.name, *each.aliases)]
    assert len(names) == len(set(names))


def test_no_part_of_a_write_is_left_behind(paths: Paths) -> None:
    settings.change(paths, "volume", 30)
    assert [p.name for p in Path(paths.config).iterdir()] == ["settings.toml"]


def test_what_a_preset_carries_goes_before_the_file_and_behind_the_environment_until_it_is_taken_back(
    paths: Paths,
) -> None:
    settings.change(paths, "min_duration", 90)
    watch = SettingsWatch(paths, settings.load(paths, environment={})[0])
    settings.carry(paths, {"player.min_duration": 300, "generator.duration": 20})
    assert watch.current().player.min_duration == 300
    variable = {"INFINILOOP_PLAYER_MIN_DURATION": "33"}
    assert settings.load(paths, environment=variable)[0].player.min_duration == 33
    settings.change(paths, "duration", 10)
    assert settings.carried_settings(paths) == {"player.min_duration": 300}
    settings.carry(paths, {})
    chosen = watch.current()
    assert (chosen.player.min_duration, chosen.generator.duration) == (90, 10)
    assert not paths.preset_settings_file.exists()
