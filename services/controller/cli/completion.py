"""Completion in the interactive shell: commands and options from click itself, settings, presets and files."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

import click
from click.shell_completion import CompletionItem, ShellComplete
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from shared import settings
from shared.errors import SettingError


class ShellCompleter(Completer):
    """Completes the word before the cursor."""

    def __init__(self, root: click.Group) -> None:
        self._click = ShellComplete(root, {}, "infiniloop", "_INFINILOOP_COMPLETE")
        self._files = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        split = _split(document.text_before_cursor)
        if split is None:
            return
        before, word = split
        if before[:1] == ["set"] and len(before) <= 2:
            yield from _completions(_settings(before[1:]), word)
            return
        items = [*_extra(before), *self._click.get_completions(before, word)]
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


def _extra(before: list[str]) -> list[CompletionItem]:
    if before and before[-1] == "--preset":
        from services.controller.presets.store import read_catalogue

        return [CompletionItem(name, help=preset.title) for name, preset in read_catalogue().items()]
    return [CompletionItem(word, help="leave") for word in ("quit", "help")] if not before else []


def _settings(given: list[str]) -> list[CompletionItem]:
    if not given:
        return [CompletionItem(each.name, help=each.help) for each in settings.fields()]
    try:
        chosen = settings.find_field(given[0])
    except SettingError:
        return []
    return [CompletionItem(value) for value in chosen.choices]


def _completions(items: Iterable[CompletionItem], word: str) -> Iterator[Completion]:
    for item in items:
        value = str(item.value)
        if value.startswith(word):
            yield Completion(value, start_position=-len(word), display_meta=item.help or "")
