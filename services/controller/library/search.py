"""Finding loops by words and properties. Builds the statement; pure.

Words are matched by their beginnings, all of them, in any order: ``rain pian`` finds "Piano in the rain". Newest first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from services.controller.library.entry import DISLIKED, LIKED, fold
from shared.errors import UsageError

MOST = 1_000
"""Entries in one answer."""
LIMIT = 20


@dataclass(frozen=True)
class Query:
    """What is looked for; every part narrows it."""

    words: str = ""
    free: bool = False
    liked: bool = False
    disliked: bool = False
    audible: bool = False
    """Only loops whose audio is there."""
    backend: str = ""
    limit: int = LIMIT
    skip: int = 0


@dataclass(frozen=True)
class Statement:
    sql: str
    values: tuple[Any, ...] = field(default=())


def check(query: Query) -> Query:
    """The query, or what is wrong with it.

    Raises
    ------
    UsageError
        The limit is out of range, or the words hold nothing to look for.
    """
    if not 1 <= query.limit <= MOST:
        raise UsageError(f"limit takes 1 to {MOST}, not {query.limit}.")
    if query.skip < 0:
        raise UsageError("skip takes 0 or more.")
    if query.words.strip() and not fold(query.words):
        raise UsageError(f"There is no word to look for in {query.words!r}: give letters or digits.")
    return query


def statement(query: Query, columns: str, *, indexed: bool) -> Statement:
    """The SQL for a query; one row more than its limit, which tells that there are more."""
    clauses: list[str] = []
    values: list[Any] = []
    words = fold(query.words)
    source, order = "loops", "number"
    if words and indexed and not (query.liked or query.disliked):  # these are few: their words are read
        # The index gives its rows from the newest on, so that only as many are read as are wanted.
        source, order = "search JOIN loops ON loops.number = search.rowid", "search.rowid"
        clauses.append("search MATCH ?")
        values.append(" AND ".join(f'"{word}"*' for word in words))
    elif words:
        clauses += ["' ' || loops.words LIKE ?"] * len(words)
        values += [f"% {word}%" for word in words]
    if query.free:
        clauses.append("free = 1")
    if query.liked:
        clauses.append(f"verdict <> 0 AND verdict = {LIKED}")
    if query.disliked:
        clauses.append(f"verdict <> 0 AND verdict = {DISLIKED}")
    if query.audible:
        clauses.append("place > 0")
    if query.backend:
        clauses.append("backend = ?")
        values.append(query.backend)
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    sql = f"SELECT {columns} FROM {source} {where} ORDER BY {order} DESC LIMIT ? OFFSET ?"
    return Statement(sql, (*values, query.limit + 1, query.skip))
