"""Keys for other machines: made once, private, exportable, revocable."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from shared import keys
from shared.errors import StoreError, UsageError
from shared.keys import KeyFile
from shared.paths import Paths


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_stations_keys_are_made_once_and_are_private(paths: Paths) -> None:
    first = keys.server_keys(paths)
    assert keys.server_keys(paths) == first
    assert len(first.public) == len(first.secret) == 40
    assert mode(paths.keys / "station.key") == 0o600
    assert mode(paths.keys) == mode(first.allowed) == 0o700
    assert [path.name for path in paths.keys.iterdir() if path.is_file()] == ["station.key"]


def test_a_guests_key_file_holds_what_it_needs_and_nothing_secret_of_the_station(paths: Paths, tmp_path: Path) -> None:
    made = keys.new_guest(paths, "studio", 8421, 8422)
    made.write(tmp_path / "studio.key")
    assert mode(tmp_path / "studio.key") == 0o600
    assert KeyFile.read(tmp_path / "studio.key") == made
    station = keys.server_keys(paths)
    assert made.server == station.public.decode()
    assert station.secret.decode() not in (tmp_path / "studio.key").read_text()
    assert made.secret not in (station.allowed / "studio.key").read_text()
    assert mode(station.allowed / "studio.key") == 0o600


def test_guests_are_listed_and_removed_by_name(paths: Paths) -> None:
    for name in ("b", "a"):
        keys.new_guest(paths, name, 1, 2)
    assert [guest.name for guest in keys.guests(paths)] == ["a", "b"]
    keys.remove_guest(paths, "a")
    assert [guest.name for guest in keys.guests(paths)] == ["b"]
    with pytest.raises(UsageError, match="there are b"):
        keys.remove_guest(paths, "a")


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "-x", "x" * 41, "a b"])
def test_what_is_no_name_is_refused(paths: Paths, name: str) -> None:
    with pytest.raises(UsageError, match="no name for a key"):
        keys.new_guest(paths, name, 1, 2)
    with pytest.raises(UsageError):
        keys.remove_guest(paths, name)


def test_a_name_is_given_once(paths: Paths) -> None:
    keys.new_guest(paths, "studio", 1, 2)
    with pytest.raises(UsageError, match="already"):
        keys.new_guest(paths, "studio", 1, 2)


@pytest.mark.parametrize(
    "text", ["", "not toml [", "name = 'x'", "name='x'\nserver='a'\npublic='b'\nsecret='c'\njobs_port=1\nclips_port=2"]
)
def test_a_file_that_is_no_key_is_refused_in_words(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.key"
    path.write_text(text)
    with pytest.raises(StoreError, match="infiniloop keys new"):
        KeyFile.read(path)
    with pytest.raises(StoreError, match="cannot be read"):
        KeyFile.read(tmp_path / "missing.key")


def test_a_damaged_station_key_is_named_and_not_overwritten(paths: Paths) -> None:
    keys.server_keys(paths)
    (paths.keys / "station.key").write_text("curve\n")
    with pytest.raises(StoreError, match="damaged"):
        keys.server_keys(paths)
    assert (paths.keys / "station.key").read_text() == "curve\n"
