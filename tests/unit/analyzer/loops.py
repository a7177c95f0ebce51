"""Loops that changes are made of: their records, and sound whose beats strike at a pitch of one's own."""

from __future__ import annotations

from functools import cache

import numpy as np

from shared.audio_files import snap_to_grid
from shared.music import Loop
from shared.units import STATION_RATE, Audio


def looped(
    name: str, bpm: float, bars: int | None = 8, key: str | None = "Am", beats: int = 4, **fields: object
) -> Loop:
    frames = round((bars or 8) * beats * 60 / bpm * STATION_RATE)
    given: dict[str, object] = {
        "loop_id": name,
        "job_id": name,
        "epoch": 0,
        "path": "x.wav",
        "frames": frames,
        "bpm": bpm,
        "beats_per_bar": beats,
        "bars": bars,
        "key": key,
        "key_confidence": 0.8 if key else 0.0,
    }
    return Loop(**(given | fields))  # type: ignore[arg-type]


@cache
def clicks(loop: Loop, pitch: float, level: float = 0.3) -> Audio:
    """A decaying tone on every beat of the loop, over a soft chord that goes round with it; read only."""
    at = np.arange(loop.frames)
    out = 0.05 * np.sin(2 * np.pi * round(110 * loop.frames / STATION_RATE) * at / loop.frames)
    count = (loop.bars or 1) * (loop.beats_per_bar or 4)
    blow = level * np.sin(2 * np.pi * pitch * np.arange(9_600) / STATION_RATE) * np.exp(-np.arange(9_600) / 1_200)
    for beat in range(count):
        start = round(beat * loop.frames / count)
        out[np.arange(start, start + 9_600) % loop.frames] += blow
    audio = snap_to_grid(np.stack([out, 0.8 * out], axis=1).astype(np.float32))
    audio.setflags(write=False)
    return audio
