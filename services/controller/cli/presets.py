"""``infiniloop presets``: list, show, add, edit, remove, reset, export and import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import msgspec

from services.controller.cli.completion import preset_names
from services.controller.presets import store
from services.controller.presets.store import CATEGORIES, MergeRule, Preset, PresetBook
from shared.errors import UsageError
from shared.paths import Paths


@click.group(invoke_without_command=True)
@click.pass_context
@click.option("--category", help="Only this category.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on the last line.")
def presets(context: click.Context, category: str | None, as_json: bool) -> None:
    """List, show and change the presets, which are named prompts.

    Play one with `infiniloop start --preset NAME`.
    """
    if context.invoked_subcommand is not None:
        return
    if category is not None and category not in CATEGORIES:
        raise UsageError(f"There is no category {category!r}: choose {', '.join(CATEGORIES)}.")
    book = _open()
    chosen = [p for p in book.presets.values() if category in (None, p.category)]
    if as_json:
        click.echo(json.dumps({"presets": msgspec.to_builtins(chosen)}, ensure_ascii=False))
        return
    for key, title in CATEGORIES.items():
        if members := [p for p in chosen if p.category == key]:
            click.secho(f"\n{title}", bold=True)
            for preset in members:
                mark = "" if book.catalogue.get(preset.name) == preset else " *"
                click.echo(f"  {preset.name:<24} {preset.title}{mark}")


@presets.command()
@click.argument("name", shell_complete=preset_names)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on the last line.")
def show(name: str, as_json: bool) -> None:
    """Show one preset whole."""
    found = _open().find(name)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(found), ensure_ascii=False))
        return
    click.secho(f"{found.title} ({found.name})", bold=True)
    click.echo(found.prompt)
    for key, value in found.settings.items():
        click.echo(f"  {key} = {value}")


_SETTING = click.option(
    "--set", "given", multiple=True, metavar="KEY=VALUE", help="A setting that it carries; repeatable."
)


@presets.command()
@click.argument("name")
@click.argument("prompt")
@click.option("--title", default="", help="What the list shows; the name by default.")
@click.option("--category", default="own", show_default=True, help="Where the list shows it.")
@_SETTING
def add(name: str, prompt: str, title: str, category: str, given: tuple[str, ...]) -> None:
    """Add a preset of your own."""
    preset = Preset(name=name, title=title or name, prompt=prompt, category=category, settings=_pairs(given))
    _change(_open().add(preset), f"Added {store.check(preset).name}.")


@presets.command()
@click.argument("name", shell_complete=preset_names)
@click.option("--prompt", help="The new words.")
@click.option("--title", help="What the list shows.")
@click.option("--category", help="Where the list shows it.")
@_SETTING
def edit(name: str, prompt: str | None, title: str | None, category: str | None, given: tuple[str, ...]) -> None:
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
    _change(_open().edit(name, **changes), f"Changed {name}.")


@presets.command()
@click.argument("name", shell_complete=preset_names)
def remove(name: str) -> None:
    """Take a preset away; it comes back with `reset`."""
    book = _open()
    found = book.find(name)
    _change(book.remove(name), f"Removed {found.name}; `infiniloop presets reset {found.name}` brings it back.")


@presets.command()
@click.argument("name", required=False)
def reset(name: str | None) -> None:
    """Bring ours back as they were: one, or all.

    Your own stay; one of them that was removed comes back by its NAME.
    """
    _change(_open().reset(name), f"Reset {name or 'all of the station’s own presets'}.")


@presets.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--own", is_flag=True, help="Only those that you added or changed.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
def export_(file: Path, own: bool, force: bool) -> None:
    """Write presets to a JSON file."""
    if file.exists() and not force:
        raise UsageError(f"{file} exists: choose another name, or say --force.")
    click.echo(f"Wrote {store.export(_open(), file, own_only=own)} presets to {file}.")


@presets.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--rule",
    type=click.Choice([rule.value for rule in MergeRule]),
    default=MergeRule.NEW_ONLY.value,
    show_default=True,
    help="With names that exist: take the imported, keep yours, or replace everything by the file.",
)
def import_(file: Path, rule: str) -> None:
    """Take on presets from a JSON file, all or none."""
    imported = store.load(file)
    _change(_open().merge(imported, MergeRule(rule)), f"Read {len(imported)} presets from {file}.")


def _open() -> PresetBook:
    book, problem = store.open_book(Paths.from_environment())
    if problem:
        click.echo(f"infiniloop: {problem}", err=True)
    return book


def _change(book: PresetBook, sentence: str) -> None:
    store.save(Paths.from_environment(), book)
    click.echo(sentence)


def _pairs(given: tuple[str, ...]) -> dict[str, str | int | float | bool]:
    pairs: dict[str, str | int | float | bool] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--set wants KEY=VALUE, not {pair!r}.")
        pairs[key.strip()] = value.strip()
    return pairs
