"""Completion: the words that may come next, for every shell, and ``infiniloop completion`` that installs it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

import click
from click.shell_completion import CompletionItem

from shared import settings
from shared.errors import SettingError, StoreError, UsageError

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

VARIABLE = "_INFINILOOP_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
_BEGINNINGS = MappingProxyType(
    {
        "bash": (".bashrc", 'eval "$(infiniloop completion bash)"'),
        "zsh": (
            ".zshrc",
            '(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\neval "$(infiniloop completion zsh)"',
        ),
        "fish": (".config/fish/completions/infiniloop.fish", "infiniloop completion fish | source"),
    }
)
"""Where each shell reads on its start, and what it is to read there."""


@click.command()
@click.argument("shell", required=False, type=click.Choice(SHELLS))
@click.option("--install", is_flag=True, help="Have every new shell complete, by a line in its start-up file.")
def completion(shell: str | None, install: bool) -> None:
    """Print or install completion for bash, zsh or fish.

    Without SHELL it is the one that you use: infiniloop completion --install.
    """
    from click.shell_completion import get_completion_class

    from services.controller.cli.root import infiniloop

    shell = shell or Path(os.environ.get("SHELL", "")).name
    complete = get_completion_class(shell)
    if complete is None or shell not in SHELLS:
        raise UsageError(f"Say which shell, {', '.join(SHELLS)}: infiniloop completion bash --install.")
    if not install:
        # click has fish cut each answer at all of its commas, and with it the descriptions.
        source = complete(infiniloop, {}, "infiniloop", VARIABLE).source()
        click.echo(source.replace('string split "," $', 'string split --max 1 "," $'))
        return
    click.echo(_install(shell, Path.home()))


def _install(shell: str, home: Path) -> str:
    """Add what the shell is to read, once; returns the sentence that says so."""
    name, line = _BEGINNINGS[shell]
    path = home / name
    try:
        there = path.read_text() if path.exists() else ""
        if line in there:
            return f"{path} has it already: open a new {shell}."
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(f"{'' if there.endswith(chr(10)) or not there else chr(10)}{line}\n")
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({(error.strerror or str(error)).lower()}).") from error
    return f"Added to {path}: open a new {shell}, and Tab completes."


def files(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Files and folders, as the shell knows them."""
    return [CompletionItem(begun, type="file")]


def setting_names(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Names of settings."""
    return [CompletionItem(each.name, help=each.help) for each in settings.fields() if each.name.startswith(begun)]


def setting_values(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """What the setting that was named may be."""
    return _values(str(context.params.get("key") or ""), begun)


def values_of(key: str) -> Complete:
    """What this setting may be."""
    return lambda _context, _parameter, begun: _values(key, begun)


def preset_names(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Names of presets, the listener's own among them."""
    from services.controller.presets.store import open_book
    from shared.paths import Paths

    book, _ = open_book(Paths.from_environment())
    found = book.presets.values()
    return [CompletionItem(preset.name, help=preset.title) for preset in found if preset.name.startswith(begun)]


def _values(key: str, begun: str) -> list[CompletionItem]:
    try:
        chosen = settings.find_field(key)
    except SettingError:
        return []
    return [CompletionItem(value) for value in chosen.choices if value.startswith(begun)]
