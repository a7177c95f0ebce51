"""The commands that steer what plays: stop, pause, resume, skip, back, hold, nudge, more."""

from __future__ import annotations

import click

from services.controller.cli.asking import PromptCommand, ask_station, json_option, say


@click.command()
@json_option
def stop(as_json: bool) -> None:
    """Fade to silence; the processes stay.

    The station is silent until `start` or `resume`, also after the machine was off.
    """
    say(ask_station("stop").text, as_json=as_json)


@click.command()
@json_option
def pause(as_json: bool) -> None:
    """Pause at once.

    The stream and recordings are silent too, until `resume`.
    """
    say(ask_station("pause").text, as_json=as_json)


@click.command()
@json_option
def resume(as_json: bool) -> None:
    """Play on."""
    say(ask_station("resume").text, as_json=as_json)


@click.command()
@json_option
def skip(as_json: bool) -> None:
    """Go on to the next song, at the next bar."""
    say(ask_station("skip").text, as_json=as_json)


@click.command()
@json_option
def back(as_json: bool) -> None:
    """Go back to the song before this one, at the next bar."""
    say(ask_station("back").text, as_json=as_json)


@click.command()
@click.argument("switch", type=click.Choice(("on", "off")))
@json_option
def hold(switch: str, as_json: bool) -> None:
    """Stay on this loop, or let songs change again."""
    say(ask_station("hold", on=switch == "on").text, as_json=as_json)


@click.command(cls=PromptCommand)
@click.argument("words", nargs=-1, required=True, metavar="WORDS")
@json_option
def nudge(words: tuple[str, ...], as_json: bool) -> None:
    """Change what plays by a few words.

    infiniloop nudge "darker, slower, no drums"
    """
    say(ask_station("nudge", words=" ".join(words)).text, as_json=as_json)


@click.command()
@json_option
def more(as_json: bool) -> None:
    """Go on with songs like this one.

    The next two grow out of it.
    """
    say(ask_station("more").text, as_json=as_json)
