"""``infiniloop keys``: who may join the station from another machine."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import click

from services.controller.cli.asking import json_option, say
from shared import settings
from shared.errors import UsageError
from shared.paths import Paths


@click.group(invoke_without_command=True)
@click.pass_context
@json_option
def keys(context: click.Context, as_json: bool) -> None:
    """Let generators on other machines join, and see who may."""
    if context.invoked_subcommand is None:
        context.invoke(listing, as_json=as_json)


@keys.command()
@click.argument("name")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The key file; NAME.key here if not said.")
@json_option
def new(name: str, output: Path | None, as_json: bool) -> None:
    """Make a key for one more machine, and the file that goes there."""
    from shared import keys as store

    paths = Paths.from_environment()
    chosen, _ = settings.load(paths)
    path = output if output is not None else Path(f"{name}.key")
    if path.exists():
        raise UsageError(f"{path} exists already: name another file with -o, or move it away.")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"The folder {path.absolute().parent} does not exist: make it first.")
    made = store.new_guest(paths, name, chosen.controller.jobs_port, chosen.controller.clips_port)
    try:
        made.write(path)
    except BaseException:
        store.remove_guest(paths, name)  # a key that nobody holds shall not stay
        raise
    if as_json:
        say(f"{path} lets one generator join.", as_json=True, name=name, file=str(path.absolute()))
        return
    click.echo(f"{path} lets one generator join. Bring it to the other machine in private, and there say:")
    click.echo(f"  infiniloop generator --connect {socket.gethostname()} --key {path.name}")
    if not chosen.controller.lan:
        click.echo("The station does not hear other machines yet: `infiniloop set lan on`.")


@keys.command("list")
@json_option
def listing(as_json: bool = False) -> None:
    """Who may join."""
    from shared import keys as store

    guests = store.guests(Paths.from_environment())
    if as_json:
        say("", as_json=True, keys=[{"name": each.name, "since": round(each.since, 3)} for each in guests])
        return
    if not guests:
        click.echo("No other machine may join. `infiniloop keys new NAME` makes a key for one.")
    for each in guests:
        click.echo(f"{each.name}  since {time.strftime('%Y-%m-%d', time.localtime(each.since))}")


@keys.command()
@click.argument("name")
@json_option
def remove(name: str, as_json: bool) -> None:
    """Shut one machine out."""
    from shared import keys as store

    store.remove_guest(Paths.from_environment(), name)
    say(f"{name} may join no longer; a connection that it has ends within a second.", as_json=as_json, name=name)
