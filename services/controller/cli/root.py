"""The command ``infiniloop``: finds each command's module only when that command is asked for."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from types import MappingProxyType

import click

from shared import __version__
from shared.errors import InfiniLoopError

COMMANDS = MappingProxyType(
    {
        "presets": "services.controller.cli.presets:presets",
        "service": "services.controller.cli.service:service",
    }
)
"""Where each command lives, ``module:attribute``."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used, so that each starts in the time of its own imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="infiniloop")
def infiniloop() -> None:
    """INFINI LOOP: a local, private, infinite music station."""


def main() -> None:
    """Run one command; an error of ours is one sentence on standard error and its own exit code."""
    logging.basicConfig(
        level=logging.DEBUG if os.environ.get("INFINILOOP_DEBUG") else logging.INFO,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    try:
        infiniloop.main(prog_name="infiniloop", standalone_mode=False)
    except click.exceptions.Exit as ending:
        sys.exit(ending.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except InfiniLoopError as error:
        click.echo(f"infiniloop: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output has gone, as in `infiniloop settings | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
