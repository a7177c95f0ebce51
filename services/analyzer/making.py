"""From a clip to a finished loop: what the player wraps around and what it needs to know about it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from msgspec.structs import replace as structs_replace

from services.analyzer import loudness
from services.analyzer.conform import stretch_for, stretched_loop
from services.analyzer.finder import search, study_clip
from services.analyzer.harmony import pitch_classes
from services.analyzer.jumps import find_jumps
from services.analyzer.key import find_key
from services.analyzer.length import LengthWish
from services.analyzer.quality import check_clip, check_request
from services.analyzer.records import FoundLoop, Rejection
from services.analyzer.resampling import resample_loop, to_stereo
from services.analyzer.seam import bake
from services.analyzer.sound import listen
from services.analyzer.verification import verify
from shared.audio_files import snap_to_grid
from shared.messages import Insisted
from shared.music import BeatGrid, Chord, Jump, Loop, Recipe, Section, Truth
from shared.units import STATION_RATE, Audio

TARGET_LUFS: Final = -16.0
CEILING_DBTP: Final = -1.0
MARGIN_DB: Final = 0.05
"""Kept below the ceiling, for what rounding to 24 bits and another meter's filter may add."""
NOISY_TAIL_S: Final = 1.0
"""The end of what MusicGen makes is noise."""


@dataclass(frozen=True)
class FinishedLoop:
    """A loop at the station's rate and everything known about it; positions are frames of ``samples``."""

    samples: Audio
    """Float32 ``(frames, 2)`` on the 24-bit grid; the last frame is followed by the first."""
    exact: bool
    crossfade: int
    source_start: int
    source_end: int
    lufs: float
    true_peak_dbtp: float
    energy: tuple[float, ...]
    confidence: float
    bpm: float | None = None
    beats_per_bar: int | None = None
    bars: int | None = None
    grid: BeatGrid | None = None
    key: str | None = None
    key_confidence: float = 0.0
    sections: tuple[Section, ...] = ()
    jumps: tuple[Jump, ...] = ()
    chords: tuple[Chord, ...] = ()
    stretch: float = 1.0
    """How much longer it is than what was found: above 1, it was slowed down to the tempo that was asked for."""

    def record(self, loop_id: str, job_id: str, epoch: int, path: str, recipe: Recipe | None = None) -> Loop:
        """The record that travels to the player."""
        if recipe is not None and self.stretch != 1.0:
            recipe = structs_replace(recipe, options={**recipe.options, "stretched": round(self.stretch, 5)})
        return Loop(
            loop_id=loop_id,
            job_id=job_id,
            epoch=epoch,
            path=path,
            frames=len(self.samples),
            sample_rate=STATION_RATE,
            mode="exact" if self.exact else "xfade",
            crossfade=self.crossfade,
            source_start=self.source_start,
            source_end=self.source_end,
            bpm=self.bpm,
            beats_per_bar=self.beats_per_bar,
            bars=self.bars,
            grid=self.grid,
            key=self.key,
            key_confidence=self.key_confidence,
            confidence=self.confidence,
            lufs=self.lufs,
            true_peak_dbtp=self.true_peak_dbtp,
            energy=self.energy,
            sections=self.sections,
            jumps=self.jumps,
            recipe=recipe,
        )


def make_loop(
    audio: Audio,
    sample_rate: int,
    *,
    truth: Truth | None = None,
    wish: LengthWish | None = None,
    asked_bpm: float | None = None,
    asked_key: str | None = None,
    insist: Collection[Insisted] = ("tempo", "key"),
    target_lufs: float = TARGET_LUFS,
    noisy_tail: bool = False,
) -> FinishedLoop | Rejection:
    """Turn a clip into a finished loop.

    Parameters
    ----------
    audio : float32 array [shape=(frames, channels)]
    sample_rate : frames per second
    truth : what a composed clip says of itself; it is verified, and nothing is searched or baked
    wish : how long the loop should be
    asked_bpm, asked_key : what the clip was asked to be; a tempo that is near is brought to the asked one
    insist : a clip that clearly has another tempo or key than this is rejected, not taken as it is
    target_lufs : integrated loudness of the result
    noisy_tail : the last second is not used
    """
    if truth is not None:
        return _composed(audio, sample_rate, truth, target_lufs)
    usable = audio[: len(audio) - round(NOISY_TAIL_S * sample_rate)] if noisy_tail else audio
    study = study_clip(usable, sample_rate)
    if isinstance(study, Rejection):
        return study
    fault = check_clip(study.sound, study.features)
    found = fault or search(study, wish or LengthWish())
    if isinstance(found, Rejection):
        return found
    fault = check_request(
        found.metre, found.key, asked_bpm if "tempo" in insist else None, asked_key if "key" in insist else None
    )
    if fault is not None:
        return fault
    stretch = stretch_for(found.metre, asked_bpm)
    # A jump joins two places whose waveforms agree to the sample; stretched, they no longer do.
    jumps = find_jumps(study, found) if stretch == 1.0 else ()
    return finish(usable, sample_rate, replace(found, jumps=jumps), target_lufs, stretch)


