"""The shell for a person at a terminal: a line with history and completion, and what plays below it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem, ShellComplete
from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from services.controller.cli.completion import VARIABLE

LEAVING = ("quit", "exit", "q", "bye")


class ShellCompleter(Completer):
    """Completes the word before the cursor: what click knows, files, and the words of the shell itself."""

    def __init__(self, root: click.Group) -> None:
        self._click = ShellComplete(root, {}, "infiniloop", VARIABLE)
        self._files = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        split = _split(document.text_before_cursor)
        if split is None:
            return
        before, word = split
        if before[:1] == ["help"]:
            before = before[1:]
        items = self._click.get_completions(before, word)
        if not before:
            items += [
                CompletionItem("help", help="List the commands, or explain one."),
                CompletionItem("quit", help="Leave."),
            ]
        if any(item.type in ("file", "dir") for item in items):
            yield from self._files.get_completions(Document(word, len(word)), complete_event)
            return
        yield from _completions(items, word)


def _split(text: str) -> tuple[list[str], str] | None:
    """The whole words before, and the beginning of the one at the cursor; None within an open quotation."""
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    if not words or text[-1:].isspace():
        return words, ""
    return words[:-1], words[-1]


def _completions(items: Iterable[CompletionItem], word: str) -> Iterator[Completion]:
    for item in items:
        value = str(item.value)
        if value.startswith(word):
            yield Completion(value, start_position=-len(word), display_meta=item.help or "")


class Comfort:
    """Reads lines and answers to questions; ``below`` is drawn under the line, twice a second."""

    def __init__(self, root: click.Group, history: Path, below: Callable[[], str]) -> None:
        self._lines: PromptSession[str] = PromptSession(
            history=_history(history),
            auto_suggest=AutoSuggestFromHistory(),
            completer=ShellCompleter(root),
            complete_while_typing=False,
            bottom_toolbar=below,
            refresh_interval=0.5,
        )
        self._answers: PromptSession[str] = PromptSession(bottom_toolbar=below, refresh_interval=0.5)

    def line(self, prompt: str) -> str:
        """The next line. Ctrl-C is KeyboardInterrupt, Ctrl-D on an empty line EOFError."""
        return self._lines.prompt(prompt)

    def answer(self, question: str) -> str:
        """An answer, which no history keeps."""
        return self._answers.prompt(question)


def _history(path: Path) -> History:
    """The lines of earlier times; a file that cannot be used costs the history, not the shell."""
    try:
        path.open("ab").close()
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))
