"""How every command speaks with the running station, and how it speaks to the listener."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from shared.errors import InfiniLoopError, LinkError, NotRunningError, UsageError
from shared.paths import Paths
from shared.runtime.locks import is_locked
from shared.topology import SERVICES

if TYPE_CHECKING:
    from shared.messages import Answer

ANSWER_WITHIN_S = 5.0
AWAY_WITHIN_S = 2.0
"""A controller that has died is back within a second; a command waits this long for it and is given up then."""
NOT_RUNNING = "No station runs in this home: begin one with `infiniloop start`."
AWAY = "The station’s controller is away, so nothing was done: try again in a moment; the station’s log says more."


def is_running(paths: Paths) -> bool:
    """Whether a station holds this home; its controller may be about to begin again."""
    return any(is_locked(paths.runtime, name) for name in ("station", *SERVICES))


def ask_station(
    name: str, *, timeout_s: float = ANSWER_WITHIN_S, paths: Paths | None = None, **arguments: Any
) -> Answer:
    """Ask the running station; returns its answer.

    Raises
    ------
    NotRunningError
        No station runs in this home, or its controller is away. The command will not be done later either.
    InfiniLoopError
        It refused, in its own words and with its own exit code; or it did not answer.
    """
    from shared.bus import ask
    from shared.messages import Command

    paths = paths or Paths.from_environment()
    if not is_running(paths):
        raise NotRunningError(NOT_RUNNING)
    command = Command(command_id=f"cli-{os.getpid()}-{os.urandom(4).hex()}", name=name, arguments=arguments)
    heard_within_s = timeout_s if is_locked(paths.runtime, "controller") else min(AWAY_WITHIN_S, timeout_s)
    try:
        answer = ask(paths, command, timeout_s=timeout_s, heard_within_s=heard_within_s)
    except LinkError:
        raise NotRunningError(AWAY if is_running(paths) else NOT_RUNNING) from None
    if answer is None:
        if not is_running(paths):
            raise NotRunningError(NOT_RUNNING)
        raise InfiniLoopError(
            f"The station did not answer within {timeout_s:g} s: try again, or end it with `infiniloop shutdown`."
        )
    if not answer.ok:
        raise Refused(answer)
    return answer


class PromptCommand(click.Command):
    """A command that takes a prompt: words that look like an option are answered with the way to give them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if (words := self._words_like_an_option(args)) is not None:
            raise UsageError(
                f"{words} is no option of {ctx.command_path}: a prompt that begins with - comes after --, "
                f'as in {ctx.command_path} -- "-words".'
            )
        return super().parse_args(ctx, args)

    def _words_like_an_option(self, args: list[str]) -> str | None:
        """The first of several words in one argument that click would take for options, were it only by a letter."""
        takes_next = {
            name for each in self.params if isinstance(each, click.Option) and not each.is_flag for name in each.opts
        }
        for before, word in zip(["", *args], args, strict=False):
            if word == "--":
                return None
            if word.startswith("-") and " " in word.partition("=")[0] and before not in takes_next:
                return word.split()[0]
        return None


class Refused(InfiniLoopError):
    """The station said no; its exit code is the command's."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.text)
        self.exit_code = answer.exit_code or 1  # type: ignore[misc]


def ask_listener(question: str, otherwise: str) -> str:
    """Put a question and return what was typed: in the shell by its own line, else on a terminal.

    Raises
    ------
    UsageError
        Nobody is there who could answer; it says ``otherwise``.
    click.Abort
        Ctrl-C or Ctrl-D.
    """
    ask: Callable[[str], str] | None = click.get_current_context().find_root().obj
    if ask is None and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(otherwise)
    try:
        if ask is not None:
            return ask(question).strip()
        click.echo(question, nl=False, err=True)
        return input().strip()
    except (EOFError, KeyboardInterrupt):
        raise click.Abort from None


def say(text: str, *, as_json: bool, **data: Any) -> None:
    """The answer on standard output: one object on the last line, or a sentence."""
    if as_json:
        click.echo(json.dumps({"ok": True, "text": text, **data}, ensure_ascii=False))
    else:
        click.echo(text)


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on the last line.")
