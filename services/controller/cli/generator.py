"""``infiniloop generator``: lend this machine's generator to a station on another."""

from __future__ import annotations

import re
from pathlib import Path

import click

from shared import settings
from shared.errors import UsageError
from shared.keys import KeyFile
from shared.paths import Paths
from shared.runtime.locks import FileLock

_HOST = re.compile(r"[0-9A-Za-z][0-9A-Za-z.:%_-]*|\[[0-9A-Fa-f:.%]+\]")


@click.command()
@click.option("--connect", "host", required=True, metavar="HOST", help="The station's machine, by name or number.")
@click.option(
    "--key",
    "key_file",
    required=True,
    type=click.Path(path_type=Path),
    help="The key file that `infiniloop keys new` made there.",
)
def generator(host: str, key_file: Path) -> None:
    """Make music here for a station on another machine.

    Ctrl-C ends it. The line is encrypted; nothing else of this machine can be reached through it.
    """
    from services.generator.remote import run

    if not _HOST.fullmatch(host):
        raise UsageError(f"{host!r} is no address of a machine: give its name or number, without a port.")
    paths = Paths.from_environment()
    paths.create()
    key = KeyFile.read(key_file)
    chosen, problems = settings.load(paths)
    for problem in problems:
        click.echo(problem, err=True)
    with FileLock(paths.runtime, "guest").acquire():
        run(paths, chosen, host.strip("[]"), key)
