"""``infiniloop service NAME``: one of the station's processes in the foreground."""

from __future__ import annotations

import importlib
import logging
import os
import sys

import click

from shared import settings
from shared.errors import LockedError
from shared.paths import Paths
from shared.runtime import lifeline, locks, memory, supervisor
from shared.topology import SERVICES

log = logging.getLogger(__name__)


@click.command()
@click.argument("name", type=click.Choice(tuple(SERVICES)))
@click.option("--bare", is_flag=True, help="Without the parent that begins it again when it ends.")
def service(name: str, bare: bool) -> None:
    """Run one service in the foreground.

    Each line of the Procfile does this.
    """
    if not bare:
        sys.exit(supervisor.supervise((sys.executable, "-m", "services", "service", name, "--bare"), name))
    if parent := os.environ.pop(supervisor.PARENT_VARIABLE, ""):
        lifeline.end_with_parent(int(parent))
    memory.keep_flat()
    paths = Paths.from_environment()
    paths.create()
    lock = locks.FileLock(paths.runtime, name)
    try:
        lock.acquire()
    except LockedError as error:
        click.echo(f"infiniloop: {error}", err=True)
        sys.exit(supervisor.LOCKED_CODE)
    with lock:
        chosen, problems = settings.load(paths)
        for problem in problems:
            log.warning("%s", problem)
        importlib.import_module(SERVICES[name].module).run(paths, chosen)
