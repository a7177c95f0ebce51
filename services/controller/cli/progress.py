"""A progress line on standard error, drawn only where somebody looks."""

from __future__ import annotations

import sys
from types import TracebackType

import click

_WIDTH = 24


class ProgressLine:
    """One line that is drawn over and over, and wiped at the end."""

    def __init__(self, count: int = 1) -> None:
        self._count = count
        self._number, self._name = 0, ""
        self._drawn = False

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._drawn:
            click.echo("\r\x1b[2K", nl=False, err=True)

    def begin(self, number: int, name: str) -> None:
        """The next thing is made."""
        self._number, self._name = number, name
        self.show(0.0, "beginning")

    def show(self, fraction: float, stage: str) -> None:
        """Draw how far it is, and what is being done."""
        if not sys.stderr.isatty():
            return
        filled = round(fraction * _WIDTH)
        bar = "━" * filled + "─" * (_WIDTH - filled)
        which = f"{self._number + 1}/{self._count} " if self._count > 1 else ""
        click.echo(f"\r\x1b[2K{which}{self._name} {bar} {fraction:4.0%} {stage}", nl=False, err=True)
        self._drawn = True
