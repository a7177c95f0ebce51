"""Loops for the player's tests: synthetic, seeded, on the 24-bit grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from services.player.engine import Engine
from services.player.gains import STOP_FRAMES
from services.player.moves import MoveRequest
from services.player.samples import Samples
from services.player.store import LoadedLoop
from shared.audio_files import snap_to_grid, write_wav
from shared.messages import Wanted
from shared.music import Jump, Loop, Section
from shared.units import STATION_RATE, Audio


def noise(frames: int, seed: int = 0, level: float = 0.1) -> Audio:
    """Seeded noise, shape=(frames, 2): no two stretches of it are alike."""
    drawn = np.random.default_rng(seed).uniform(-level, level, (frames, 2))
    return snap_to_grid(drawn.astype(np.float32))


def loop(
    name: str = "a",
    frames: int = 2 * STATION_RATE,
    *,
    bars: int | None = 4,
    sections: tuple[Section, ...] = (),
    jumps: tuple[Jump, ...] = (),
    path: str = "unused.wav",
    startup: bool = False,
    bridge: bool = False,
    epoch: int = 0,
    lufs: float = -16.0,
    true_peak_dbtp: float = -1.0,
) -> Loop:
    """A loop's record; bars of half a second unless told otherwise."""
    return Loop(
        loop_id=name,
        job_id=name,
        epoch=epoch,
        path=path,
        frames=frames,
        bars=bars,
        beats_per_bar=2 if bars else None,
        bpm=60 * STATION_RATE * 2 * bars / frames if bars else None,
        sections=sections,
        jumps=jumps,
        startup=startup,
        bridge=bridge,
        lufs=lufs,
        true_peak_dbtp=true_peak_dbtp,
    )


def sections(*labels: str, frames: int = STATION_RATE, bars: int = 4) -> tuple[Section, ...]:
    """Sections of equal length, one after the other."""
    return tuple(
        Section(label=label, start=number * frames, end=(number + 1) * frames, bars=bars)
        for number, label in enumerate(labels)
    )


def loaded(record: Loop, seed: int = 0, level: float = 0.1) -> LoadedLoop:
    """The record with seeded noise as its sound."""
    return LoadedLoop(record, Samples.of(noise(record.frames, seed, level)))


def audio_of(held: LoadedLoop) -> Audio:
    out = np.empty((held.samples.frames, 2), np.float32)
    held.samples.read_into(out, 0)
    return out


def at_once(request: MoveRequest) -> Samples:
    """Moves made the moment they are asked for."""
    return request.make()


def wanted(number: int = 1, **fields: object) -> Wanted:
    return Wanted(**{"number": number, "playing": True, "volume": 100, "min_duration_s": 10.0} | fields)  # type: ignore[arg-type]


def render(engine: Engine, frames: int, block: int = 960) -> tuple[Audio, Audio]:
    """The next ``frames`` of the tap and of the output, rendered in blocks."""
    tap, out = np.empty((frames, 2), np.float32), np.empty((frames, 2), np.float32)
    for start in range(0, frames, block):
        stop = min(frames, start + block)
        engine.render(tap[start:stop], out[start:stop])
    return tap, out


def engine_of(first: LoadedLoop, *others: LoadedLoop, **fields: object) -> Engine:
    """An engine that plays ``first`` and holds the others, all in its queue."""
    queue = tuple(held.loop for held in (first, *others))
    engine = Engine(first, wanted(**({"queue": queue} | fields)), at_once)
    for held in others:
        engine.add(held)
    return engine


def begun(first: LoadedLoop, *others: LoadedLoop, **fields: object) -> Engine:
    """The same after its fade-in."""
    engine = engine_of(first, *others, **fields)
    render(engine, STOP_FRAMES)
    return engine


def going_round(held: LoadedLoop, start: int, frames: int) -> Audio:
    """What the loop sounds like when it goes round."""
    return np.take(audio_of(held), np.arange(start, start + frames), axis=0, mode="wrap")


def written(folder: Path, record: Loop, audio: Audio) -> Loop:
    """The record with its WAV in ``folder``."""
    import msgspec

    path = folder / f"{record.loop_id}.wav"
    write_wav(path, audio, STATION_RATE)
    return msgspec.structs.replace(record, path=str(path), frames=len(audio))
