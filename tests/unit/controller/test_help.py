"""The list of commands is true, and their help reads as one hand wrote it."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from services.controller.cli.index import COMMANDS, HEADINGS
from services.controller.cli.root import infiniloop


def _all(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _all(below, f"{path} {name}")


EVERY = dict(_all(infiniloop, "infiniloop"))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_command_says_of_itself(name: str) -> None:
    entry = COMMANDS[name]
    command = infiniloop.get_command(click.Context(infiniloop), name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str(200) == entry.help
    assert command.hidden == (not entry.heading)
    assert entry.heading in (*HEADINGS, "")


@pytest.mark.parametrize("path", EVERY)
def test_every_command_and_option_is_explained_in_sentences(path: str) -> None:
    command = EVERY[path]
    assert command.help is not None
    assert command.help.strip().endswith((".", '"'))
    assert len(command.get_short_help_str(200)) < 80
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{path} {option.opts}"
            assert option.help[0].isupper() or not option.help[0].isalpha(), f"{path} {option.opts}"
            assert option.help.endswith((".", "…", ")")), f"{path} {option.opts}"


def test_the_help_names_every_command_under_its_heading() -> None:
    words = infiniloop.get_help(click.Context(infiniloop, info_name="infiniloop"))
    for name, entry in COMMANDS.items():
        assert (f"  {name} " in words) == bool(entry.heading)
    assert all(f"{heading}:" in words for heading in HEADINGS)
