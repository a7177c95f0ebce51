"""``infiniloop doctor``: what works here, what is missing, and the command that mends it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import click

from services.controller.cli.asking import is_running, json_option
from shared import __version__, settings
from shared.errors import InfiniLoopError, OutputError, StoreError
from shared.paths import Paths
from shared.settings import Settings

PACKAGES = ("pyzmq", "msgspec", "numpy", "scipy", "soundfile", "soxr", "librosa", "sounddevice", "click", "honcho")
_MARKS = {"works": ("✓", "green"), "optional": ("–", "yellow"), "broken": ("✗", "red")}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: str
    """``works``; ``optional``: missing, and the station plays without it; ``broken``: it must be mended."""
    text: str
    mend: str = ""
    """The command, or what to do."""


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Say what works here, what is missing, and how to mend it."""
    findings = list(examine())
    sound = not any(finding.state == "broken" for finding in findings)
    if as_json:
        report = {"ok": sound, "version": __version__, "findings": [asdict(finding) for finding in findings]}
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        for finding in findings:
            mark, colour = _MARKS[finding.state]
            click.echo(f"{click.style(mark, fg=colour)} {finding.name:<11} {finding.text}")
            if finding.mend:
                click.echo(f"  {'':<11} → {finding.mend}")
    if not sound:
        raise InfiniLoopError("Something must be mended before the station can play: see above.")


def examine() -> Iterator[Finding]:
    """Look at everything, one after the other; nothing that is found stops the rest."""
    yield Finding(
        "version", "works", f"infiniloop {__version__}, Python {platform.python_version()}, {platform.platform()}"
    )
    yield _packages()
    paths = Paths.from_environment()
    yield _guarded("folders", lambda: _folders(paths))
    chosen, problems = settings.load(paths)
    yield _settings(paths, problems)
    yield _guarded("disk", lambda: _disk(paths, chosen))
    yield _guarded("sockets", lambda: _sockets(paths))
    yield _station(paths)
    yield _guarded("sound", lambda: _sound(chosen))
    yield _guarded("page", lambda: _port(paths, chosen))
    yield _guarded("instruments", _instruments)
    yield from _backends(paths, chosen)


def _packages() -> Finding:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("packages", "broken", f"missing: {', '.join(missing)}", "pip install infiniloop")
    return Finding("packages", "works", ", ".join(found))


def _folders(paths: Paths) -> Finding:
    paths.create()
    for folder in (paths.config, paths.data, paths.cache, paths.state, paths.runtime):
        if not os.access(folder, os.W_OK):
            return Finding("folders", "broken", f"{folder} cannot be written to", f"chmod u+w {folder}")
    return Finding("folders", "works", f"settings {paths.config}, library {paths.library}, logs {paths.logs}")


def _settings(paths: Paths, problems: list[str]) -> Finding:
    if problems:
        return Finding("settings", "broken", " ".join(problems), f"edit {paths.settings_file}")
    if paths.settings_file.exists() and not os.access(paths.settings_file, os.W_OK):
        text = f"{paths.settings_file} is read-only: changes cannot be kept"
        return Finding("settings", "optional", text, f"chmod u+w {paths.settings_file}")
    kept = f"kept in {paths.settings_file}" if paths.settings_file.exists() else "all at their defaults"
    return Finding("settings", "works", kept)


def _disk(paths: Paths, chosen: Settings) -> Finding:
    free = shutil.disk_usage(paths.cache).free
    text = f"{free / 1e9:.1f} GB free"
    if free < chosen.controller.free_disk_mb * 1_000_000:
        wanted = f"{chosen.controller.free_disk_mb / 1000:g} GB"
        return Finding("disk", "optional", f"{text}: below {wanted} loops are not kept", "free some disk space")
    return Finding("disk", "works", text)


def _sockets(paths: Paths) -> Finding:
    short = f"{paths.sockets}" + (" (the usual path is too long)" if paths.sockets != paths.runtime else "")
    probe = paths.sockets / f"doctor-{os.getpid()}.sock"
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(probe))
    except OSError as error:
        text = f"none can be made in {short}: {error.strerror}"
        return Finding("sockets", "broken", text, "set XDG_RUNTIME_DIR to a private folder of a short path")
    finally:
        probe.unlink(missing_ok=True)
    return Finding("sockets", "works", short)


def _station(paths: Paths) -> Finding:
    if is_running(paths):
        return Finding("station", "works", "runs in this home")
    return Finding("station", "optional", "none runs in this home", "infiniloop start")


def _sound(chosen: Settings) -> Finding:
    from services.player.outputs.device import devices

    if chosen.player.driver == "null":
        return Finding(
            "sound", "optional", "the driver null plays to the live stream only", "infiniloop set driver auto"
        )
    try:
        found = devices()
    except OutputError as error:
        return Finding("sound", "optional", f"{error} The live stream plays without it", _command_in(str(error)))
    if not found:
        text = "PortAudio works, but there is no sound device; the live stream plays without one"
        return Finding("sound", "optional", text, "listen at the page's address, or connect a sound device")
    return Finding("sound", "works", ", ".join(f"{device.name} ({device.driver})" for device in found[:6]))


def _command_in(sentence: str) -> str:
    return sentence.rsplit(": ", 1)[-1].rstrip(".") if ": " in sentence else ""


def _port(paths: Paths, chosen: Settings) -> Finding:
    host, port = chosen.dashboard.host, chosen.dashboard.port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if is_running(paths):
                return Finding("page", "works", f"port {port} is in use; `infiniloop status` names the station's page")
            return Finding("page", "optional", f"port {port}: {error.strerror}; the next free one is taken instead")
    return Finding("page", "works", f"port {port} of {host} is free")


def _instruments() -> Finding:
    from services.generator.backends.composer.sound import INSTALL_HINT, find_library, find_soundfont, soundfont_fault

    library, font = find_library(), find_soundfont()
    if library and font:
        fault = soundfont_fault(library, font)
        if fault:
            return Finding("instruments", "optional", fault, INSTALL_HINT)
        return Finding("instruments", "works", f"FluidSynth with {font}")
    missing = " and ".join(name for name, there in (("FluidSynth", library), ("a SoundFont", font)) if not there)
    return Finding("instruments", "optional", f"{missing} missing: the composer plays its own synthesis", INSTALL_HINT)


def _backends(paths: Paths, chosen: Settings) -> Iterator[Finding]:
    from services.generator.registry import BACKENDS, Shelf

    for offer in Shelf(BACKENDS, paths, chosen.generator).survey():
        speed = f", {offer.real_time_factor:.1f} × real time" if offer.real_time_factor else ""
        models = f" with {', '.join(offer.models)}" if offer.models else ""
        if offer.available:
            yield Finding(offer.backend, "works", f"can be used{models}{speed}")
        else:
            yield Finding(offer.backend, "broken" if offer.backend == "composer" else "optional", offer.reason)


def _guarded(name: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except StoreError as error:
        return Finding(name, "broken", str(error))
    except Exception as error:
        return Finding(name, "broken", f"{type(error).__name__}: {error}")
