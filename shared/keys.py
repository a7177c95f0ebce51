"""The keys by which generators on other machines join this station: CURVE pairs, each in a file for this user alone.

The station has one pair; each guest has a pair of its own, of which the station keeps the public half. Whoever's public
half lies in the folder ``allowed`` gets in. The guest's half travels to the other machine as one *key file* (TOML).
"""

from __future__ import annotations

import contextlib
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from shared.bus import ClientKeys, ServerKeys, new_key_pair
from shared.durable import replace_file
from shared.errors import StoreError, UsageError
from shared.paths import Paths

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_Z85 = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_PRIVATE = 0o600


@dataclass(frozen=True)
class Guest:
    """A generator on another machine that may join."""

    name: str
    public: str
    since: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class KeyFile:
    """What a guest needs to join: the station's public key, its own pair, and the ports."""

    name: str
    server: str
    public: str
    secret: str
    jobs_port: int
    clips_port: int

    @property
    def client_keys(self) -> ClientKeys:
        return ClientKeys(self.server.encode(), self.public.encode(), self.secret.encode())

    def write(self, path: Path) -> None:
        """Write the key file, for this user alone.

        Raises
        ------
        StoreError
            It cannot be written.
        """
        lines = [
            "# The key of a generator that may join an INFINI LOOP station. Whoever has this file can join: keep it.",
            f'name = "{self.name}"',
            f"server = '{self.server}'",
            f"public = '{self.public}'",
            f"secret = '{self.secret}'",
            f"jobs_port = {self.jobs_port}",
            f"clips_port = {self.clips_port}",
        ]
        replace_file(path, ("\n".join(lines) + "\n").encode(), mode=_PRIVATE)

    @classmethod
    def read(cls, path: Path) -> KeyFile:
        """Read a key file.

        Raises
        ------
        StoreError
            It is missing or is not a key file; the sentence says how to get one.
        """
        try:
            given = tomllib.loads(path.read_text("utf-8"))
            keys = [str(given[name]) for name in ("server", "public", "secret")]
            ports = [int(given[name]) for name in ("jobs_port", "clips_port")]
            name = str(given["name"])
        except OSError as error:
            raise StoreError(f"The key file {path} cannot be read ({(error.strerror or '').lower()}).") from error
        except (KeyError, ValueError, TypeError) as error:
            raise _not_a_key(path) from error
        if not all(map(_Z85.fullmatch, keys)) or not all(0 < port < 65_536 for port in ports):
            raise _not_a_key(path)
        return cls(name, keys[0], keys[1], keys[2], ports[0], ports[1])


def server_keys(paths: Paths) -> ServerKeys:
    """The station's own keys and the folder of its guests' public ones; both are made on first use.

    Raises
    ------
    StoreError
        They cannot be written, or were damaged.
    """
    allowed = _allowed(paths)
    path = paths.keys / "station.key"
    if not path.exists():
        _create(path, *(key.decode() for key in new_key_pair()))
    found = _read_certificate(path)
    if "secret-key" not in found or "public-key" not in found:
        raise StoreError(f"The station's key {path} is damaged: move it away, and give every guest a new key.")
    return ServerKeys(found["public-key"].encode(), found["secret-key"].encode(), allowed)


def new_guest(paths: Paths, name: str, jobs_port: int, clips_port: int) -> KeyFile:
    """Let one more generator join.

    Raises
    ------
    UsageError
        The name is taken, or is no name.
    StoreError
        The key cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a key: use up to 40 letters, digits, dots, dashes and underscores.")
    station = server_keys(paths)
    path = station.allowed / f"{name}.key"
    if path.exists():
        raise UsageError(
            f"There is a key named {name} already: choose another name, or `infiniloop keys remove {name}`."
        )
    public, secret = (key.decode() for key in new_key_pair())
    replace_file(path, _certificate(public).encode(), mode=_PRIVATE)
    return KeyFile(name, station.public.decode(), public, secret, jobs_port, clips_port)


def guests(paths: Paths) -> list[Guest]:
    """Everyone who may join, by name."""
    return [
        Guest(path.stem, _read_certificate(path).get("public-key", ""), path.stat().st_mtime)
        for path in sorted(_allowed(paths).glob("*.key"))
    ]


def remove_guest(paths: Paths, name: str) -> None:
    """Let this one join no longer.

    Raises
    ------
    UsageError
        There is no such key.
    """
    path = _allowed(paths) / f"{name}.key"
    if not _NAME.fullmatch(name) or not path.exists():
        names = ", ".join(guest.name for guest in guests(paths)) or "none"
        raise UsageError(f"There is no key named {name!r}: there are {names}.")
    try:
        path.unlink()
    except OSError as error:
        raise StoreError(f"{path} cannot be removed ({(error.strerror or '').lower()}).") from error


def _allowed(paths: Paths) -> Path:
    folder = paths.keys / "allowed"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for each in (paths.keys, folder):
            each.chmod(0o700)
    except OSError as error:
        raise StoreError(f"The folder {folder} cannot be made ({(error.strerror or '').lower()}).") from error
    return folder


def _create(path: Path, public: str, secret: str) -> None:
    """Write the station's pair, unless another process of the station was quicker."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    replace_file(beside, _certificate(public, secret).encode(), mode=_PRIVATE)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({(error.strerror or '').lower()}).") from error
    finally:
        beside.unlink(missing_ok=True)


def _certificate(public: str, secret: str | None = None) -> str:
    """A certificate as ZeroMQ's tools write them (ZPL, rfc.zeromq.org/spec/4)."""
    lines = ["metadata", "curve", f'    public-key = "{public}"']
    if secret is not None:
        lines.append(f'    secret-key = "{secret}"')
    return "\n".join(lines) + "\n"


def _read_certificate(path: Path) -> dict[str, str]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"The key {path} cannot be read: {error}.") from error
    found = dict(re.findall(r'^\s*(public-key|secret-key)\s*=\s*"([^"]*)"', text, re.MULTILINE))
    return {name: key for name, key in found.items() if _Z85.fullmatch(key)}


def _not_a_key(path: Path) -> StoreError:
    return StoreError(f"{path} is not a key file: make one on the station's machine with `infiniloop keys new NAME`.")
