"""What the station remembers over restarts: one small file, replaced whole with every change that matters."""

from __future__ import annotations

import logging
import secrets
from pathlib import Path
from typing import Literal

import msgspec

from services.controller.leases import Counts, Lease
from services.controller.workload import Work
from shared.durable import replace_file, set_aside
from shared.errors import StoreError
from shared.music import Loop
from shared.paths import Paths

log = logging.getLogger(__name__)

HISTORY = 100
DEFAULT_PROMPT = "calm lo-fi, warm electric piano, soft drums, 76 bpm"
"""What a new station plays; it blends with the start-up loops."""


class StationState(msgspec.Struct, kw_only=True):
    """The truth about prompt, wishes and jobs. Loops are in the library; here are only their names."""

    salt: str = ""
    """Random, chosen once: makes job names unique and seeds this station's own."""
    epoch: int = 1
    prompt: str = DEFAULT_PROMPT
    backend: str = ""
    """Asked for with the prompt; empty: as the settings say."""
    model: str = ""
    preset: str = ""
    """The name of the one that plays; what it has set is in force until another prompt comes."""
    paused: bool = False
    stopped: bool = False
    hold: bool = False
    skips: int = 0
    backs: int = 0
    wanted_number: int = 0
    jobs_named: int = 0
    leases: tuple[Lease, ...] = ()
    counts: Counts = msgspec.field(default_factory=Counts)
    fresh: tuple[str, ...] = ()
    """Loops of this prompt that have not sounded yet, in the order of their arrival."""
    anchor: str = ""
    """The first loop of this prompt, which later jobs are made to fit."""
    bridge_seed: int | None = None
    """Of this prompt's bridge, until its first song takes it."""
    bridges_refused: int = 0
    """For this prompt."""
    drawn: tuple[str, ...] = ()
    """Loops out of the library that play for this prompt, though they were made for an earlier one."""
    chosen: tuple[str, ...] = ()
    """Loops that the listener asked for by name and that have not sounded yet: they come before all others."""
    summoned: str = ""
    """The one of them to which the player goes as soon as it holds it."""
    disliked: tuple[str, ...] = ()
    """The loops disliked last, which the player may still hold; the library knows all."""
    pace: Literal["now", "soon", "after"] = "now"
    """When this prompt is to be heard: at once, so that what suits it plays or a bridge is composed; as soon as its
    first song is made; or after the song that sounds."""
    songs_heard: int = 0
    """Of this prompt."""
    surprise: bool = False
    """Another preset is drawn every few songs."""
    surprised: tuple[str, ...] = ()
    """Names of presets that were drawn, oldest first."""
    programme_at: str = ""
    """The moment of what the programme asked for last."""
    parent: str = ""
    """The loop out of which the next one grows, where songs grow out of one another."""
    growing: int = 0
    """So many songs more grow out of one another, in whatever mode."""
    works: tuple[Work, ...] = ()
    """What was made here within the last hour, in seconds since 1970."""
    sleep_at: float | None = None
    """When the sleep timer has run out, in seconds since 1970."""
    asleep: bool = False
    """It has run out: silent until the listener wants to hear something."""
    history: tuple[str, ...] = ()
    """What sounded, oldest first."""
    unshelved: tuple[Loop, ...] = ()
    """Accepted loops that the library has not confirmed yet."""


def state_file(paths: Paths) -> Path:
    return paths.state / "station.msgpack"


def load(paths: Paths, *, epoch: int) -> tuple[StationState, str]:
    """The state on disk, or a new one whose prompts are numbered from ``epoch``; and a sentence if it was broken."""
    path = state_file(paths)
    for folder in (paths.state, paths.config):  # what a writer that was killed has left
        for part in folder.glob(".*.part"):
            part.unlink(missing_ok=True)
    try:
        state = msgspec.msgpack.decode(path.read_bytes(), type=StationState)
    except FileNotFoundError:
        note = ""
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror}): allow reading it.") from error
    except (msgspec.DecodeError, UnicodeDecodeError):
        note = _set_aside(path)
    else:
        state.epoch = max(state.epoch, epoch - 1)
        return state, ""
    return StationState(salt=secrets.token_hex(4), epoch=epoch), note


def save(paths: Paths, state: StationState) -> None:
    """Replace the file, whole or not at all.

    Raises
    ------
    StoreError
        The disk is full or read-only; what was there is untouched.
    """
    replace_file(state_file(paths), msgspec.msgpack.encode(state))


def _set_aside(path: Path) -> str:
    aside = set_aside(path)
    sentence = f"The station's memory in {path} was damaged and set aside as {aside}; prompt and queue begin anew."
    log.warning("%s", sentence)
    return sentence
