"""Beginning and ending a station: start, shutdown, and the launcher of a station in the background."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from services.controller.cli.asking import PromptCommand, ask_station, is_running, json_option, say
from services.controller.cli.completion import preset_names, values_of
from shared.errors import InfiniLoopError, UsageError
from shared.paths import Paths
from shared.runtime.locks import FileLock, is_locked
from shared.topology import SERVICES

UP_WITHIN_S = 15.0
DOWN_WITHIN_S = 12.0
LOOK_S = 0.05
LOG_BYTES = 5_000_000


@click.command(cls=PromptCommand)
@click.argument("words", nargs=-1, metavar="[PROMPT]")
@click.option("-p", "--prompt", help="The same as PROMPT.")
@click.option(
    "--preset",
    shell_complete=preset_names,
    help="A named prompt; `infiniloop presets` lists them. Settings that it carries hold while it plays.",
)
@click.option(
    "--backend",
    shell_complete=values_of("backend"),
    help="What makes the music: auto, musicgen, musicgpt or composer.",
)
@click.option(
    "-m", "--model", shell_complete=values_of("model"), help="The model: small, medium, large or a variant of these."
)
@click.option("-d", "--duration", metavar="S", help="Clip length, 5 to 30 seconds; kept as a setting.")
@click.option("--minlength", metavar="S", help="Loop at least: seconds, bars as 8bars, or auto; kept as a setting.")
@click.option("--minduration", metavar="S", help="Song length, 10 to 300 seconds; kept as a setting.")
@click.option(
    "--driver",
    shell_complete=values_of("driver"),
    help="How sound leaves: auto, pulse, alsa, dsp, jack or null; kept as a setting.",
)
@click.option("-v", "--verbose", is_flag=True, help="Tell all about the station on standard error.")
@json_option
def start(words: tuple[str, ...], verbose: bool, as_json: bool, **given: str | None) -> None:
    """Play; with PROMPT, play that.

    Begins a station in the background if none runs. A prompt that begins with - comes after --:
    infiniloop start -- "-weird- music".
    """
    paths = Paths.from_environment()
    asked = _checked(words, given, paths)
    begun = not is_running(paths)
    if begun:
        begin_in_background(paths)
    answer = ask_station("start", timeout_s=UP_WITHIN_S, paths=paths, **asked)
    if verbose:
        _tell_all(paths)
    say(answer.text, as_json=as_json, started=begun)


def _tell_all(paths: Paths) -> None:
    """What the station does, with what settings, and where its log is."""
    from services.controller.cli.status import told
    from services.controller.listing import listed
    from shared.settings import load

    click.echo(told(ask_station("status", paths=paths).data), err=True)
    for entry in listed(load(paths)[0]):
        if entry["key"].partition(".")[0] in ("generator", "analyzer", "player") and entry["value"] != "":
            click.echo(f"  {entry['key']:<24} {entry['value']}", err=True)
    click.echo(f"  log      {log_of(paths)}", err=True)


def log_of(paths: Paths) -> str:
    """Where a station's log is: in a file, or wherever one in the foreground was begun."""
    if is_locked(paths.runtime, "station"):
        return str(paths.logs / "station.log")
    return "the terminal where the station was begun"


def _checked(words: tuple[str, ...], given: dict[str, str | None], paths: Paths) -> dict[str, Any]:
    """What was asked for, refused here already where it is wrong: no station is begun for a mistake."""
    from services.controller.commands import check_prompt
    from shared.settings import find_field

    settings = {name: given.pop(name) for name in ("duration", "minlength", "minduration", "driver")}
    asked: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if words:
        if "prompt" in asked:
            raise UsageError("Give the prompt once: as PROMPT or with --prompt.")
        asked["prompt"] = " ".join(words)
    if "prompt" in asked:
        if "preset" in asked:
            raise UsageError("Give either a prompt or a preset, not both.")
        asked["prompt"] = check_prompt(asked["prompt"])
    if "preset" in asked:
        from services.controller.presets import open_book

        open_book(paths)[0].find(asked["preset"])
    for name in ("backend", "model"):
        if name in asked:
            asked[name] = str(find_field(name).check(asked[name]))
    if kept := {name: find_field(name).check(value) for name, value in settings.items() if value is not None}:
        asked["settings"] = kept
    return asked


@click.command()
@json_option
def shutdown(as_json: bool) -> None:
    """End the station and all its processes."""
    paths = Paths.from_environment()
    answer = ask_station("shutdown", paths=paths)
    if not _wait(lambda: not any(is_locked(paths.runtime, name) for name in ("station", *SERVICES)), DOWN_WITHIN_S):
        left = [name for name in SERVICES if is_locked(paths.runtime, name)]
        raise InfiniLoopError(
            f"Still there after {DOWN_WITHIN_S:.0f} s: {', '.join(left) or 'the launcher'}. "
            "What was begun apart from the station is ended where it was begun."
        )
    say(answer.text if as_json else "The station has ended.", as_json=as_json)


@click.command(hidden=True)
def precheck() -> None:
    """Say why a station cannot begin here.

    Nothing is said if it can.
    """
    paths = Paths.from_environment()
    paths.create()
    for name in ("station", *SERVICES):
        FileLock(paths.runtime, name).acquire().release()


@click.command(hidden=True)
def station() -> None:
    """Run the whole station until it is ended."""
    from shared.runtime.launcher import launch

    paths = Paths.from_environment()
    paths.create()
    with FileLock(paths.runtime, "station").acquire():
        commands = {name: (sys.executable, "-m", "services", "service", name) for name in SERVICES}
        sys.exit(launch(commands))


def begin_in_background(paths: Paths) -> None:
    """Begin a station in a session of its own, its log under ``paths.logs``; returns when it answers.

    Raises
    ------
    InfiniLoopError
        It ended at once; the sentence gives its last words and names the log.
    """
    paths.create()
    log = paths.logs / "station.log"
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_name("station.log.1"))
    with log.open("ab") as file:
        began_at = file.tell()
        launcher = subprocess.Popen(
            (sys.executable, "-m", "services", "station"),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), _source())))},
        )
    if _wait(lambda: launcher.poll() is not None or is_locked(paths.runtime, "controller"), UP_WITHIN_S):
        if launcher.poll() is None:
            return
    else:
        launcher.terminate()
    with log.open("rb") as file:
        file.seek(began_at)
        words = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    last = words[-1] if words else "it said nothing"
    raise InfiniLoopError(f"The station did not come up: {last} (the log is {log}).")


def _source() -> str:
    """The folder of this very code, so that the station in the background is of the same version."""
    return str(Path(__file__).resolve().parents[3])


def _wait(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_S)
    return True
