"""The command ``infiniloop``: finds each command's module only when that command is asked for."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence

import click
from click.shell_completion import CompletionItem

from services.controller.cli.index import COMMANDS, HEADINGS
from shared import __version__
from shared.errors import InfiniLoopError, UsageError


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used, so that each starts in the time of its own imports."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return [name for name, entry in COMMANDS.items() if entry.heading]

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for heading in HEADINGS:
            with formatter.section(heading):
                formatter.write_dl(
                    [(f"{name:<{width}}", entry.help) for name, entry in COMMANDS.items() if entry.heading == heading]
                )

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands from the list, which needs none of them; options as click knows them."""
        named = [CompletionItem(name, help=COMMANDS[name].help) for name in self.list_commands(ctx)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [item for item in named if item.value.startswith(incomplete)] + options

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        entry = COMMANDS[cmd_name]
        if not entry.silent:
            _keep_log()
        module, attribute = entry.where.split(":")
        if module not in sys.modules:
            _load(module)
        command: click.Command = getattr(sys.modules[module], attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean `{near[0]}`?" if near else "`infiniloop --help` lists them."
            raise UsageError(f"There is no command {args[0]!r}: {hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="infiniloop")
@click.pass_context
def infiniloop(context: click.Context) -> None:
    """INFINI LOOP: a local, private, infinite music station.

    Without a command: the interactive shell, which starts the station if none runs.
    """
    if context.invoked_subcommand is None:
        _keep_log()
        from services.controller.cli.shell import run_shell

        context.exit(run_shell())


INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended, as shells have it."""


def run_command(arguments: Sequence[str], ask: Callable[[str], str] | None = None) -> int:
    """Run one command; an error of ours is one sentence on standard error. Returns the exit code.

    ``ask`` puts a question to the listener, where the terminal's own way is not to be used.
    """
    try:
        result = infiniloop.main(list(arguments), prog_name="infiniloop", standalone_mode=False, obj=ask)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 1
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        click.echo(f"infiniloop: {_sentence(error)}", err=True)
        return error.exit_code
    except InfiniLoopError as error:
        click.echo(f"infiniloop: {error}", err=True)
        return error.exit_code
    # click returns an exit code instead of raising where a command ends by `context.exit`.
    return result if isinstance(result, int) else 0


def _sentence(error: click.ClickException) -> str:
    """What click found wrong, in one sentence that says where to read on."""
    words = " ".join(error.format_message().split()).rstrip(".")
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{words}: see `{error.ctx.command_path} --help`."
    return f"{words}."


def _load(module: str) -> None:
    """Import a command's module: what it brings stays until the process ends, so nothing in it is worth collecting."""
    gc.disable()
    try:
        importlib.import_module(module)
    finally:
        gc.freeze()
        gc.enable()


def _keep_log() -> None:
    """Have what is logged told on standard error."""
    import logging

    logging.basicConfig(
        level=logging.INFO,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    if os.environ.get("INFINILOOP_DEBUG"):
        for name in ("services", "shared"):
            logging.getLogger(name).setLevel(logging.DEBUG)


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        code = run_command(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has gone, as in `infiniloop settings | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)
