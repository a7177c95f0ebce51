"""The interactive shell: every command of the command line, with history, completion and one live line.

A line is given to the same click commands that the terminal runs, so the two cannot drift apart.
"""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Callable

import click

from services.controller.cli.comfort import LEAVING, Comfort
from services.controller.cli.live import LiveStatus, live_line
from services.controller.cli.root import INTERRUPTED, infiniloop, run_command
from shared import __version__
from shared.paths import Paths
from shared.runtime.locks import is_locked

GREETING = """\
INFINI LOOP {version}: music that goes on.
Say what you would like to hear:  start 'calm piano, rain on the window'
skip, pause, hold, stop, save FILE, set, status; help lists all; Tab completes.
The page and the stream: {url}
quit leaves this shell; the music may go on."""
PROMPT = "infini> "
LOG_BYTES = 1_000_000


class Shell:
    """Obeys lines. ``ask`` puts a question and returns what was typed."""

    def __init__(self, live: LiveStatus, ask: Callable[[str], str]) -> None:
        self._live, self._ask = live, ask

    def obey(self, line: str) -> bool:
        """Carry out one line; False when the listener leaves. What is wrong is one sentence, and the shell goes on."""
        try:
            words = shlex.split(line, comments=False)
        except ValueError:
            click.echo("A quotation mark has no partner: close it, or write the line without it.", err=True)
            return True
        if words[:1] == ["infiniloop"]:
            words = words[1:]
        match words:
            case []:
                return True
            case [word] if word in LEAVING:
                return not self._leave()
            case [word, *_] if word in LEAVING:
                click.echo(f"{word} takes no words after it.", err=True)
            case ["help" | "?", *names]:
                self._run([*names, "--help"])
            case _:
                self._run(words)
        return True

    def _run(self, words: list[str]) -> int:
        code = run_command(words, self._ask)
        if code == INTERRUPTED:
            click.echo("Interrupted: nothing more was done.", err=True)
        return code

    def _leave(self) -> bool:
        """Whether to leave; where music plays the listener says what becomes of it."""
        if not self._live.playing:
            return True
        try:
            answer = self._ask("Music plays. [l]eave it playing, [s]hut the station down, or [Enter] to stay? ")
        except EOFError:  # Ctrl-D twice is meant; the music goes on
            return True
        except KeyboardInterrupt:
            answer = ""
        match answer.strip().lower()[:1]:
            case "l":
                return True
            case "s":
                return self._run(["shutdown"]) == 0
            case _:
                click.echo("Still here, and the music plays on.")
                return False


def run_shell() -> int:
    """Greet, start the station if none runs, and read lines until the listener leaves; returns an exit code."""
    paths = Paths.from_environment()
    paths.create()
    _log_to_file(paths)
    if not is_locked(paths.runtime, "controller"):
        click.echo("Starting the station …", err=True)
        if (code := run_command(["start"])) not in (0, INTERRUPTED):
            return code
    with LiveStatus(paths) as live:
        try:
            url = live.wait_for_url(5.0)
        except KeyboardInterrupt:
            url = ""
        click.echo(GREETING.format(version=__version__, url=url or "not up yet; `status` tells"))
        if not sys.stdin.isatty():
            return _read_plainly(Shell(live, ask=_plain_answer))
        return _read_with_comfort(paths, live)


def _log_to_file(paths: Paths) -> None:
    """What this process logs goes beside the station's log, not between the lines."""
    path = paths.logs / "shell.log"
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_name("shell.log.1"))
    kind = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(filename=path, level=logging.INFO, format=kind, force=True)


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
    from prompt_toolkit.patch_stdout import patch_stdout

    comfort = Comfort(infiniloop, paths.state / "shell_history", lambda: live_line(live.snapshot()))
    shell = Shell(live, ask=comfort.answer)
    with patch_stdout(raw=True):
        while True:
            try:
                line = comfort.line(PROMPT)
            except KeyboardInterrupt:  # the line is given up, the shell is not
                click.echo("Ctrl-C gives up the line; `quit` or Ctrl-D leaves.", err=True)
                continue
            except EOFError:
                line = "quit"
            try:
                if not shell.obey(line):
                    return 0
            except KeyboardInterrupt:  # between two commands
                continue
