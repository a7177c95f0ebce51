"""``infiniloop models``: which models are here, and how they come and go."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from services.generator.models.asking import ask, ask_for_musicgpt, free_bytes, require_terminal
from services.generator.models.bar import Bar
from services.generator.models.catalogue import (
    LICENCE,
    LICENCE_NOTE,
    LICENCE_URL,
    MODELS,
    MUSICGPT,
    MUSICGPT_GB,
    Model,
    find,
)
from services.generator.models.store import Installed, ModelStore, Source, models_folder
from shared.errors import BackendError, UsageError
from shared.settings.generator import GeneratorSettings

_path = click.option(
    "--path",
    type=click.Path(path_type=Path, file_okay=False),
    help="The models' folder, where it is not the usual one.",
)
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on one line.")


@click.group()
def models() -> None:
    """List, download, check and delete models.

    Nothing is ever fetched without a yes.
    """


@models.command("list")
@_path
@_json
def list_models(path: Path | None, as_json: bool) -> None:
    """What there is, and what is here."""
    store = _store(path)
    rows = [(model, store.look(model.name)) for model in MODELS.values()]
    foreign = store.foreign()
    if as_json:
        _say_json(
            folder=str(store.root),
            free_bytes=free_bytes(store.root),
            models=[_facts(model, here) for model, here in rows],
            musicgpt=[{"name": each.name, "bytes": each.size, "folder": str(each.folder)} for each in foreign],
        )
        return
    click.echo(f"{'model':<15}{'here':<26}{'download':>10}  about")
    for model, here in rows:
        click.echo(f"{model.name:<15}{_state(here):<26}{model.download_gb:>7.1f} GB  {model.summary}")
    for each in foreign:
        click.echo(f"{each.name:<15}{'of MusicGPT':<26}{each.size / 1e9:>7.1f} GB  {each.folder}")
    click.echo(f"\n{LICENCE_NOTE} · {store.root} · {free_bytes(store.root) / 1e9:.1f} GB free")
    click.echo(f"`infiniloop models download {MUSICGPT}small` lets MusicGPT fetch its own ({', '.join(MUSICGPT_GB)}).")


@models.command()
@click.argument("name")
@_path
@_json
def info(name: str, path: Path | None, as_json: bool) -> None:
    """Everything about one model."""
    model, store = find(name), _store(path)
    here = store.look(name)
    if as_json:
        _say_json(**_facts(model, here))
        return
    click.echo(f"{name}: {model.summary}")
    click.echo(f"  from       {model.repository}, about {model.download_gb:.1f} GB")
    click.echo(f"  licence    {LICENCE_NOTE} ({LICENCE_URL})")
    click.echo(f"  here       {_state(here)}")
    if here.source is not None:
        click.echo(
            f"  source     {here.source.folder}{' ' + here.source.revision[:12] if here.source.revision else ''}"
        )
    for precision, converted in here.converted.items():
        click.echo(f"  {precision:<10} {converted.size / 1e9:.2f} GB in {converted.folder}")


@models.command()
@click.argument("name")
@_path
@click.option("--mirror", default="", metavar="URL", help="Another address that serves the same models.")
@click.option("--revision", default="main", help="A revision of the model, where it should not be the newest.")
@click.option("--accept-licence", is_flag=True, help=f"Yes to {LICENCE}, without being asked.")
@click.option(
    "--precision", type=click.Choice(["int8", "int4", "fp32"]), default=None, help="How to store the weights."
)
@click.option("--keep-source/--delete-source", default=None, help="Keep the downloaded weights after conversion.")
@_json
def download(
    *,
    name: str,
    path: Path | None,
    mirror: str,
    revision: str,
    accept_licence: bool,
    precision: str | None,
    keep_source: bool | None,
    as_json: bool,
) -> None:
    """Fetch a model and make it ready to play.

    `musicgpt:NAME` allows MusicGPT to fetch one for itself with its next clip.
    """
    if name.startswith(MUSICGPT):
        if path is not None:
            raise UsageError("MusicGPT's models lie in one folder: `infiniloop set models_path DIR` names another.")
        _allow_musicgpt(name, accept_licence, as_json)
        return
    from services.generator.models.download import Hub, offline
    from services.generator.models.download import download as fetch

    model, store, settings = find(name), _store(path), _settings()
    here = store.look(name)
    precision = precision or settings.precision
    if here.source is None and precision in here.converted and revision == "main":
        _say_ready(store, here, precision, as_json=as_json)
        return
    source = _whole(here.source)
    if source is None:
        hub = Hub(mirror, forbidden=offline() or settings.offline)
        listing = _reached(hub, model, lambda: hub.list(model, revision))
        ask(store, model, listing.size, accept_licence)
        with Bar(f"{name}", not as_json) as bar:
            source = fetch(store, model, listing, hub, report=bar.bytes)
        here = store.look(name)
    else:
        click.echo(f"The weights of {name} are here already: {source.folder}.", err=True)
    _make_ready(store, here, precision, as_json)
    freed = 0
    if source.ours and _wants_source_deleted(keep_source, name, as_json):
        freed = store.delete_source(name)
    _say_ready(store, store.look(name), precision, as_json=as_json, freed=freed)


@models.command()
@click.argument("name")
@_path
@click.option("--yes", is_flag=True, help="Without being asked.")
@click.option(
    "--source-only", is_flag=True, help="Only the downloaded weights; the converted model stays and plays on."
)
@_json
def delete(name: str, path: Path | None, yes: bool, source_only: bool, as_json: bool) -> None:
    """Remove a model from this machine, by the name that `list` shows."""
    store = _store(path)
    foreign = {each.name: each for each in store.foreign()}
    remove: Callable[[str], int]
    if name in foreign:
        size, remove = foreign[name].size, store.delete_foreign
    else:
        here = store.look(name)
        if not here.size:
            hint = f": it lies in {here.source.folder}, which is not ours to empty" if here.source else ""
            raise BackendError(f"Nothing of {name} is in {store.root}{hint}.")
        if source_only and not here.converted:
            raise BackendError(f"{name} is not converted yet: without its weights it could not play.")
        size = here.size
        remove = store.delete_source if source_only else store.delete
    if not yes:
        require_terminal(f"Deleting {name} needs a yes: say `--yes`.")
        if not click.confirm(f"Delete {name} ({'up to ' if source_only else ''}{size / 1e9:.1f} GB)?", err=True):
            raise BackendError(f"{name} stays.")
    freed = remove(name)
    if as_json:
        _say_json(name=name, freed_bytes=freed)
    else:
        click.echo(f"{freed / 1e9:.1f} GB are free again.")


# -- pieces -----------------------------------------------------------------------------------------------------------


def _settings() -> GeneratorSettings:
    from shared.paths import Paths
    from shared.settings import load

    settings, problems = load(Paths.from_environment())
    for problem in problems:
        click.echo(f"infiniloop: {problem}", err=True)
    return settings.generator


def _store(path: Path | None) -> ModelStore:
    """The store in the folder of the flag, of the settings, or in the usual one."""
    from shared.paths import Paths

    named = _settings().models_path
    root = models_folder(Paths.from_environment(), str(path or named))
    return ModelStore.from_environment(root, named=named)


def _reached(hub: Any, model: Model, ask: Callable[[], Any]) -> Any:
    """What the hub says; a network that fails is one sentence."""
    try:
        return ask()
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise BackendError(
            f"{hub.address} cannot be reached ({reason}): check the network, or have {model.name} from a `--mirror`."
        ) from error


def _whole(source: Source | None) -> Source | None:
    """The weights that are here, where nothing is missing of them; damaged ones are fetched anew."""
    from services.generator.backends.musicgen.checkpoint import Checkpoint
    from services.generator.backends.musicgen.shape import CheckpointError
    from services.generator.backends.musicgen.text import open_tokenizer

    if source is None:
        return None
    try:
        open_tokenizer(Checkpoint(source.folder).tokenizer)
    except CheckpointError:
        click.echo(f"The weights in {source.folder} are damaged: they are fetched anew.", err=True)
        return None
    return source


def _allow_musicgpt(name: str, accepted: bool, as_json: bool) -> None:
    """MusicGPT downloads by itself and never unasked: the yes is given here, beforehand."""
    from services.generator.models.download import Offline, offline

    if offline() or _settings().offline:
        raise Offline("The network is switched off (offline): switch it on to let MusicGPT download.")
    store = _store(None)
    ask_for_musicgpt(store, name, accepted)
    if as_json:
        _say_json(name=name, allowed=True, folder=str(store.musicgpt))
    else:
        click.echo(f"MusicGPT may fetch {name.removeprefix(MUSICGPT)} with its next clip.")


def _make_ready(store: ModelStore, here: Installed, precision: str, quiet: bool) -> None:
    from services.generator.backends.musicgen.checkpoint import Checkpoint
    from services.generator.backends.musicgen.conversion import convert

    assert here.source is not None
    checkpoint = Checkpoint(here.source.folder)
    found = here.converted.get(precision)
    if found is None or found.manifest.fingerprint != checkpoint.fingerprint():
        with Bar("converting", not quiet) as bar:
            target = store.converted_folder(here.name, precision)
            revision = here.source.revision
            convert(checkpoint, target, precision, revision=revision, report=bar.fraction)  # type: ignore[arg-type]


def _say_ready(store: ModelStore, here: Installed, precision: str, *, as_json: bool, freed: int = 0) -> None:
    if as_json:
        _say_json(**_facts(find(here.name), here), freed_bytes=freed)
        return
    elsewhere = store.root != _store(None).root
    folder = f"`infiniloop set models_path {store.root}` and " if elsewhere else ""
    click.echo(
        f"{here.name} is ready: {here.converted[precision].folder}. "
        f"Play it with {folder}`infiniloop set model {here.name}`."
    )


def _wants_source_deleted(keep: bool | None, name: str, quiet: bool) -> bool:
    if keep is not None:
        return not keep
    if quiet or not sys.stdin.isatty():
        return False
    question = f"{name} plays without its downloaded weights from now on. Delete them?"
    return click.confirm(question, default=False, err=True)


def _state(here: Installed) -> str:
    if here.converted:
        return "ready: " + ", ".join(f"{name} {each.size / 1e9:.1f} GB" for name, each in here.converted.items())
    if here.source is not None:
        return "weights" if here.source.ours else "weights in the hub's cache"
    return "–"


def _facts(model: Model, here: Installed) -> dict[str, object]:
    return {
        "name": model.name,
        "repository": model.repository,
        "stereo": model.stereo,
        "download_bytes": round(model.download_gb * 1e9),
        "licence": LICENCE,
        "usable": here.usable,
        "source": str(here.source.folder) if here.source else None,
        "revision": here.source.revision if here.source else None,
        "converted": {name: {"bytes": each.size, "folder": str(each.folder)} for name, each in here.converted.items()},
        "bytes": here.size,
    }


def _say_json(**facts: object) -> None:
    click.echo(json.dumps({"ok": True, **facts}, ensure_ascii=False))
