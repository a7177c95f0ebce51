"""Where everything lies. All paths are functions of one root or of the XDG directories; nothing is read at import."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.errors import StoreError

APPLICATION = "infiniloop"
SOCKET_PATH_LIMIT = 90
"""Bytes. The kernel takes 107; ZeroMQ and the file's own name need room."""
_LONGEST_SOCKET_NAME = len("/status-in.sock")


@dataclass(frozen=True)
class Paths:
    """The five XDG folders of a station, and what lies in them."""

    config: Path
    data: Path
    cache: Path
    state: Path
    runtime: Path
    """Locks; also the sockets, where their paths are short enough."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Paths:
        """The paths that this environment asks for: ``INFINILOOP_HOME`` puts all of them under one folder."""
        environment = os.environ if environment is None else environment
        if home := environment.get("INFINILOOP_HOME"):
            return cls.under(Path(home).expanduser().absolute())
        import platformdirs

        directories = platformdirs.PlatformDirs(APPLICATION, appauthor=False)
        return cls(
            config=directories.user_config_path,
            data=directories.user_data_path,
            cache=directories.user_cache_path,
            state=directories.user_state_path,
            runtime=_xdg_runtime(environment) or _private_directory(f"{APPLICATION}-{os.getuid()}"),
        )

    @classmethod
    def under(cls, root: Path) -> Paths:
        return cls(root / "config", root / "data", root / "cache", root / "state", root / "runtime")

    @property
    def sockets(self) -> Path:
        """Folder of the sockets: the runtime folder, or a short private one where that path is too long."""
        if len(os.fsencode(self.runtime)) + _LONGEST_SOCKET_NAME <= SOCKET_PATH_LIMIT:
            return self.runtime
        import hashlib  # brings OpenSSL along, 4 MB, which the player need not hold

        digest = hashlib.sha256(os.fsencode(self.runtime)).hexdigest()[:12]
        return _private_directory(f"{APPLICATION}-{os.getuid()}-{digest}")

    @property
    def settings_file(self) -> Path:
        return self.config / "settings.toml"

    @property
    def preset_settings_file(self) -> Path:
        """What the preset that plays has set, over the listener's own."""
        return self.state / "preset.toml"

    @property
    def clips(self) -> Path:
        return self.cache / "clips"

    @property
    def loops(self) -> Path:
        return self.cache / "loops"

    @property
    def transitions(self) -> Path:
        return self.cache / "transitions"

    @property
    def heard(self) -> Path:
        """The last minutes of what was heard (``shared.heard``)."""
        return self.cache / "heard"

    @property
    def library(self) -> Path:
        return self.data / "library"

    @property
    def statistics_file(self) -> Path:
        return self.data / "statistics.sqlite"

    @property
    def models(self) -> Path:
        return self.data / "models"

    @property
    def keys(self) -> Path:
        """CURVE keys for generators on other machines."""
        return self.data / "keys"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def wanted_file(self) -> Path:
        """The last wanted state, written by the controller, read by a player that starts."""
        return self.state / "wanted.msgpack"

    def create(self) -> None:
        """Make every folder; the runtime folder is for this user alone.

        Raises
        ------
        StoreError
            A folder cannot be made; the sentence names it.
        """
        for folder in (
            self.config,
            self.data,
            self.cache,
            self.state,
            self.clips,
            self.loops,
            self.transitions,
            self.heard,
            self.library,
            self.logs,
        ):
            _make(folder, 0o755)
        _make(self.runtime, 0o700)
        _make(self.sockets, 0o700)


def _make(folder: Path, mode: int) -> None:
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder {folder} cannot be made ({error.strerror}): free the path, or set INFINILOOP_HOME to a folder "
            "that you may write to."
        ) from error


def _xdg_runtime(environment: Mapping[str, str]) -> Path | None:
    named = environment.get("XDG_RUNTIME_DIR")
    if not named:
        return None
    folder = Path(named)
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return None
    return folder / APPLICATION


def _private_directory(name: str) -> Path:
    """A folder below the system's temporary one that belongs to this user and that nobody else may enter."""
    import tempfile

    folder = Path(tempfile.gettempdir()) / name
    _make(folder, 0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise StoreError(
            f"{folder} belongs to somebody else or is open to others: "
            "remove it, or set XDG_RUNTIME_DIR to a private folder."
        )
    return folder
