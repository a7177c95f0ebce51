"""The library's tables: made once, brought up from older versions, checked before use.

Version 1 had one table of loops without an index of words; its rows are carried over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from shared.errors import StoreError

VERSION = 2
BUSY_S = 5.0
"""Another process that writes, such as a command without a station, is waited for so long."""
_CACHE_KB = 4_000

# An index with a condition is used where a query states that very condition: "place > 0 AND place = 2".
_TABLES = """
CREATE TABLE loops (
    number INTEGER PRIMARY KEY AUTOINCREMENT, loop_id TEXT NOT NULL UNIQUE, added REAL NOT NULL, epoch INTEGER NOT NULL,
    wish TEXT NOT NULL, prompt TEXT NOT NULL, backend TEXT NOT NULL, model TEXT NOT NULL, seed INTEGER,
    licence TEXT NOT NULL, free INTEGER NOT NULL, title TEXT NOT NULL, artist TEXT NOT NULL, genre TEXT NOT NULL,
    bpm REAL, key TEXT, bars INTEGER, seconds REAL NOT NULL, bridge INTEGER NOT NULL,
    verdict INTEGER NOT NULL DEFAULT 0, plays INTEGER NOT NULL DEFAULT 0, heard REAL NOT NULL DEFAULT 0,
    place INTEGER NOT NULL, bytes INTEGER NOT NULL DEFAULT 0, words TEXT NOT NULL
);
CREATE INDEX loops_by_wish ON loops (wish);
CREATE INDEX loops_by_genre ON loops (genre, number) WHERE place > 0;
CREATE INDEX loops_at_hand ON loops (place, number) WHERE place > 0;
CREATE INDEX loops_judged ON loops (verdict, number) WHERE verdict <> 0;
CREATE INDEX loops_by_epoch ON loops (epoch);
CREATE TABLE records (number INTEGER PRIMARY KEY, record BLOB NOT NULL);
CREATE TABLE history (at REAL NOT NULL, number INTEGER NOT NULL);
CREATE INDEX history_by_time ON history (at);
"""
_WORDS = """
CREATE VIRTUAL TABLE search USING fts5(
    words, content='loops', content_rowid='number', detail=none, prefix='2 3', tokenize='unicode61 remove_diacritics 2'
);
INSERT INTO search (search) VALUES ('rebuild');
CREATE TRIGGER words_in AFTER INSERT ON loops BEGIN
    INSERT INTO search (rowid, words) VALUES (new.number, new.words);
END;
CREATE TRIGGER words_out AFTER DELETE ON loops BEGIN
    INSERT INTO search (search, rowid, words) VALUES ('delete', old.number, old.words);
END;
"""
Carrier = Callable[[sqlite3.Connection], None]
"""Carries the rows of version 1, left in ``loops_1`` and ``history_1``, over."""


def connect(path: Path, carry_over: Carrier, *, words: bool | None = None) -> tuple[sqlite3.Connection, bool]:
    """Open the database and bring it to this version.

    Parameters
    ----------
    words : whether to use SQLite's index of words; by default wherever this SQLite has it.

    Returns
    -------
    connection
    indexed : whether words are indexed; otherwise searches read through all loops.

    Raises
    ------
    sqlite3.DatabaseError
        It is no database, damaged, or cannot be opened or written.
    StoreError
        It is of a newer version of the station.
    """
    connection = sqlite3.connect(path, check_same_thread=False, timeout=BUSY_S, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # what was confirmed survives a power cut, too
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
        connection.execute("PRAGMA journal_size_limit = 8000000")
        _prepare(connection, path, carry_over)
        indexed = has_words(connection) if words is None else words
        _prepare_words(connection, indexed=indexed)
        connection.execute("SELECT count(*) FROM (SELECT * FROM loops LIMIT 1)").fetchone()
        connection.execute("SELECT count(*) FROM (SELECT * FROM records LIMIT 1)").fetchone()
    except (sqlite3.DatabaseError, StoreError):
        connection.close()
        raise
    return connection, indexed


def has_words(connection: sqlite3.Connection) -> bool:
    """Whether this SQLite was built with FTS5."""
    (found,) = connection.execute("SELECT sqlite_compileoption_used('ENABLE_FTS5')").fetchone()
    return bool(found)


def _prepare(connection: sqlite3.Connection, path: Path, carry_over: Carrier) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == VERSION:
        return
    if version > VERSION:
        raise StoreError(
            f"The library {path} was made by a newer version of INFINI LOOP: use that, or set INFINILOOP_HOME to "
            "another folder."
        )
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 1:
            for table in ("loops", "history"):
                connection.execute(f"ALTER TABLE {table} RENAME TO {table}_1")
            for index in ("loops_by_age", "history_by_time"):
                connection.execute(f"DROP INDEX IF EXISTS {index}")
        if version != VERSION:
            for statement in _TABLES.split(";"):
                connection.execute(statement)
        if version == 1:
            carry_over(connection)
            connection.execute("DROP TABLE loops_1")
            connection.execute("DROP TABLE history_1")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _prepare_words(connection: sqlite3.Connection, *, indexed: bool) -> None:
    """Make the index of words where it is missing; leave nothing that needs it where this SQLite has none."""
    found = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'words_in'").fetchone() is not None
    if indexed and not found:
        # Left by an SQLite that could not keep it up to date.
        connection.execute("DROP TABLE IF EXISTS search")
        connection.executescript(f"BEGIN IMMEDIATE; {_WORDS} COMMIT;")
    elif found and not indexed:
        connection.executescript("BEGIN IMMEDIATE; DROP TRIGGER words_in; DROP TRIGGER words_out; COMMIT;")
