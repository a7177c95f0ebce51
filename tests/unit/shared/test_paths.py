"""Paths follow the environment; sockets fit into the kernel's limit and nobody else's folder is used."""

import os
from pathlib import Path

import pytest

from shared.errors import StoreError
from shared.paths import SOCKET_PATH_LIMIT, Paths
from shared.topology import CHANNELS


def test_one_home_holds_everything(tmp_path: Path) -> None:
    paths = Paths.from_environment({"INFINILOOP_HOME": str(tmp_path)})
    for folder in (paths.config, paths.data, paths.cache, paths.state, paths.runtime):
        assert folder.parent == tmp_path


@pytest.mark.parametrize("length", [20, 150, 250])
def test_every_socket_path_fits(tmp_path: Path, length: int) -> None:
    paths = Paths.under(tmp_path / ("x" * length))
    paths.create()
    for channel in CHANNELS:
        endpoint = channel.ipc_endpoint(paths).removeprefix("ipc://")
        assert len(os.fsencode(endpoint)) <= SOCKET_PATH_LIMIT
    assert paths.sockets.stat().st_mode & 0o777 == 0o700


def test_two_long_homes_do_not_share_their_sockets(tmp_path: Path) -> None:
    one, other = (Paths.under(tmp_path / ("x" * 150) / name) for name in ("one", "other"))
    assert one.sockets != other.sockets


def test_without_a_runtime_directory_a_private_one_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    paths = Paths.from_environment({"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "missing")})
    assert paths.runtime.parent == tmp_path
    assert paths.runtime.stat().st_mode & 0o777 == 0o700


def test_a_folder_open_to_others_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"infiniloop-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(StoreError, match="open to others"):
        Paths.from_environment({})


def test_a_link_to_elsewhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / f"infiniloop-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="belongs to somebody else"):
        Paths.from_environment({})
