"""A progress bar for downloads and conversions."""

from __future__ import annotations

import sys
import time

import click


class Bar:
    """A progress bar on standard error: a live line on a terminal, a line every ten per cent elsewhere."""

    def __init__(self, label: str, shown: bool) -> None:
        self._label, self._shown = label, shown
        self._live = sys.stderr.isatty()
        self._began = time.monotonic()
        self._first: int | None = None
        self._last = -1

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown and self._live and self._last >= 0:
            click.echo("", err=True)

    def bytes(self, done: int, total: int) -> None:
        if self._first is None:
            self._first = done
        speed = (done - self._first) / max(time.monotonic() - self._began, 1e-3)
        rest = f", {(total - done) / speed / 60:.0f} min to go" if speed > 0 and done < total else ""
        self._show(done / max(total, 1), f"{done / 1e9:.2f} of {total / 1e9:.2f} GB{rest}")

    def fraction(self, done: float) -> None:
        self._show(done, "")

    def _show(self, done: float, words: str) -> None:
        percent = int(done * 100)
        if not self._shown or percent == self._last or (not self._live and percent // 10 == self._last // 10):
            return
        self._last = percent
        if self._live:
            full = "━" * (percent // 4)
            click.echo(f"\r{self._label} {full:<25} {percent:3d} %  {words:<40}", nl=False, err=True)
        else:
            click.echo(f"{self._label} {percent} %  {words}".rstrip(), err=True)
