"""The commands that tune the station: set, settings, volume. Without a station they change the file it will read."""

from __future__ import annotations

from typing import Any

import click

from services.controller.cli.asking import ask_station, is_running, json_option, say
from services.controller.listing import listed
from shared import settings as store
from shared.paths import Paths
from shared.settings.store import set_aside_broken


@click.command(name="set", context_settings={"ignore_unknown_options": True})
@click.argument("key")
@click.argument("value")
@json_option
def set_(key: str, value: str, as_json: bool) -> None:
    """Change one setting, now and for good. `infiniloop settings` lists them."""
    say(change_setting(key, value), as_json=as_json)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("level")
@json_option
def volume(level: str, as_json: bool) -> None:
    """Set how loud this machine plays, 0 to 100.

    The stream and recordings stay as they are.
    """
    say(change_setting("player.volume", level), as_json=as_json)


@click.command()
@click.argument("key", required=False)
@json_option
def settings(key: str | None, as_json: bool) -> None:
    """List every setting with its value and what is allowed.

    KEY shows one of them. A star marks a value that is not the default.
    """
    paths = Paths.from_environment()
    chosen, problems = store.load(paths)
    for problem in problems:
        click.echo(f"infiniloop: {problem}", err=True)
    entries = listed(chosen)
    if key is not None:
        wanted = store.find_field(key).key
        entries = [entry for entry in entries if entry["key"] == wanted]
    if as_json:
        values = {entry["key"]: entry["value"] for entry in entries}
        say("", as_json=True, values=values, settings=entries, file=str(paths.settings_file))
        return
    _print(entries)
    click.echo(f"\nThey are kept in {paths.settings_file}.")


def _print(entries: list[dict[str, Any]]) -> None:
    section = ""
    width = max(len(entry["key"].split(".")[1]) for entry in entries)
    for entry in entries:
        part, name = entry["key"].split(".")
        if part != section:
            section = part
            click.secho(f"\n{section}", bold=True)
        value = {True: "on", False: "off"}[entry["value"]] if isinstance(entry["value"], bool) else entry["value"]
        shown = f"{value:g}" if isinstance(value, float) else str(value) or "–"
        mark = " " if entry["value"] == entry["default"] else "*"
        click.echo(f" {mark}{name:<{width}}  {shown:<10}  {entry['help']} ({entry['allowed']})")


def change_setting(key: str, value: str) -> str:
    """Change one setting in the running station, or in the file that it will read; returns the answer."""
    paths = Paths.from_environment()
    field = store.find_field(key)
    checked = field.check(value)
    if is_running(paths):
        return ask_station("set", paths=paths, key=field.key, value=checked).text
    paths.create()
    if note := set_aside_broken(paths):
        click.echo(f"infiniloop: {note}", err=True)
    store.change(paths, field.key, checked)
    return f"{field.name} is {value}; it holds when the station starts."
