"""The commands that tune the station: set, settings, volume, debug.

Without a station they change the file that it will read.
"""

from __future__ import annotations

from typing import Any

import click

from services.controller.cli.asking import ask_listener, ask_station, is_running, json_option, say
from services.controller.cli.completion import setting_names, setting_values
from services.controller.listing import listed
from shared import settings as store
from shared.paths import Paths
from shared.settings.store import set_aside_broken


@click.command(name="set", context_settings={"ignore_unknown_options": True})
@click.argument("key", required=False, shell_complete=setting_names)
@click.argument("value", required=False, shell_complete=setting_values)
@json_option
def set_(key: str | None, value: str | None, as_json: bool) -> None:
    """Change one setting, now and for good.

    What is not given is asked for, with what is allowed. `infiniloop settings` lists them all.
    """
    if key is None:
        width = max(len(each.name) for each in store.fields())
        for each in store.fields():
            click.echo(f"  {each.name:<{width}}  {each.help}", err=True)
        key = ask_listener("Which setting? ", "Say which setting, and its value: `infiniloop settings` lists them.")
        if not key:
            say("Nothing was changed.", as_json=as_json)
            return
    if value is None:
        chosen = store.find_field(key)
        now = _in_words(store.read_value(store.load(Paths.from_environment())[0], chosen))
        what = f"{chosen.name}: {chosen.help}. Now {now}; allowed: {chosen.allowed}."
        click.echo(what, err=True)
        value = ask_listener("New value (Enter keeps it): ", f"Say the value: infiniloop set {chosen.name} VALUE.")
        if not value:
            say(f"{chosen.name} stays {now}.", as_json=as_json)
            return
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
@click.argument("switch", required=False, type=click.Choice(("on", "off")))
@json_option
def debug(switch: str | None, as_json: bool) -> None:
    """Log everything, or no longer; without a word, say which.

    Every message between the services goes to the station's log, until `debug off`.
    """
    from services.controller.cli.launching import log_of

    paths = Paths.from_environment()
    if switch is not None:
        change_setting("controller.debug", switch)
    on = store.load(paths)[0].controller.debug
    log = log_of(paths)
    text = (
        f"Debug is on: everything is logged in {log}." if on else "Debug is off; `infiniloop debug on` logs everything."
    )
    say(text, as_json=as_json, debug=on, log=log)


@click.command()
@click.argument("key", required=False, shell_complete=setting_names)
@json_option
def settings(key: str | None, as_json: bool) -> None:
    """List every setting with its value and what is allowed.

    KEY shows one of them. A star marks a value that is not the default, a p one that the preset that plays has set.
    """
    paths = Paths.from_environment()
    chosen, problems = store.load(paths)
    for problem in problems:
        click.echo(f"infiniloop: {problem}", err=True)
    carried = store.carried_settings(paths)
    entries = [entry | {"preset": entry["key"] in carried} for entry in listed(chosen)]
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
        shown = _in_words(entry["value"])
        mark = "p" if entry["preset"] else " " if entry["value"] == entry["default"] else "*"
        click.echo(f" {mark}{name:<{width}}  {shown:<10}  {entry['help']} ({entry['allowed']})")


def _in_words(value: store.Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value) or "–"


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
    return f"{field.name} is {_in_words(checked)}; it holds when the station starts."
