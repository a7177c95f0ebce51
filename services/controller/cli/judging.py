"""The commands for what one thinks of a loop: like, dislike, play, again."""

from __future__ import annotations

from typing import Any

import click

from services.controller.cli.asking import ask_station, is_running, json_option, say
from shared.errors import NotRunningError, UsageError
from shared.paths import Paths

_LOOP = click.argument("loop", nargs=-1, metavar="[LOOP]")
_PREVIOUS = click.option("--previous", is_flag=True, help="The loop before the one that plays.")
_UNDO = click.option("--undo", is_flag=True, help="Take it back.")


@click.command()
@_LOOP
@_PREVIOUS
@_UNDO
@json_option
def like(loop: tuple[str, ...], previous: bool, undo: bool, as_json: bool) -> None:
    """Like the loop that plays: it is kept for good.

    LOOP is another one's number, identifier or title in the library.
    """
    _judge("like", loop, previous=previous, undo=undo, as_json=as_json)


@click.command()
@_LOOP
@_PREVIOUS
@_UNDO
@json_option
def dislike(loop: tuple[str, ...], previous: bool, undo: bool, as_json: bool) -> None:
    """Dislike the loop that plays: it never plays again.

    LOOP is another one's number, identifier or title in the library.
    """
    _judge("dislike", loop, previous=previous, undo=undo, as_json=as_json)


@click.command()
@click.argument("loop", nargs=-1, required=True, metavar="LOOP")
@json_option
def play(loop: tuple[str, ...], as_json: bool) -> None:
    """Play a loop of the library, at the next bar.

    LOOP is its number, identifier or title; `infiniloop library search` finds it.
    """
    answer = ask_station("play", loop=" ".join(loop))
    say(answer.text, as_json=as_json, **answer.data)


@click.command()
@_LOOP
@_PREVIOUS
@click.option("--new-seed", is_flag=True, help="Another one by the same recipe.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="The same recipe with this seed.")
@json_option
def again(loop: tuple[str, ...], previous: bool, new_seed: bool, seed: int | None, as_json: bool) -> None:
    """Make a loop again: the same recipe, or another seed.

    Without LOOP it is the one that plays. What is still in the library is played again, not made again.
    """
    if loop and previous:
        raise UsageError("Name a loop or say --previous, not both.")
    if new_seed and seed is not None:
        raise UsageError("Give --seed or --new-seed, not both.")
    given: dict[str, Any] = {"loop": " ".join(loop)} if loop else {"previous": previous}
    answer = ask_station("again", new_seed=new_seed, seed=seed, **given)
    say(answer.text, as_json=as_json, **answer.data)


def _judge(name: str, loop: tuple[str, ...], *, previous: bool, undo: bool, as_json: bool) -> None:
    paths = Paths.from_environment()
    if loop and previous:
        raise UsageError("Name a loop or say --previous, not both.")
    given: dict[str, Any] = {"loop": " ".join(loop)} if loop else {"previous": previous}
    if is_running(paths):
        answer = ask_station(name, paths=paths, undo=undo, **given)
        say(answer.text, as_json=as_json, **answer.data)
        return
    if not loop:
        raise NotRunningError(
            f"No station runs, so nothing plays: name a loop of the library, as in `infiniloop {name} 12`."
        )
    from services.controller.library import DISLIKED, LIKED, NEUTRAL, open_library
    from services.controller.library.entry import described
    from services.controller.library.inquiries import judge, judged

    paths.create()
    library, problem = open_library(paths)
    try:
        if problem:
            click.echo(f"infiniloop: {problem}", err=True)
        verdict = NEUTRAL if undo else LIKED if name == "like" else DISLIKED
        entry = judge(library, given["loop"], verdict)
    finally:
        library.close()
    say(judged(entry), as_json=as_json, loop=described(entry))
