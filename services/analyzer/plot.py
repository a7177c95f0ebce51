"""A picture of what was found: the clip with its bars and loop, its likeness to itself by lag, the seam enlarged."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.analyzer.canvas import GLYPH_WIDTH, Canvas, Colour
from services.analyzer.finder import Study
from services.analyzer.records import FoundLoop
from services.analyzer.seam import bake
from services.analyzer.sound import Floats

WIDTH: Final = 1_400
PANEL: Final = 240
MARGIN: Final = 60
GAP: Final = 56
GROUND: Final[Colour] = (16, 18, 27)
PAPER: Final[Colour] = (24, 28, 42)
INK: Final[Colour] = (214, 219, 235)
FAINT: Final[Colour] = (86, 94, 122)
WAVE: Final[Colour] = (94, 160, 232)
LOOP: Final[Colour] = (120, 220, 160)
WARM: Final[Colour] = (244, 172, 92)
JUMP: Final[Colour] = (214, 128, 220)
SEAM_S: Final = 0.05


def draw(study: Study, found: FoundLoop) -> bytes:
    """The picture as a PNG."""
    canvas = Canvas.blank(WIDTH, 4 * GAP + 3 * PANEL, GROUND)
    _clip(canvas, GAP, study, found)
    _lags(canvas, 2 * GAP + PANEL, study, found)
    _seam(canvas, 3 * GAP + 2 * PANEL, study, found)
    return canvas.png()


def _clip(canvas: Canvas, top: int, study: Study, found: FoundLoop) -> None:
    sound = study.sound
    total = sound.frames
    seconds = total / sound.rate
    title = f"loop {found.start / sound.rate:.3f} s - {found.end / sound.rate:.3f} s, confidence {found.confidence:.0%}"
    if found.metre is not None:
        title += f", {found.bars} bars of {found.metre.beats_per_bar} at {found.metre.bpm:.1f} bpm"
    if found.key is not None:
        title += f", {found.key.name}"
    _panel(canvas, top, title, seconds)

    def across(frame: float) -> float:
        return MARGIN + frame / total * _inner()

    canvas.box(across(found.start), top, across(found.end), top + PANEL, LOOP, opacity=0.12)
    low, high = _envelope(sound.low, _inner())
    middle, reach = top + PANEL / 2, PANEL / 2 - 6
    canvas.columns(MARGIN, middle - high * reach, middle - low * reach, WAVE)
    for downbeat in found.metre.downbeats if found.metre is not None else ():
        canvas.box(across(downbeat), top, across(downbeat) + 1, top + PANEL, INK, opacity=0.5)
    for edge, name in ((found.start, "start"), (found.end, "end")):
        canvas.box(across(edge) - 1, top, across(edge) + 1, top + PANEL, LOOP)
        canvas.write(across(edge) + 4, top + 4, name, LOOP, scale=1)
    for number, jump in enumerate(found.jumps + found.beyond):
        height = top + PANEL - 10 - 12 * number
        left, right = sorted((across(jump.source), across(jump.target)))
        canvas.box(left, height, right, height + 2, JUMP)
        canvas.box(across(jump.target) - 3, height - 3, across(jump.target) + 3, height + 5, JUMP)


def _lags(canvas: Canvas, top: int, study: Study, found: FoundLoop) -> None:
    features = study.features
    _panel(canvas, top, "likeness to itself, by lag", len(features) / features.rate)
    at = np.linspace(0, len(study.likeness) - 1, _inner())
    curve = np.interp(at, np.arange(len(study.likeness)), study.likeness)
    canvas.curve(MARGIN, top + PANEL - 8 - np.clip(curve, 0, 1) * (PANEL - 16), WARM)
    x = MARGIN + found.frames / study.sound.frames * _inner()
    canvas.box(x - 1, top, x + 1, top + PANEL, LOOP)
    canvas.write(x + 4, top + 4, f"{found.frames / study.sound.rate:.3f} s", LOOP, scale=1)


def _seam(canvas: Canvas, top: int, study: Study, found: FoundLoop) -> None:
    sound = study.sound
    span = min(max(round(SEAM_S * sound.rate), 2 * found.crossfade), found.frames)
    body = bake(sound.audio, found.start, found.end, found.crossfade) @ sound.mix - sound.offset
    joined = np.concatenate([body[-span:], body[:span]])
    title = f"the seam as rendered, {1000 * span / sound.rate:.0f} ms on either side"
    _panel(canvas, top, f"{title}, crossfade {1000 * found.crossfade / sound.rate:.0f} ms", None)
    middle = MARGIN + _inner() / 2
    fade = found.crossfade / span * _inner() / 2
    canvas.box(middle - fade, top, middle, top + PANEL, WARM, opacity=0.15)
    canvas.box(middle - 1, top, middle + 1, top + PANEL, LOOP)
    at = np.linspace(0, len(joined) - 1, _inner())
    curve = np.interp(at, np.arange(len(joined)), joined) / max(float(np.abs(joined).max()), 1e-9)
    canvas.curve(MARGIN, top + PANEL / 2 - curve * (PANEL / 2 - 8), WAVE)


def _panel(canvas: Canvas, top: int, title: str, seconds: float | None) -> None:
    canvas.box(MARGIN, top, WIDTH - MARGIN, top + PANEL, PAPER)
    canvas.write(MARGIN, top - 22, title, INK)
    if seconds is None:
        return
    step = next(step for step in (0.5, 1, 2, 5, 10, 20, 60, 120) if seconds / step <= 20)
    for tick in np.arange(0, seconds, step):
        x = MARGIN + tick / seconds * _inner()
        canvas.box(x, top + PANEL, x + 1, top + PANEL + 5, FAINT)
        words = f"{tick:g}"
        canvas.write(x - len(words) * GLYPH_WIDTH / 2, top + PANEL + 8, words, FAINT, scale=1)


def _envelope(samples: Floats, columns: int) -> tuple[Floats, Floats]:
    """Least and greatest sample of each column, scaled to ±1."""
    edges = np.linspace(0, len(samples), columns + 1).astype(int)[:-1]
    scale = np.float32(1 / max(float(np.abs(samples).max()), 1e-9))
    return np.minimum.reduceat(samples, edges) * scale, np.maximum.reduceat(samples, edges) * scale


def _inner() -> int:
    return WIDTH - 2 * MARGIN
