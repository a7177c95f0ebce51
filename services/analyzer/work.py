"""One clip's way through the analyzer: read, made a loop, written, and the messages that tell of it. No sockets."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from services.analyzer.length import LengthWish, parse_wish
from services.analyzer.making import FinishedLoop, make_loop
from services.analyzer.records import Rejection
from shared.audio_files import from_bytes, read_within, write_wav
from shared.codes import KeptCodes
from shared.errors import AudioFileError, BackendError, StoreError, UsageError
from shared.messages import Clip, ClipAccepted, ClipRejected
from shared.units import STATION_RATE, Audio

log = logging.getLogger(__name__)

NOISY_TAILS: Final = ("musicgen", "musicgpt")
"""Backends whose clips end in a second of noise."""


@dataclass(frozen=True)
class Places:
    """Where clips may be read from and where loops are written."""

    cache: Path
    loops: Path


def handle_clip(
    clip: Clip, attachment: bytes | None, places: Places, target_lufs: float
) -> ClipAccepted | ClipRejected:
    """Turn a clip into a finished loop on disk, or say why it is none.

    Raises
    ------
    AudioFileError
        The loop could not be written. That is no fault of the clip, which is not answered and comes again.
    """
    try:
        audio, rate = _read(clip, attachment, places)
        answer = make_loop(
            audio,
            rate,
            truth=clip.truth,
            wish=_wish(clip),
            asked_bpm=clip.asked_bpm,
            asked_key=clip.asked_key,
            insist=clip.insists,
            target_lufs=target_lufs,
            noisy_tail=clip.recipe.backend in NOISY_TAILS,
        )
    except AudioFileError as error:
        return _refused(clip, Rejection(str(error), "unreadable"), damaged=True)
    except Exception:
        # Whatever a clip does to the analysis must not end it: the next clip is another one.
        log.exception("The analysis of clip %s failed.", clip.job_id)
        return _refused(clip, Rejection("The analysis of this clip failed: it is made again.", "failed"), damaged=True)
    if isinstance(answer, Rejection):
        return _refused(clip, answer, damaged=answer.code in ("not-finite", "wrong-truth"))
    path = places.loops / f"{clip.job_id}.wav"
    write_wav(path, answer.samples, STATION_RATE)
    if clip.codes_path is not None:
        _map_loop(Path(clip.codes_path), places, answer)
    # A loop has its clip's name: analysed again after a restart, it is the same loop and not a second one.
    loop = msgspec.structs.replace(
        answer.record(clip.job_id, clip.job_id, clip.epoch, str(path), clip.recipe),
        bridge=clip.bridge,
        codes_path=clip.codes_path,
        continues=clip.recipe.parent_clip,
    )
    return ClipAccepted(job_id=clip.job_id, token=clip.token, loop=loop)


def _read(clip: Clip, attachment: bytes | None, places: Places) -> tuple[Audio, int]:
    if attachment is not None:
        return from_bytes(attachment)
    if clip.path is None:
        raise AudioFileError("The clip came without its audio.")
    return read_within((places.cache,), Path(clip.path))


def _map_loop(path: Path, places: Places, loop: FinishedLoop) -> None:
    """Note beside the clip's codes where its loop lies, so that it can be continued from any frame of the loop."""
    if not path.resolve().is_relative_to(places.cache.resolve()):
        log.warning("The codes %s lie outside the cache and were left alone.", path)
        return
    try:
        KeptCodes.load(path).cut(loop.source_start, loop.source_end, len(loop.samples)).save(path)
    except (BackendError, StoreError) as error:
        # The loop plays all the same; it only cannot be continued from a point of its own.
        log.warning("%s", error)


def _wish(clip: Clip) -> LengthWish:
    try:
        return parse_wish(clip.min_loop)
    except UsageError as error:
        log.warning("%s Eight bars are sought.", error)
        return LengthWish()


def _refused(clip: Clip, why: Rejection, *, damaged: bool) -> ClipRejected:
    log.info("Clip %s becomes no loop (%s): %s", clip.job_id, why.code, why.reason)
    return ClipRejected(
        job_id=clip.job_id,
        token=clip.token,
        epoch=clip.epoch,
        reason=why.reason,
        code=why.code,
        figures={name: float(value) for name, value in why.figures.items()},
        damaged=damaged,
    )
