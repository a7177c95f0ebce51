"""``infiniloop programme``: prompts by the time of day."""

from __future__ import annotations

from typing import Any

import click

from services.controller.cli.asking import ask_station, is_running, json_option, say
from services.controller.cli.completion import preset_names
from shared.errors import UsageError
from shared.paths import Paths


@click.group(invoke_without_command=True)
@click.pass_context
@json_option
def programme(context: click.Context, as_json: bool) -> None:
    """Choose prompts by the time of day.

    An entry holds until the next one's time. What you ask for in between plays until then.
    """
    if context.invoked_subcommand is None:
        _do("list", as_json)


@programme.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """Show the programme."""
    _do("list", as_json)


@programme.command()
@click.argument("at", metavar="TIME")
@click.argument("prompts", nargs=-1, metavar="[PROMPT...]")
@click.option(
    "--preset",
    "presets",
    multiple=True,
    shell_complete=preset_names,
    help="The words of this preset, after PROMPT; may be given several times.",
)
@click.option("--every", type=int, help="Minutes for each of several prompts, which take turns; 30 unless said.")
@json_option
def add(at: str, prompts: tuple[str, ...], presets: tuple[str, ...], every: int | None, as_json: bool) -> None:
    """From TIME on every day play PROMPT; several take turns.

    infiniloop programme add 07:00 "calm piano"
    """
    if presets:
        from services.controller.presets import open_book

        book, _ = open_book(Paths.from_environment())
        prompts = (*prompts, *(book.find(name).prompt for name in presets))
    if not prompts:
        raise UsageError("Say what shall play from then on: a prompt, or --preset NAME.")
    _do("add", as_json, at=at, prompts=list(prompts), **({} if every is None else {"every": every}))


@programme.command()
@click.argument("at", metavar="TIME")
@json_option
def remove(at: str, as_json: bool) -> None:
    """Take away the entry of TIME."""
    _do("remove", as_json, at=at)


@programme.command()
@json_option
def on(as_json: bool) -> None:
    """Follow the programme, beginning with what it asks for now."""
    _do("on", as_json)


@programme.command()
@json_option
def off(as_json: bool) -> None:
    """Keep to this prompt; the entries stay."""
    _do("off", as_json)


def _do(action: str, as_json: bool, **arguments: Any) -> None:
    """By the station where one runs, else in the file that it will read."""
    paths = Paths.from_environment()
    given = {"action": action, **arguments}
    if is_running(paths):
        answer = ask_station("programme", paths=paths, **given)
        say(answer.text, as_json=as_json, **answer.data)
        return
    from services.controller.programme import as_data, change_programme, idle, programme_change, told

    change, text = programme_change(given)
    paths.create()
    changed = change_programme(paths, change)
    if idle(changed, action):
        text += " The programme is off until `infiniloop programme on`."
    say(text or told(changed), as_json=as_json, programme=as_data(changed))
