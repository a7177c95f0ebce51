"""``infiniloop save``: the loop that plays, into a file."""

from __future__ import annotations

from pathlib import Path

import click

from services.controller.cli.asking import ask_station, json_option, say

SAVE_WITHIN_S = 60.0


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format", "format_", type=click.Choice(("wav", "flac", "ogg", "mp3")), help="Default: as FILE is named."
)
@click.option("--previous", is_flag=True, help="The loop before the one that plays.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@json_option
def save(file: Path, format_: str | None, previous: bool, force: bool, as_json: bool) -> None:
    """Save the loop that plays to FILE.

    It is exactly one pass, and its first sample is a downbeat.
    """
    answer = ask_station(
        "save",
        timeout_s=SAVE_WITHIN_S,
        file=str(file.expanduser().absolute()),
        format=format_ or "",
        previous=previous,
        force=force,
    )
    say(answer.text, as_json=as_json, **answer.data)
