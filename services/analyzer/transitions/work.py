"""A wished change's way through the analyzer: both loops read, the change rendered and written. No sockets."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from services.analyzer.transitions.plan import plan_transition
from services.analyzer.transitions.render import render_transition
from shared.audio_files import read_within, write_wav
from shared.errors import AudioFileError
from shared.messages import Prepare, TransitionFailed, TransitionReady
from shared.music import Loop
from shared.units import STATION_RATE, Audio

log = logging.getLogger(__name__)

_NAME_LIMIT: Final = 100


def handle_prepare(
    prepare: Prepare, folders: tuple[Path, ...], transitions: Path
) -> TransitionReady | TransitionFailed:
    """Render the change and write it below ``transitions``, or say why it could not be."""
    first, second = prepare.first, prepare.second
    try:
        plan = plan_transition(first, second, prepare.style, prepare.exit_after)
        audio = render_transition(plan, _read(first, folders), second, _read(second, folders))
        path = transitions / f"{first.loop_id[:_NAME_LIMIT]}--{second.loop_id[:_NAME_LIMIT]}.{plan.kind}.wav"
        write_wav(path, audio, STATION_RATE)
    except AudioFileError as error:
        return TransitionFailed(from_loop=first.loop_id, to_loop=second.loop_id, reason=str(error))
    except Exception:
        # Whatever two loops do to the rendering must not end the analyzer: the player fades by itself.
        log.exception("The change from %s to %s could not be rendered.", first.loop_id, second.loop_id)
        sentence = "This change could not be rendered, so the player fades on the bar line."
        return TransitionFailed(from_loop=first.loop_id, to_loop=second.loop_id, reason=sentence)
    return TransitionReady(transition=plan.record(first, second, str(path)))


def _read(loop: Loop, folders: tuple[Path, ...]) -> Audio:
    audio, rate = read_within(folders, Path(loop.path))
    if rate != STATION_RATE or len(audio) != loop.frames or audio.shape[1] != 2:
        raise AudioFileError(f"{loop.path} is not the loop that was announced.")
    return audio
