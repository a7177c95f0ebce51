"""``infiniloop stats``: what making music costs on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import click
import msgspec

from services.controller.statistics import Ledger, Row, advice, estimate, summarise
from shared import settings
from shared.errors import StoreError, UsageError
from shared.paths import Paths


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on the last line.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the figures into a PNG.")
@click.option("--clear", is_flag=True, help="Forget everything so far.")
def stats(as_json: bool, plot: Path | None, clear: bool) -> None:
    """Show what making music costs on this machine.

    Each backend, model, precision and length by itself; time for downloads is left out.
    """
    paths = Paths.from_environment()
    ledger = Ledger(paths.statistics_file)
    try:
        if clear:
            ledger.clear()
        attempts = ledger.all()
    finally:
        ledger.close()
    rows = summarise(attempts)
    chosen, _ = settings.load(paths)
    backend = chosen.generator.backend
    if backend == "auto":
        backend = rows[0].backend if rows else "composer"
    song_s = chosen.player.min_duration
    found = estimate(rows, backend, chosen.generator.model, chosen.generator.duration, song_s)
    sentence = advice(found, song_s)
    if plot is not None:
        _draw(plot, rows)
    if as_json:
        figures = {"rows": msgspec.to_builtins(rows), "estimate": msgspec.to_builtins(found), "advice": sentence}
        click.echo(json.dumps(figures, ensure_ascii=False))
        return
    if not rows:
        click.echo("Nothing has been made yet.")
    for row in rows:
        _show(row)
    click.echo(sentence)


def _show(row: Row) -> None:
    click.secho(f"{_name(row)}: {row.count} made, {row.accepted} good", bold=True)
    if row.generation_median_s is not None:
        click.echo(
            f"  made in {row.generation_median_s:.1f} s (nine in ten within {row.generation_p90_s:.1f} s), "
            f"{row.real_time_factor:.2f} × real time"
        )
    if row.analysis_median_s is not None:
        click.echo(f"  analysed in {row.analysis_median_s:.2f} s (nine in ten within {row.analysis_p90_s:.2f} s)")
    if row.rejections:
        click.echo("  rejected: " + ", ".join(f"{count} {reason}" for reason, count in row.rejections.items()))
    if row.failed:
        click.echo(f"  failed: {row.failed}")
    if row.download_s:
        click.echo(f"  downloads: {row.download_s:.0f} s")


def _name(row: Row) -> str:
    maker = " ".join(word for word in (row.backend, row.model, row.precision) if word)
    return f"{maker}, {row.seconds} s"


def _draw(path: Path, rows: list[Row]) -> None:
    """A bar for each row: the median, with a line up to the time that nine in ten stay within."""
    known = [row for row in rows if row.generation_median_s is not None]
    if not known:
        raise UsageError("There is nothing to draw yet: nothing has been made.")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.2 + 0.5 * len(known)), layout="constrained")
    axes = figure.subplots()
    medians = [row.generation_median_s or 0.0 for row in known]
    axes.barh([_name(row) for row in known], medians, color="#5b8def")
    for place, row in enumerate(known):
        axes.plot([row.generation_median_s or 0.0, row.generation_p90_s or 0.0], [place, place], color="#1d2b4f")
        axes.plot([row.seconds, row.seconds], [place - 0.4, place + 0.4], color="#d1495b")
    axes.invert_yaxis()
    axes.set_xlabel("seconds to make one clip: median, up to nine in ten; red: the clip's own length")
    try:
        figure.savefig(path, dpi=120, format="png")
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({(error.strerror or str(error)).lower()}).") from error
