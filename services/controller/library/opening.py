"""Opening the library, whatever state its file is in: a damaged one is set aside, and a new one takes up what it can.

What the listener thinks of loops is written beside the database, too, and each loop's record is in its audio file: so
that the loops and the favourites come back even where the database is lost.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path

import msgspec

from services.controller.counting import number_of
from services.controller.library.repair import adopt_orphans
from services.controller.library.schema import connect
from services.controller.library.store import Library, insert
from shared.durable import replace_file, set_aside
from shared.errors import StoreError
from shared.music import Loop
from shared.paths import Paths

log = logging.getLogger(__name__)


def library_file(paths: Paths) -> Path:
    return paths.library / "library.sqlite"


def verdicts_file(folder: Path) -> Path:
    return folder / "verdicts.json"


def open_library(paths: Paths, *, words: bool | None = None) -> tuple[Library, str]:
    """The library in this home, and a sentence if the file was damaged and set aside.

    Parameters
    ----------
    words : whether to use SQLite's index of words; by default wherever this SQLite has it.

    Raises
    ------
    StoreError
        It can neither be opened nor begun.
    """
    path = library_file(paths)
    try:
        connection, indexed = connect(path, carry_over, words=words)
        return Library(connection, paths.library, indexed=indexed), ""
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise StoreError(
                f"The library {path} cannot be opened ({error}): free some disk space or allow writing there."
            ) from error
    return begin_anew(paths, words=words)


def begin_anew(paths: Paths, *, words: bool | None = None) -> tuple[Library, str]:
    """Set the library's file aside and begin another out of the audio files and what the listener thought of them."""
    path = library_file(paths)
    try:
        aside = set_aside(path)
    except OSError as error:
        raise StoreError(f"The library {path} is damaged and cannot be moved away: allow writing there.") from error
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    connection, indexed = connect(path, carry_over, words=words)
    library = Library(connection, paths.library, indexed=indexed)
    found = adopt_orphans(library, read_verdicts(paths.library))
    sentence = (
        f"The library {path} was damaged and set aside as {aside}; a new one was begun with the "
        f"{number_of(found, 'loop')} whose audio is there."
    )
    log.warning("%s", sentence)
    return library, sentence


def write_verdicts(library: Library) -> None:
    """Write what the listener thinks beside the database; whole or not at all."""
    text = json.dumps(library.verdicts(), indent=0, sort_keys=True)
    replace_file(verdicts_file(library.folder), text.encode())


def read_verdicts(folder: Path) -> dict[str, int]:
    """What the listener thought when it was last written; empty where nothing can be read."""
    try:
        return msgspec.json.decode(verdicts_file(folder).read_bytes(), type=dict[str, int])
    except (OSError, msgspec.DecodeError):
        return {}


def carry_over(db: sqlite3.Connection) -> None:
    """The rows of version 1 into the tables of today."""
    rows = db.execute("SELECT record, added, path, liked, plays FROM loops_1 ORDER BY added").fetchall()
    for record, added, path, liked, plays in rows:
        try:
            loop = msgspec.msgpack.decode(record, type=Loop)
        except msgspec.DecodeError:
            continue
        insert(db, loop, added, 1 if path else 0)
        db.execute("UPDATE loops SET verdict = ?, plays = ? WHERE loop_id = ?", (liked, plays, loop.loop_id))
    db.execute(
        "INSERT INTO history SELECT at, number FROM history_1 JOIN loops USING (loop_id) ORDER BY history_1.at",
    )
    db.execute(
        "UPDATE loops SET heard = coalesce((SELECT max(at) FROM history WHERE history.number = loops.number), 0)",
    )
