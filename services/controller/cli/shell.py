"""The interactive shell: every command of the command line, with history, completion and one live line.

A line is given to the same click commands that the terminal runs, so the two cannot drift apart.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator

import click

from services.controller.cli.live import LiveStatus, live_line
from services.controller.cli.root import infiniloop, run_command
from shared import __version__, settings
from shared.errors import InfiniLoopError, SettingError
from shared.paths import Paths
from shared.runtime.locks import is_locked

GREETING = """\
INFINI LOOP {version}: music that goes on.
Say what you would like to hear:  start 'calm piano, rain on the window'
skip, pause, hold, stop, save FILE, set, status; help lists all; Tab completes.
The page and the stream: {url}
quit leaves this shell; the music may go on."""
LEAVING = ("quit", "exit", "bye")
PROMPT = "infini> "


class Shell:
    """Reads lines until the listener leaves. ``ask`` puts a question and returns what was typed."""

    def __init__(self, paths: Paths, live: LiveStatus, ask: Callable[[str], str]) -> None:
        self._paths, self._live, self._ask = paths, live, ask

    def obey(self, line: str) -> bool:
        """Carry out one line; False when the listener leaves. What is wrong is one sentence, and the shell goes on."""
        try:
            words = shlex.split(line, comments=False)
        except ValueError:
            click.echo("A quotation mark has no partner: close it, or write the line without it.", err=True)
            return True
        if words[:1] == ["infiniloop"]:
            words = words[1:]
        if not words:
            return True
        match words:
            case [word, *_] if word in LEAVING:
                return not self._leave()
            case ["help"] | ["?"]:
                run_command(["--help"])
            case ["help" | "?", *names]:
                run_command([*names, "--help"])
            case ["set", *given] if len(given) < 2:
                self._ask_for_setting(given)
            case _:
                run_command(words)
        return True

    def _ask_for_setting(self, given: list[str]) -> None:
        """``set`` without a value: name the setting, what it is and what it may be; then ask."""
        try:
            if not given:
                width = max(len(each.name) for each in settings.fields())
                for each in settings.fields():
                    click.echo(f"  {each.name:<{width}}  {each.help}")
            name = given[0] if given else self._ask("Which setting? ").strip()
            if not name:
                return
            chosen = settings.find_field(name)
            now = settings.read_value(settings.load(self._paths)[0], chosen)
            click.echo(f"{chosen.name}: {chosen.help}. Now {now}; allowed: {chosen.allowed}.")
            value = self._ask("New value (Enter keeps it): ").strip()
        except (EOFError, KeyboardInterrupt):
            return
        except SettingError as error:
            click.echo(str(error), err=True)
            return
        if value:
            run_command(["set", chosen.name, value])

    def _leave(self) -> bool:
        """Whether to leave; where music plays the listener says what becomes of it."""
        if not self._live.playing:
            return True
        try:
            answer = self._ask("Music plays. [l]eave it playing, [s]hut the station down, or [Enter] to stay? ")
        except (EOFError, KeyboardInterrupt):
            return True
        match answer.strip().lower()[:1]:
            case "l":
                return True
            case "s":
                return run_command(["shutdown"]) == 0
            case _:
                return False


def run_shell() -> int:
    """Greet, start the station if none runs, and read lines until the listener leaves; returns an exit code."""
    paths = Paths.from_environment()
    paths.create()
    if not is_locked(paths.runtime, "controller"):
        click.echo("Starting the station …", err=True)
        if code := run_command(["start"]):
            return code
    with LiveStatus(paths) as live:
        click.echo(GREETING.format(version=__version__, url=live.wait_for_url(5.0) or "not up yet; `status` tells"))
        if not sys.stdin.isatty():
            return _read_plainly(Shell(paths, live, ask=_plain_answer))
        return _read_with_comfort(paths, live)


def _read_plainly(shell: Shell) -> int:
    """Lines from a pipe or a file."""
    for line in sys.stdin:
        if not shell.obey(line):
            break
    return 0


def _plain_answer(question: str) -> str:
    click.echo(question, nl=False)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


def _read_with_comfort(paths: Paths, live: LiveStatus) -> int:
    """Lines from a person: history, completion, and what plays below."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.patch_stdout import patch_stdout

    from services.controller.cli.completion import ShellCompleter

    session: PromptSession[str] = PromptSession(
        history=FileHistory(str(paths.state / "shell_history")),
        auto_suggest=AutoSuggestFromHistory(),
        completer=ShellCompleter(infiniloop),
        complete_while_typing=False,
        bottom_toolbar=lambda: live_line(live.snapshot()),
        refresh_interval=0.5,
    )
    asking: PromptSession[str] = PromptSession()
    shell = Shell(paths, live, ask=asking.prompt)
    with patch_stdout(raw=True):
        while True:
            try:
                line = session.prompt(PROMPT)
            except KeyboardInterrupt:  # the line is given up, the shell is not
                continue
            except EOFError:
                line = "quit"
            with _interruptible():
                if not shell.obey(line):
                    return 0


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C while a command runs ends the command, not the shell."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
    except InfiniLoopError as error:
        click.echo(str(error), err=True)
