"""The one question before a download: how large, where to, how long, under which licence; the answer is remembered."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from services.generator.models.catalogue import LICENCE_NOTE, LICENCE_URL, MUSICGPT, MUSICGPT_GB, Model
from services.generator.models.consent import Consent
from services.generator.models.store import ModelStore
from shared.errors import BackendError, UsageError


def ask(store: ModelStore, model: Model, size: int, accepted: bool) -> None:
    """The one question before a download; the answer is remembered.

    Raises
    ------
    BackendError
        The listener said no, or cannot be asked.
    """
    lines = (
        f"{model.name}: {model.summary}",
        f"  size     {size / 1e9:.1f} GB, then about {model.converted_gb:.1f} GB once converted",
        f"  folder   {store.root}, {free_bytes(store.root) / 1e9:.1f} GB free",
    )
    _ask_once(store, model.name, size, lines, accepted)


def ask_for_musicgpt(store: ModelStore, name: str, accepted: bool) -> None:
    """The same for a model that MusicGPT fetches for itself, ``musicgpt:small`` and such.

    Raises
    ------
    UsageError
        It has no such model.
    BackendError
        The listener said no, or cannot be asked.
    """
    model = name.removeprefix(MUSICGPT)
    if model not in MUSICGPT_GB:
        names = ", ".join(MUSICGPT + each for each in MUSICGPT_GB)
        raise UsageError(f"MusicGPT has no model {model!r}: choose one of {names}.")
    size = round(MUSICGPT_GB[model] * 1e9)
    lines = (
        f"{name}: fetched by MusicGPT itself, with its first clip",
        f"  size     about {size / 1e9:.1f} GB",
        f"  folder   {store.musicgpt}, {free_bytes(store.musicgpt) / 1e9:.1f} GB free",
    )
    _ask_once(store, name, size, lines, accepted)


def _ask_once(store: ModelStore, name: str, size: int, lines: Sequence[str], accepted: bool) -> None:
    consent = Consent(store.root)
    if accepted or consent.said(name) == "yes":
        consent.remember(name, "yes")
        return
    minutes = max(1, round(size / 6.25e6 / 60))
    for line in lines:
        click.echo(line, err=True)
    click.echo(f"  time     about {minutes} min at 50 Mbit/s; the music plays on", err=True)
    click.echo(f"  {LICENCE_NOTE} ({LICENCE_URL})", err=True)
    require_terminal("A download needs a yes to its licence: say `--accept-licence`.")
    if not click.confirm("Download it and accept the licence?", default=False, err=True):
        consent.remember(name, "no")
        raise BackendError(f"{name} was not downloaded; nobody will ask again unless you do.")
    consent.remember(name, "yes")


def require_terminal(otherwise: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(otherwise)


def free_bytes(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