def finish(
    audio: Audio, rate: int, found: FoundLoop, target_lufs: float = TARGET_LUFS, stretch: float = 1.0
) -> FinishedLoop:
    """Bake the seam of a loop that was found, bring it to the station's rate and level, and describe it there.

    ``stretch`` lengthens it (or, below 1, shortens it) at the same pitch.
    """
    body = to_stereo(bake(audio, found.start, found.end, found.crossfade))
    body = body - body.mean(axis=0, dtype=np.float64).astype(np.float32)
    unstretched = round(found.frames * STATION_RATE / rate)
    frames = round(found.frames * STATION_RATE / rate * stretch)
    scale = frames / found.frames
    body = resample_loop(body, unstretched)
    level = _levelled(body if stretch == 1.0 else stretched_loop(body, frames), target_lufs, limited=True)

    def moved(position: int) -> int:
        return min(frames - 1, max(0, round((position - found.start) * scale)))

    metre = found.metre
    grid = None
    if metre is not None:
        grid = BeatGrid(
            beats=tuple(sorted({moved(beat) for beat in metre.beats})),
            downbeats=tuple(sorted({moved(beat) for beat in metre.downbeats})),
        )
    return _described(
        level,
        FinishedLoop(
            samples=level.samples,
            exact=False,
            crossfade=round(found.crossfade * scale),
            source_start=found.start,
            source_end=found.end,
            lufs=round(level.lufs, 2),
            true_peak_dbtp=round(loudness.decibels(level.peak), 2),
            energy=(),
            confidence=found.confidence,
            bpm=round(metre.bpm / stretch, 4) if metre is not None else None,
            beats_per_bar=metre.beats_per_bar if metre is not None else None,
            bars=found.bars,
            grid=grid,
            key=found.key.name if found.key is not None else None,
            key_confidence=found.key.confidence if found.key is not None else 0.0,
            jumps=tuple(
                Jump(source=moved(jump.source), target=moved(jump.target), crossfade=round(jump.crossfade * scale))
                for jump in found.jumps
            ),
            stretch=stretch,
        ),
    )


def _composed(audio: Audio, rate: int, truth: Truth, target_lufs: float) -> FinishedLoop | Rejection:
    sound = listen(audio, rate)
    if isinstance(sound, Rejection):
        return sound
    fault = verify(sound, truth)
    if fault is not None:
        return fault
    length = truth.loop_end - truth.loop_start
    frames = round(length * STATION_RATE / rate)
    body = to_stereo(np.asarray(audio[truth.loop_start : truth.loop_end], np.float32))
    level = _levelled(resample_loop(body, frames), target_lufs, limited=False)

    def moved(position: int) -> int:
        return round((position - truth.loop_start) * frames / length)

    found_key = None
    if truth.key is None:
        low = sound.low[truth.loop_start // sound.factor :]
        step = rate / sound.factor / 4
        found_key = find_key(pitch_classes(low, 4 * step, 0.0, step, int(length / sound.factor / step)))
    grid = truth.grid
    return _described(
        level,
        FinishedLoop(
            samples=level.samples,
            exact=True,
            crossfade=0,
            source_start=truth.loop_start,
            source_end=truth.loop_end,
            lufs=round(level.lufs, 2),
            true_peak_dbtp=round(loudness.decibels(level.peak), 2),
            energy=(),
            confidence=1.0,
            bpm=truth.bpm,
            beats_per_bar=truth.beats_per_bar,
            bars=truth.bars,
            grid=None
            if grid is None
            else BeatGrid(
                beats=tuple(moved(beat) for beat in grid.beats), downbeats=tuple(moved(beat) for beat in grid.downbeats)
            ),
            key=truth.key or (found_key.name if found_key is not None else None),
            key_confidence=1.0 if truth.key else (found_key.confidence if found_key is not None else 0.0),
            sections=tuple(
                Section(label=part.label, start=moved(part.start), end=moved(part.end), bars=part.bars)
                for part in truth.sections
            ),
            chords=tuple(
                Chord(frame=moved(chord.frame), symbol=chord.symbol)
                for chord in truth.chords
                if truth.loop_start <= chord.frame < truth.loop_end
            ),
        ),
    )


@dataclass(frozen=True)
class _Level:
    """Samples at their level, and what was measured of them on the way."""

    samples: Audio
    lufs: float
    peak: float
    """True peak, as a ratio to full scale."""
    curve: loudness.PowerCurve


def _levelled(body: Audio, target_lufs: float, *, limited: bool) -> _Level:
    """At the target's loudness and under the ceiling: by the limiter, or by gain alone, which keeps the shape."""
    ceiling = 10 ** ((CEILING_DBTP - MARGIN_DB) / 20)
    curve = loudness.power_curve(body, STATION_RATE)
    measured = loudness.integrated(curve, STATION_RATE)
    peak = loudness.true_peak(body)
    if measured <= loudness.ABSOLUTE_GATE:
        return _Level(snap_to_grid(body), measured, peak, curve)
    gain = 10 ** ((target_lufs - measured) / 20)
    if peak * gain <= ceiling or not limited:
        gain = min(gain, ceiling / peak)
        samples = snap_to_grid(body * np.float32(gain))
        return _Level(samples, measured + loudness.decibels(gain), peak * gain, curve.scaled(gain))
    out, reached = body, measured
    for _ in range(3):
        out = loudness.limit(body * np.float32(gain), STATION_RATE, ceiling)
        curve = loudness.power_curve(out, STATION_RATE)
        reached = loudness.integrated(curve, STATION_RATE)
        if abs(reached - target_lufs) < 0.1:
            break
        # What the limiter took is given back once or twice; music that is all peaks stays a little quieter.
        gain *= 10 ** (min(3.0, target_lufs - reached) / 20)
    return _Level(snap_to_grid(out), reached, loudness.true_peak(out), curve)


def _described(level: _Level, loop: FinishedLoop) -> FinishedLoop:
    """With the energy of each bar, or of each second where there is no grid."""
    frames = len(level.samples)
    downbeats = loop.grid.downbeats if loop.grid is not None else ()
    if len(downbeats) > 1:
        edges = [*downbeats, downbeats[0] + frames]
    else:
        edges = [*range(0, frames - STATION_RATE // 2, STATION_RATE), frames]
    if edges[0] == frames:
        edges = [0, frames]
    return replace(loop, energy=loudness.span_levels(level.curve, edges))
