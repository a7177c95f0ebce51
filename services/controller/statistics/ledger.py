"""Every attempt at a clip, on disk. SQLite in WAL mode: a crash loses nothing that was confirmed.

Threads: a ledger belongs to the thread that opened it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec

from shared.errors import StoreError

KEEP = 50_000
"""Attempts; the oldest go first. A station that never rests makes about 3000 a day."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS attempts (
    at REAL NOT NULL, backend TEXT NOT NULL, model TEXT NOT NULL, precision TEXT NOT NULL, seconds REAL NOT NULL,
    generation_s REAL NOT NULL, analysis_s REAL NOT NULL, download_s REAL NOT NULL, outcome TEXT NOT NULL
)
"""
_COLUMNS = "at, backend, model, precision, seconds, generation_s, analysis_s, download_s, outcome"


class Attempt(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One clip that was made, or that failed."""

    at: float
    """Seconds since 1970."""
    backend: str
    model: str = ""
    precision: str = ""
    seconds: float = 0.0
    """Length of the clip."""
    generation_s: float = 0.0
    analysis_s: float = 0.0
    download_s: float = 0.0
    """Spent on fetching a model: in no other figure."""
    outcome: str = "accepted"
    """``accepted``, ``failed``, or why the analyzer rejected it: ``silence``, ``no-loop`` …"""


class Ledger:
    """The attempts in one file."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"The statistics in {path} cannot be opened ({error}).") from error

    def add(self, attempt: Attempt) -> None:
        """Write one down."""
        with self._database:
            marks = ", ".join("?" * len(attempt.__struct_fields__))
            self._database.execute(
                f"INSERT INTO attempts ({_COLUMNS}) VALUES ({marks})", msgspec.structs.astuple(attempt)
            )
            self._database.execute("DELETE FROM attempts WHERE rowid <= (SELECT max(rowid) FROM attempts) - ?", (KEEP,))

    def all(self) -> list[Attempt]:
        """Every attempt, oldest first."""
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM attempts ORDER BY at")
        return [msgspec.convert(row, Attempt) for row in rows]

    def clear(self) -> None:
        """Forget everything."""
        with self._database:
            self._database.execute("DELETE FROM attempts")

    def close(self) -> None:
        self._database.close()
