"""The loops on disk and what is known of those that were."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from services.controller.library.budget import Stored
from services.controller.library.entry import (
    DISLIKED,
    GONE,
    IN_CACHE,
    IN_LIBRARY,
    LIKED,
    Entry,
    Extent,
    audio_file,
    fold,
    is_free,
    wish_of,
    words_of,
)
from services.controller.library.search import Query, check, statement
from shared.errors import StoreError, UsageError
from shared.music import Loop

SHELF = 200
"""Loops that the station keeps at hand."""
HISTORY_MOST = 200_000
"""Songs heard that are remembered, nine months of listening day and night."""
COLUMNS = (
    "number, loop_id, title, artist, genre, prompt, backend, model, seed, licence, free, bpm, key, bars, seconds, "
    "added, verdict, plays, heard, place, bytes"
)
_FREE = COLUMNS.split(", ").index("free")
_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Loop)


class Library:
    """Everything that is kept about loops.

    Parameters
    ----------
    folder : where the library keeps audio.
    indexed : whether the database has an index of words.

    Every method raises ``StoreError`` where the database cannot be read or written.
    """

    def __init__(self, connection: sqlite3.Connection, folder: Path, *, indexed: bool) -> None:
        self._db, self.folder, self.indexed = connection, folder, indexed
        self.damaged = False
        """SQLite has found the file broken: it is to be set aside."""

    def close(self) -> None:
        self._db.close()

    # -- what comes in ------------------------------------------------------------------------------------------------

    def add(self, loop: Loop, at: float) -> None:
        """Take a loop in; one that is known already stays as it is, but for its audio being there again."""
        with self._change() as db:
            insert(db, loop, at, IN_CACHE)

    def heard(self, loop_id: str, at: float) -> None:
        """A loop has begun to sound."""
        with self._change() as db:
            db.execute("UPDATE loops SET plays = plays + 1, heard = ? WHERE loop_id = ?", (at, loop_id))
            db.execute("INSERT INTO history SELECT ?, number FROM loops WHERE loop_id = ?", (at, loop_id))
            db.execute(
                "DELETE FROM history WHERE rowid <= (SELECT max(rowid) FROM history) - ?",
                (HISTORY_MOST,),
            )

    def kept(self, loop_id: str, size: int) -> None:
        """The loop's audio lies in the library's folder now."""
        with self._change() as db:
            db.execute("UPDATE loops SET place = ?, bytes = ? WHERE loop_id = ?", (IN_LIBRARY, size, loop_id))

    def gone(self, loop_ids: Iterable[str]) -> None:
        """The files of these loops are no longer there; what is known of them stays."""
        with self._change() as db:
            db.executemany("UPDATE loops SET place = 0, bytes = 0 WHERE loop_id = ?", [(each,) for each in loop_ids])

    def judge(self, number: int, verdict: int) -> Entry:
        """Like or dislike a loop, or neither; returns it as it is then."""
        with self._change() as db:
            db.execute("UPDATE loops SET verdict = ? WHERE number = ?", (verdict, number))
        return self._entry("number = ?", (number,))

    def forget(self, number: int) -> None:
        """Take a loop out for good; its file is the caller's to delete."""
        with self._change() as db:
            db.execute("DELETE FROM records WHERE number = ?", (number,))
            db.execute("DELETE FROM history WHERE number = ?", (number,))
            db.execute("DELETE FROM loops WHERE number = ?", (number,))

    # -- what is asked for --------------------------------------------------------------------------------------------

    def find(self, name: str) -> Entry:
        """The loop of this number (``12``, ``#12``), identifier or title.

        Raises
        ------
        UsageError
            There is none, or several have this title.
        """
        name = name.strip()
        digits = name.removeprefix("#")
        if digits.isascii() and digits.isdigit():
            found = self._entries("number = ?", (int(digits[:18]),))
        else:
            found = self._entries("loop_id = ?", (name,))
        if not found and fold(name):
            beginnings = self.search(Query(words=name, limit=50))[0]
            found = [entry for entry in beginnings if fold(entry.title) == fold(name)]
            if len(found) > 1:
                numbers = ", ".join(f"#{entry.number}" for entry in found[:5])
                raise UsageError(f"Several loops are called {name!r}: say which by its number ({numbers}).")
        if not found:
            raise UsageError(f"The library has no loop {name!r}: `infiniloop library search` finds its number.")
        return found[0]

    def search(self, query: Query) -> tuple[list[Entry], bool]:
        """The loops that a query finds, newest first, and whether there are more."""
        found = statement(check(query), COLUMNS, indexed=self.indexed)
        entries = [_entry(row) for row in self._rows(found.sql, found.values)]
        return entries[: query.limit], len(entries) > query.limit

    def history(self, limit: int) -> list[tuple[float, Entry]]:
        """What sounded and when, the last first."""
        rows = self._rows(
            f"SELECT at, {COLUMNS} FROM history JOIN loops USING (number) ORDER BY history.rowid DESC LIMIT ?", (limit,)
        )
        return [(row[0], _entry(row[1:])) for row in rows]

    def loop(self, loop_id: str) -> Loop | None:
        """The loop's record with the path at which its audio is now; None where nothing can be played."""
        return next(iter(self._loops("loop_id = ?", (loop_id,))), None)

    def record(self, loop_id: str) -> Loop | None:
        """The loop's record, whether its audio is there or not."""
        rows = self._rows("SELECT record FROM records JOIN loops USING (number) WHERE loop_id = ?", (loop_id,))
        return next((loop for (data,) in rows if (loop := _decoded(data)) is not None), None)

    def shelf(self) -> list[Loop]:
        """The newest loops whose files are there and that nobody dislikes, oldest first."""
        return self._loops(f"place > 0 AND verdict <> {DISLIKED} ORDER BY number DESC LIMIT {SHELF}", ())[::-1]

    def waiting(self, limit: int) -> list[Loop]:
        """Loops whose audio is in the cache alone, liked ones first, disliked ones last."""
        return self._loops(f"place > 0 AND place = {IN_CACHE} ORDER BY verdict DESC, number LIMIT {limit}", ())

    def likely(self, wish: str, genre: str, avoid_after: float, limit: int) -> list[Entry]:
        """Loops at hand that may answer a prompt: those made for it, then of its genre, then with words of it.

        Parameters
        ----------
        wish : the prompt as ``wish_of`` puts it.
        avoid_after : loops heard after this time are left out.
        """
        ready = f"place > 0 AND verdict <> {DISLIKED} AND heard <= ?"
        found = {e.number: e for e in self._entries(f"wish = ? AND {ready} LIMIT {limit}", (wish, avoid_after))}
        if genre and len(found) < limit:
            where = f"genre = ? AND {ready} ORDER BY number DESC LIMIT {limit}"
            found |= {e.number: e for e in self._entries(where, (genre, avoid_after))}
        if len(found) < limit and self.indexed and wish:
            words = " OR ".join(f'"{word}"' for word in wish.split()[:24])
            sql = (
                f"SELECT {COLUMNS} FROM search JOIN loops ON loops.number = search.rowid "
                f"WHERE search MATCH ? AND {ready} ORDER BY search.rowid DESC LIMIT ?"
            )
            found |= {row[0]: _entry(row) for row in self._rows(sql, (words, avoid_after, limit))}
        return list(found.values())

    def extent(self) -> Extent:
        """Counts and bytes, from the indexes alone."""
        (loops,) = self._one("SELECT count(*) FROM loops")
        (stored,) = self._one("SELECT count(*) FROM loops WHERE place > 0")
        (liked,) = self._one(f"SELECT count(*) FROM loops WHERE verdict <> 0 AND verdict = {LIKED}")
        (audio,) = self._one(f"SELECT coalesce(sum(bytes), 0) FROM loops WHERE place > 0 AND place = {IN_LIBRARY}")
        return Extent(loops, stored, liked, audio + self.database_bytes())

    def database_bytes(self) -> int:
        (pages,), (size,) = self._one("PRAGMA page_count"), self._one("PRAGMA page_size")
        return int(pages * size)

    def last_epoch(self) -> int:
        (epoch,) = self._one("SELECT coalesce(max(epoch), 0) FROM loops")
        return int(epoch)

    # -- for the budget and the check ---------------------------------------------------------------------------------

    def stored(self) -> list[Stored]:
        """What is said to lie in the library's folder."""
        rows = self._rows(f"SELECT loop_id, bytes, added, verdict FROM loops WHERE place > 0 AND place = {IN_LIBRARY}")
        return [Stored(name, size, at, verdict == LIKED, verdict == DISLIKED) for name, size, at, verdict in rows]

    def files_of(self, loop_id: str) -> list[Path]:
        """Where a loop's audio and codes lie in the library's folder, if they do."""
        loop = self.record(loop_id)
        codes = [self.folder / Path(loop.codes_path).name] if loop is not None and loop.codes_path else []
        return [audio_file(self.folder, loop_id), *codes]

    def knows(self, loop_id: str) -> bool:
        return bool(self._rows("SELECT 1 FROM loops WHERE loop_id = ?", (loop_id,)))

    def verdicts(self) -> dict[str, int]:
        """What the listener thinks of which loops."""
        return dict(self._rows("SELECT loop_id, verdict FROM loops WHERE verdict <> 0"))

    def adopt(self, loop: Loop, at: float, size: int, verdict: int) -> None:
        """Take in a loop whose audio was found in the folder and of which nothing else is known."""
        with self._change() as db:
            insert(db, loop, at, IN_LIBRARY)
            db.execute("UPDATE loops SET bytes = ?, verdict = ? WHERE loop_id = ?", (size, verdict, loop.loop_id))

    def is_whole(self) -> bool:
        """Whether SQLite finds the file in order; reads all of it."""
        try:
            return bool(self._db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
        except sqlite3.DatabaseError:
            return False

    # -- the database -------------------------------------------------------------------------------------------------

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def _fault(self, error: sqlite3.Error) -> StoreError:
        if isinstance(error, sqlite3.OperationalError):
            return StoreError(f"The library cannot be read or written ({error}): free some disk space or try again.")
        self.damaged = True
        return StoreError(f"The library is damaged ({error}): it is set aside and begun anew; try again in a moment.")

    def _one(self, sql: str) -> Any:
        return self._rows(sql)[0]

    def _entries(self, where: str, values: tuple[Any, ...]) -> list[Entry]:
        return [_entry(row) for row in self._rows(f"SELECT {COLUMNS} FROM loops WHERE {where}", values)]

    def _entry(self, where: str, values: tuple[Any, ...]) -> Entry:
        found = self._entries(where, values)
        if not found:
            raise UsageError("The library no longer has this loop.")
        return found[0]

    def _loops(self, where: str, values: tuple[Any, ...]) -> list[Loop]:
        """Those that can be played, each with the path of its audio."""
        rows = self._rows(f"SELECT record, place FROM loops JOIN records USING (number) WHERE {where}", values)
        found = []
        for data, place in rows:
            loop = _decoded(data)
            if loop is None or place == GONE:
                continue
            if place == IN_LIBRARY:
                codes = str(self.folder / Path(loop.codes_path).name) if loop.codes_path else None
                loop = replace(loop, path=str(audio_file(self.folder, loop.loop_id)), codes_path=codes)
            if Path(loop.path).is_file():
                found.append(loop)
        return found


def insert(db: sqlite3.Connection, loop: Loop, at: float, place: int) -> None:
    """Put a loop into the tables; where it is known already, only its audio is there again."""
    recipe = loop.recipe
    prompt = recipe.prompt if recipe is not None else ""
    done = db.execute(
        "INSERT OR IGNORE INTO loops (loop_id, added, epoch, wish, prompt, backend, model, seed, licence, free, title, "
        "artist, genre, bpm, key, bars, seconds, bridge, place, words) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            loop.loop_id,
            at,
            loop.epoch,
            wish_of(prompt),
            prompt,
            recipe.backend if recipe is not None else "",
            (recipe.model or "") if recipe is not None else "",
            recipe.seed if recipe is not None else None,
            (recipe.weights_licence or "") if recipe is not None else "",
            is_free(recipe),
            loop.title,
            loop.artist,
            loop.genre,
            loop.bpm,
            loop.key,
            loop.bars,
            loop.frames / loop.sample_rate,
            loop.bridge,
            place,
            words_of(loop),
        ),
    )
    if done.rowcount:
        db.execute("INSERT INTO records (number, record) VALUES (?, ?)", (done.lastrowid, _encode(loop)))
    else:
        db.execute("UPDATE loops SET place = ? WHERE loop_id = ? AND place = 0", (place, loop.loop_id))


def _entry(row: tuple[Any, ...]) -> Entry:
    values = list(row)
    values[_FREE] = bool(values[_FREE])
    return Entry(*values)


def _decoded(record: bytes) -> Loop | None:
    try:
        return _decoder.decode(record)
    except msgspec.DecodeError:
        return None
