"""``infiniloop stats``: what making music costs on this machine."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from services.controller.cli.asking import ask_station, is_running, json_option, say
from services.controller.counting import number_of
from services.controller.statistics import Ledger, Row, advice, estimate, summarise
from services.controller.statistics.load import Load, measure
from shared import settings
from shared.durable import replace_file
from shared.errors import InfiniLoopError, UsageError
from shared.paths import Paths
from shared.settings import Settings


@click.command()
@json_option
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE.png", help="Draw the figures.")
@click.option("--clear", is_flag=True, help="Forget everything so far.")
def stats(as_json: bool, plot: Path | None, clear: bool) -> None:
    """Show what making music costs on this machine.

    Each backend, model, precision and length by itself; time for downloads is left out. What follows for the chosen
    settings, and how busy the machine is, come below. `infiniloop set statistics off` keeps nothing more.
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
    backend, song_s = _backend(chosen, rows), chosen.player.min_duration
    found = estimate(rows, backend, chosen.generator.model, chosen.generator.duration, song_s)
    sentence, load = advice(found, song_s), _load(paths)
    if plot is not None:
        _write_plot(plot, rows)
    if as_json:
        say(
            sentence,
            as_json=True,
            kept=chosen.controller.statistics,
            rows=msgspec.to_builtins(rows),
            estimate=msgspec.to_builtins(found),
            advice=sentence,
            machine=msgspec.to_builtins(load),
        )
        return
    if not rows:
        click.echo("Nothing has been made yet.")
    for row in rows:
        _show(row)
    click.echo(sentence)
    click.echo(_busy(load))
    if not chosen.controller.statistics:
        click.echo("Nothing more is kept: `infiniloop set statistics on` changes that.")


def name_of(row: Row) -> str:
    """Maker and length: ``musicgen small int8, 12 s``."""
    maker = " ".join(word for word in (row.backend, row.model, row.precision) if word)
    return f"{maker}, {row.seconds} s"


def _backend(chosen: Settings, rows: list[Row]) -> str:
    """Whose figures the estimate is of: with ``auto`` the one that was used most."""
    backend = chosen.generator.backend
    if backend != "auto":
        return backend
    return rows[0].backend if rows else "composer"


def _load(paths: Paths) -> Load:
    services: list[int] = []
    if is_running(paths):
        try:
            services = [each["pid"] for each in ask_station("status", paths=paths).data["services"].values()]
        except InfiniLoopError:  # the machine's own figures are still worth showing
            services = []
    return measure(services)


def _busy(load: Load) -> str:
    machine = f"The machine is at {load.cpu_percent:.0f} % of its processors, {load.memory_percent:.0f} % of its memory"
    if load.station_cpu_percent is None or load.station_rss_bytes is None:
        return f"{machine}; no station runs."
    return (
        f"{machine}; the station's part is {load.station_cpu_percent:.0f} % and {load.station_rss_bytes / 1e6:.0f} MB."
    )


def _show(row: Row) -> None:
    click.secho(f"{name_of(row)}: {row.count} made, {row.accepted} good", bold=True)
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


def _write_plot(path: Path, rows: list[Row]) -> None:
    if path.suffix.lower() != ".png":
        raise UsageError(f"{path} is no name for a picture: let it end in .png.")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file in it.")
    known = [row for row in rows if row.generation_median_s is not None]
    if not known:
        raise UsageError("There is nothing to draw yet: nothing has been made.")
    from services.controller.statistics.plot import draw

    replace_file(path.absolute(), draw({name_of(row): row for row in known}))
    click.echo(f"Drew {number_of(len(known), 'row')} into {path}.", err=True)
