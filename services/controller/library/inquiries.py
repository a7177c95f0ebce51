"""What a listener asks of the library: the same answers from the running station and, without one, from its file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from services.controller.library.entry import DISLIKED, LIKED, NEUTRAL, Entry, described
from services.controller.library.opening import read_verdicts, write_verdicts
from services.controller.library.repair import repair
from services.controller.library.search import MOST, Query
from services.controller.library.store import Library
from shared.errors import UsageError

Arguments = Mapping[str, Any]
_KINDS = {int: "a number", str: "words", bool: "on or off"}


@dataclass(frozen=True)
class Finding:
    """An answer, and the file of it that a program reads."""

    text: str
    data: Mapping[str, Any]


def inquire(library: Library, what: str, arguments: Arguments) -> Finding:
    """Answer one question.

    Raises
    ------
    UsageError
        No such question, an argument that it does not take, or no such loop.
    StoreError
        The library cannot be read.
    """
    try:
        answer = INQUIRIES[what]
    except KeyError:
        raise UsageError(f"library takes one of {', '.join(INQUIRIES)}, not {what!r}.") from None
    return answer(library, arguments)


def judge(library: Library, name: str, verdict: int) -> Entry:
    """Write down what the listener thinks of a loop, beside the database, too."""
    entry = library.judge(library.find(name).number, verdict)
    write_verdicts(library)
    return entry


def judged(entry: Entry) -> str:
    """What was written down, in a sentence."""
    if entry.verdict == NEUTRAL:
        return f"{quoted(entry)} is neither liked nor disliked now."
    if entry.verdict == DISLIKED:
        return f"Disliked {quoted(entry)}: it never plays again."
    kept = "it is kept for good" if entry.audible else f"its audio is gone, `infiniloop again {entry.number}` makes it"
    return f"Liked {quoted(entry)}: {kept}."


def quoted(entry: Entry) -> str:
    return f"“{entry.title}”" if entry.title else entry.loop_id


def _search(library: Library, arguments: Arguments) -> Finding:
    known = {field.name: field for field in fields(Query)}
    given: dict[str, Any] = {}
    for name, value in arguments.items():
        if name not in known:
            continue
        wanted = {"str": str, "bool": bool, "int": int}[str(known[name].type)]
        if type(value) is not wanted:
            raise UsageError(f"{name} takes {_KINDS[wanted]}.")
        given[name] = value
    entries, more = library.search(Query(**given))
    text = f"Found {len(entries)}." if entries else "Nothing in the library matches."
    return Finding(text, {"loops": [described(entry) for entry in entries], "more": more})


def _show(library: Library, arguments: Arguments) -> Finding:
    entry = library.find(_name(arguments))
    loop = library.record(entry.loop_id)
    recipe = loop.recipe if loop is not None else None
    more: dict[str, Any] = {"recipe": None, "lufs": None, "true_peak_dbtp": None, "confidence": None, "path": None}
    if loop is not None:
        import msgspec

        playable = library.loop(entry.loop_id)
        more = {
            "recipe": msgspec.to_builtins(recipe) if recipe is not None else None,
            "lufs": loop.lufs,
            "true_peak_dbtp": loop.true_peak_dbtp,
            "confidence": loop.confidence,
            "path": playable.path if playable is not None else None,
        }
    return Finding(quoted(entry), {"loop": described(entry) | more})


def _history(library: Library, arguments: Arguments) -> Finding:
    limit = arguments.get("limit", 20)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MOST:
        raise UsageError(f"limit takes 1 to {MOST}.")
    heard = [described(entry) | {"at": round(at, 3)} for at, entry in library.history(limit)]
    return Finding("" if heard else "Nothing has been heard yet.", {"heard": heard})


def _delete(library: Library, arguments: Arguments) -> Finding:
    entry = library.find(_name(arguments))
    if entry.verdict == LIKED and not arguments.get("force"):
        raise UsageError(f"{quoted(entry)} is one that you like: add --force to delete it all the same.")
    files = library.files_of(entry.loop_id)
    library.forget(entry.number)
    write_verdicts(library)
    return Finding(
        f"Deleted {quoted(entry)}.",
        {"number": entry.number, "loop_id": entry.loop_id, "files": [str(file) for file in files]},
    )


def _check(library: Library, _: Arguments) -> Finding:
    done = repair(library, read_verdicts(library.folder))
    whole = library.is_whole()
    library.damaged = library.damaged or not whole
    text = done.sentence() if whole else "The library's file is damaged: the station sets it aside and begins another."
    data = {"whole": whole, "missing": done.missing, "found": done.found, "swept": done.swept}
    return Finding(text, data | {"loops": library.extent().loops})


def _name(arguments: Arguments) -> str:
    name = arguments.get("loop")
    if not isinstance(name, str) or not name.strip():
        raise UsageError("Say which loop: its number, identifier or title.")
    return name


INQUIRIES: Mapping[str, Callable[[Library, Arguments], Finding]] = MappingProxyType(
    {"search": _search, "show": _show, "history": _history, "delete": _delete, "check": _check}
)
