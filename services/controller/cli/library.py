"""``infiniloop library``: list, search, show, play, delete, history and check; with a running station or without."""

from __future__ import annotations

import time
from typing import Any

import click

from services.controller.cli.asking import ask_station, is_running, json_option, say
from shared.paths import Paths

_LOOP = click.argument("loop", nargs=-1, required=True, metavar="LOOP")


def _narrowing(command: Any) -> Any:
    for option in (
        click.option("--rights", type=click.Choice(("any", "free")), default="any", help="Only what is free to use."),
        click.option("--liked", is_flag=True, help="Only what you like."),
        click.option("--disliked", is_flag=True, help="Only what you dislike."),
        click.option("--audio", is_flag=True, help="Only what can be played: its audio is there."),
        click.option("--backend", default="", help="Only what this backend made."),
        click.option("--limit", default=20, show_default=True, help="At most so many, the newest first."),
        click.option("--skip", default=0, help="Leave out so many of the newest."),
        json_option,
    ):
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@click.pass_context
@json_option
def library(context: click.Context, as_json: bool) -> None:
    """Find, play and delete the loops that were made here.

    Without a subcommand: the newest. LOOP is a number, an identifier or a title.
    """
    if context.invoked_subcommand is None:
        _search("", rights="any", as_json=as_json, limit=20)


@library.command(name="list")
@_narrowing
def list_(**given: Any) -> None:
    """List the newest loops."""
    _search("", **_asked(given))


@library.command()
@click.argument("words", nargs=-1, required=True)
@_narrowing
def search(words: tuple[str, ...], **given: Any) -> None:
    """Find loops by words of title, artist, genre, prompt and maker.

    Beginnings of words are enough, in any order; all of them must be there.
    """
    _search(" ".join(words), **_asked(given))


@library.command()
@_LOOP
@json_option
def show(loop: tuple[str, ...], as_json: bool) -> None:
    """Show everything that is known of a loop, its recipe too."""
    found = consult("show", loop=" ".join(loop))
    if as_json:
        say(found["text"], as_json=True, **found["data"])
        return
    for key, value in found["data"]["loop"].items():
        if key != "recipe" and value not in (None, "", False):
            click.echo(f"  {key:<16} {value}")
    for key, value in (found["data"]["loop"]["recipe"] or {}).items():
        if key not in ("prompt", "backend", "seed"):
            click.echo(f"  {key:<16} {value}")


@library.command()
@_LOOP
@json_option
def play(loop: tuple[str, ...], as_json: bool) -> None:
    """Play a loop of the library, at the next bar."""
    answer = ask_station("play", loop=" ".join(loop))
    say(answer.text, as_json=as_json, **answer.data)


@library.command()
@_LOOP
@click.option("--force", is_flag=True, help="One that you like, too.")
@json_option
def delete(loop: tuple[str, ...], force: bool, as_json: bool) -> None:
    """Delete a loop for good: its audio and all that is known of it."""
    found = consult("delete", loop=" ".join(loop), force=force)
    say(found["text"], as_json=as_json, number=found["data"]["number"], loop_id=found["data"]["loop_id"])


@library.command()
@click.option("--limit", default=20, show_default=True, help="At most so many, the last first.")
@json_option
def history(limit: int, as_json: bool) -> None:
    """List what was heard, and when."""
    found = consult("history", limit=limit)
    if as_json:
        say(found["text"], as_json=True, **found["data"])
        return
    for entry in found["data"]["heard"]:
        click.echo(f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(entry['at']))} {_line(entry)}")
    if found["text"]:
        click.echo(found["text"])


@library.command()
@json_option
def check(as_json: bool) -> None:
    """Check the library against its files, and mend what can be mended."""
    found = consult("check", timeout_s=60.0)
    say(found["text"], as_json=as_json, **found["data"])


def consult(what: str, *, timeout_s: float = 10.0, **arguments: Any) -> dict[str, Any]:
    """Ask the station; where none runs, the library's own file."""
    paths = Paths.from_environment()
    if is_running(paths):
        answer = ask_station("library", timeout_s=timeout_s, paths=paths, do=what, **arguments)
        return {"text": answer.text, "data": answer.data}
    from services.controller.library import open_library
    from services.controller.library.inquiries import inquire

    paths.create()
    library, problem = open_library(paths)
    try:
        if problem:
            click.echo(f"infiniloop: {problem}", err=True)
        found = inquire(library, what, arguments)
    finally:
        library.close()
    if what == "delete":
        from pathlib import Path

        for file in found.data["files"]:
            Path(file).unlink(missing_ok=True)
    return {"text": found.text, "data": dict(found.data)}


def _asked(given: dict[str, Any]) -> dict[str, Any]:
    """The options as the library takes them."""
    return {"free": given.pop("rights") == "free", "audible": given.pop("audio"), **given}


def _search(words: str, *, as_json: bool, **query: Any) -> None:
    query.pop("rights", None)
    found = consult("search", words=words, **query)
    loops, more = found["data"]["loops"], found["data"]["more"]
    if as_json:
        say(found["text"], as_json=True, loops=loops, more=more)
        return
    for entry in loops:
        click.echo(_line(entry))
    if not loops:
        click.echo(found["text"])
    if more:
        click.echo(f"There are more: --skip {query.get('skip', 0) + len(loops)} shows the next ones.")


def _line(entry: dict[str, Any]) -> str:
    mark = "♥" if entry["liked"] else "✗" if entry["disliked"] else " "
    facts = [
        entry["genre"],
        f"{entry['bpm']:g} bpm" if entry["bpm"] else "",
        entry["key"] or "",
        f"{entry['seconds']:.0f} s",
        entry["model"] or entry["backend"],
        "" if entry["audio"] else "audio gone",
    ]
    name = f"{entry['title']} – {entry['artist']}" if entry["title"] else entry["loop_id"]
    return f"{entry['number']:>6} {mark} {name}  ({' · '.join(fact for fact in facts if fact)})"
