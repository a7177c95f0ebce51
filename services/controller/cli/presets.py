"""``infiniloop presets``: list, show, add, edit, remove, reset, export and import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from services.controller.cli.asking import json_option, say
from services.controller.cli.completion import preset_names
from services.controller.counting import number_of
from services.controller.presets import store
from services.controller.presets.store import CATEGORIES, MergeRule, Preset, PresetBook
from shared.errors import UsageError
from shared.paths import Paths

_CATEGORY = click.option(
    "--category", type=click.Choice(tuple(CATEGORIES)), metavar="NAME", help=f"Only this one: {', '.join(CATEGORIES)}."
)


@click.group(invoke_without_command=True)
@click.pass_context
@_CATEGORY
@json_option
def presets(context: click.Context, category: str | None, as_json: bool) -> None:
    """List, show and change the presets, which are named prompts.

    Play one with `infiniloop start --preset NAME`. The settings that it carries hold while it plays: with another
    prompt yours are back, and one that you set meanwhile is yours.
    """
    if context.invoked_subcommand is None:
        _list(category, as_json=as_json)


@presets.command(name="list")
@_CATEGORY
@json_option
def list_(category: str | None, as_json: bool) -> None:
    """List the presets; a star marks those that you added or changed."""
    _list(category, as_json=as_json)


def _list(category: str | None, *, as_json: bool) -> None:
    book = _open()
    chosen = [p for p in book.presets.values() if category in (None, p.category)]
    if as_json:
        say("", as_json=True, presets=msgspec.to_builtins(chosen))
        return
    for key, title in CATEGORIES.items():
        if members := [p for p in chosen if p.category == key]:
            click.secho(f"\n{title}", bold=True)
            for preset in members:
                mark = "" if book.catalogue.get(preset.name) == preset else " *"
                click.echo(f"  {preset.name:<24} {preset.title}{mark}")


@presets.command()
@click.argument("name", shell_complete=preset_names)
@json_option
def show(name: str, as_json: bool) -> None:
    """Show one preset whole."""
    found = _open().find(name)
    if as_json:
        say(found.title, as_json=True, **msgspec.to_builtins(found))
        return
    click.secho(f"{found.title} ({found.name})", bold=True)
    click.echo(found.prompt)
    if found.settings:
        click.echo("While it plays:")
    for key, value in found.settings.items():
        click.echo(f"  {key} = {value:g}" if isinstance(value, float) else f"  {key} = {value}")


_SETTING = click.option(
    "--set", "given", multiple=True, metavar="KEY=VALUE", help="A setting that holds while it plays; repeatable."
)


@presets.command()
@click.argument("name")
@click.argument("prompt")
@click.option("--title", default="", help="What the list shows; the name by default.")
@click.option("--category", default="own", show_default=True, help="Where the list shows it.")
@_SETTING
@json_option
def add(*, name: str, prompt: str, title: str, category: str, given: tuple[str, ...], as_json: bool) -> None:
    """Add a preset of your own."""
    preset = Preset(name=name, title=title or name, prompt=prompt, category=category, settings=_pairs(given))
    _change(_open().add(preset), f"Added {store.check(preset).name}.", as_json=as_json)


@presets.command()
@click.argument("name", shell_complete=preset_names)
@click.option("--prompt", help="The new words.")
@click.option("--title", help="What the list shows.")
@click.option("--category", help="Where the list shows it.")
@_SETTING
@json_option
def edit(
    *, name: str, prompt: str | None, title: str | None, category: str | None, given: tuple[str, ...], as_json: bool
) -> None:
    """Change a preset, ours or yours."""
    changes: dict[str, Any] = {
        "prompt": prompt,
        "title": title,
        "category": category,
        "settings": _pairs(given) or None,
    }
    changes = {key: value for key, value in changes.items() if value is not None}
    if not changes:
        raise UsageError("Say what to change: --prompt, --title, --category or --set KEY=VALUE.")
    _change(_open().edit(name, **changes), f"Changed {name}.", as_json=as_json)


@presets.command()
@click.argument("name", shell_complete=preset_names)
@json_option
def remove(name: str, as_json: bool) -> None:
    """Take a preset away; it comes back with `reset`."""
    book = _open()
    found = book.find(name)
    _change(
        book.remove(name),
        f"Removed {found.name}; `infiniloop presets reset {found.name}` brings it back.",
        as_json=as_json,
    )


@presets.command()
@click.argument("name", required=False)
@json_option
def reset(name: str | None, as_json: bool) -> None:
    """Bring ours back as they were: one, or all.

    Your own stay; one of them that was removed comes back by its NAME.
    """
    _change(_open().reset(name), f"Reset {name or 'all of the station’s own presets'}.", as_json=as_json)


@presets.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--own", is_flag=True, help="Only those that you added or changed.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
@json_option
def export_(file: Path, own: bool, force: bool, as_json: bool) -> None:
    """Write presets to a JSON file."""
    if file.exists() and not force:
        raise UsageError(f"{file} exists: choose another name, or say --force.")
    count = store.export(_open(), file, own_only=own)
    say(f"Wrote {number_of(count, 'preset')} to {file}.", as_json=as_json, file=str(file.absolute()), presets=count)


@presets.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--rule",
    type=click.Choice([rule.value for rule in MergeRule]),
    default=MergeRule.NEW_ONLY.value,
    show_default=True,
    help="With names that exist: take the imported, keep yours, or replace everything by the file.",
)
@json_option
def import_(file: Path, rule: str, as_json: bool) -> None:
    """Take on presets from a JSON file, all or none."""
    imported = store.load(file)
    _change(
        _open().merge(imported, MergeRule(rule)),
        f"Read {number_of(len(imported), 'preset')} from {file}.",
        as_json=as_json,
    )


def _open() -> PresetBook:
    book, problem = store.open_book(Paths.from_environment())
    if problem:
        click.echo(f"infiniloop: {problem}", err=True)
    return book


def _change(book: PresetBook, sentence: str, *, as_json: bool) -> None:
    store.save(Paths.from_environment(), book)
    say(sentence, as_json=as_json)


def _pairs(given: tuple[str, ...]) -> dict[str, str | int | float | bool]:
    pairs: dict[str, str | int | float | bool] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--set wants KEY=VALUE, not {pair!r}.")
        pairs[key.strip()] = value.strip()
    return pairs
