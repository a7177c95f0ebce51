"""The library: every loop that was ever accepted, with its recipe and history. SQLite in WAL mode.

Threads: opened and read in the main thread at the start, from then on used by the disk thread alone.
"""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import msgspec

from shared.durable import set_aside
from shared.errors import StoreError
from shared.music import Loop
from shared.paths import Paths

log = logging.getLogger(__name__)

SHELF = 200
"""Loops that the station keeps at hand."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS loops (
    loop_id TEXT PRIMARY KEY, added REAL NOT NULL, epoch INTEGER NOT NULL, prompt TEXT NOT NULL, backend TEXT NOT NULL,
    title TEXT NOT NULL, artist TEXT NOT NULL, genre TEXT NOT NULL, bpm REAL, key TEXT, frames INTEGER NOT NULL,
    liked INTEGER NOT NULL DEFAULT 0, plays INTEGER NOT NULL DEFAULT 0, path TEXT NOT NULL, record BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS loops_by_age ON loops (added);
CREATE TABLE IF NOT EXISTS history (at REAL NOT NULL, loop_id TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS history_by_time ON history (at);
PRAGMA user_version = 1;
"""


@dataclass(frozen=True)
class Extent:
    """How much the library knows, and how much of it lies on disk."""

    loops: int
    stored: int


class Library:
    """The loops on disk and what is known of those that were."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def add(self, loop: Loop, at: float) -> None:
        """Take a loop in; one that is known already stays as it is."""
        recipe = loop.recipe
        with self._db:
            self._db.execute(
                "INSERT OR IGNORE INTO loops (loop_id, added, epoch, prompt, backend, title, artist, genre, bpm, key, "
                "frames, path, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    loop.loop_id,
                    at,
                    loop.epoch,
                    recipe.prompt if recipe is not None else "",
                    recipe.backend if recipe is not None else "",
                    loop.title,
                    loop.artist,
                    loop.genre,
                    loop.bpm,
                    loop.key,
                    loop.frames,
                    loop.path,
                    msgspec.msgpack.encode(loop),
                ),
            )

    def heard(self, loop_id: str, at: float) -> None:
        """A loop has begun to sound."""
        with self._db:
            self._db.execute("UPDATE loops SET plays = plays + 1 WHERE loop_id = ?", (loop_id,))
            self._db.execute("INSERT INTO history (at, loop_id) VALUES (?, ?)", (at, loop_id))

    def gone(self, loop_ids: list[str]) -> None:
        """The files of these loops are no longer there; what is known of them stays."""
        with self._db:
            self._db.executemany("UPDATE loops SET path = '' WHERE loop_id = ?", [(each,) for each in loop_ids])

    def shelf(self) -> list[Loop]:
        """The newest loops whose files are there, oldest first."""
        rows = self._db.execute(
            "SELECT record FROM loops WHERE path <> '' ORDER BY added DESC LIMIT ?", (SHELF,)
        ).fetchall()
        loops = [loop for (record,) in rows if (loop := _decoded(record)) is not None and Path(loop.path).is_file()]
        return loops[::-1]

    def extent(self) -> Extent:
        loops, stored = self._db.execute("SELECT count(*), coalesce(sum(path <> ''), 0) FROM loops").fetchone()
        return Extent(loops, stored)

    def last_epoch(self) -> int:
        (epoch,) = self._db.execute("SELECT coalesce(max(epoch), 0) FROM loops").fetchone()
        return int(epoch)

    def close(self) -> None:
        self._db.close()


def library_file(paths: Paths) -> Path:
    return paths.library / "library.sqlite"


def open_library(paths: Paths) -> tuple[Library, str]:
    """The library in this home, and a sentence if the file was damaged and set aside.

    Raises
    ------
    StoreError
        It can neither be opened nor begun.
    """
    path = library_file(paths)
    try:
        return Library(_connect(path)), ""
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise StoreError(
                f"The library {path} cannot be opened ({error}): free some disk space or allow writing there."
            ) from error
    aside = _set_aside(path)
    sentence = f"The library {path} was damaged and set aside as {aside}; a new one was begun."
    log.warning("%s", sentence)
    return Library(_connect(path)), sentence


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, timeout=5.0)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_SCHEMA)
        connection.execute("SELECT count(*) FROM (SELECT * FROM loops LIMIT 1)").fetchone()
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


def _set_aside(path: Path) -> Path:
    aside = set_aside(path)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside


def _decoded(record: bytes) -> Loop | None:
    try:
        return msgspec.msgpack.decode(record, type=Loop)
    except msgspec.DecodeError:
        return None
