"""The commands for the station's ways: mode, bridge, offline, surprise, sleep."""

from __future__ import annotations

import click

from services.controller.cli.asking import ask_station, is_running, json_option, say
from services.controller.cli.tuning import change_setting
from shared import settings
from shared.paths import Paths

WORDS = {
    "restful": "two songs ahead, then rest; at most a quarter of this machine",
    "evolve": "restful, and each song grows out of the last",
    "flow": "a stream that repeats nothing while the engine keeps ahead",
}


@click.command()
@click.argument("name", required=False, type=click.Choice(tuple(WORDS)), metavar="[restful|evolve|flow]")
@json_option
def mode(name: str | None, as_json: bool) -> None:
    """Show or choose how much is made ahead, and out of what.

    restful keeps two songs ahead and rests; evolve has each song grow out of the last; flow makes a stream in which
    nothing is heard twice while the engine keeps ahead.
    """
    if name is not None:
        say(f"{change_setting('controller.mode', name)} {WORDS[name].capitalize()}.", as_json=as_json, mode=name)
        return
    paths = Paths.from_environment()
    chosen, work = settings.load(paths)[0].controller.mode, None
    if is_running(paths):
        report = ask_station("status", paths=paths).data
        chosen, work = report["mode"], report["work"]
    said = f"{chosen}: {WORDS[chosen]}."
    if work is not None and work["price"] is not None:
        price, share = 100 * work["price"], 100 * work["share_of_hour"]
        said += f" New music takes {price:.1f} % of this machine; of the last hour it took {share:.1f} %."
    say(said, as_json=as_json, mode=chosen, work=work)


@click.command()
@click.argument("switch", required=False, type=click.Choice(("on", "off")))
@json_option
def bridge(switch: str | None, as_json: bool) -> None:
    """Compose something at once while a first song is made, or not.

    Without a word: whether it is so.
    """
    if switch is None:
        on = settings.load(Paths.from_environment())[0].controller.bridge
        say(f"bridge is {_word(on)}.", as_json=as_json, bridge=on)
        return
    say(change_setting("controller.bridge", switch), as_json=as_json, bridge=switch == "on")


@click.command()
@click.argument("switch", required=False, type=click.Choice(("on", "off")))
@json_option
def offline(switch: str | None, as_json: bool) -> None:
    """Keep off the network, or not.

    Nothing is downloaded, and no other machine joins; the library and the backends of this machine play on. Without a
    word: whether it is so.
    """
    if switch is None:
        on = settings.load(Paths.from_environment())[0].generator.offline
        say(f"offline is {_word(on)}.", as_json=as_json, offline=on)
        return
    say(change_setting("generator.offline", switch), as_json=as_json, offline=switch == "on")


def _word(on: bool) -> str:
    return "on" if on else "off"


@click.command()
@click.argument("switch", required=False, type=click.Choice(("on", "off")))
@json_option
def surprise(switch: str | None, as_json: bool) -> None:
    """Play a preset at random.

    on: another one every few songs; off: this one stays.

    Its words are taken, your settings stay. Styles that do poorly on this machine are never drawn.
    """
    answer = ask_station("surprise", on=None if switch is None else switch == "on")
    say(answer.text, as_json=as_json, **answer.data)


@click.command()
@click.argument("time", required=False, metavar="[30m|1h30m|off]")
@json_option
def sleep(time: str | None, as_json: bool) -> None:
    """Fall silent after some time, faded.

    A bare number is minutes. Without a time: how long it still takes.
    """
    say(ask_station("sleep", time=time).text, as_json=as_json)
