"""The sound of the embedded composer: instruments, mix and mastering, in numpy; samples where FluidSynth is found."""

from __future__ import annotations

from services.generator.backends.composer.sound.instruments import INSTRUMENTS, Instrument
from services.generator.backends.composer.sound.render import RenderedPiece, let_go, render_piece
from services.generator.backends.composer.sound.soundfont import (
    INSTALL_HINT,
    find_library,
    find_soundfont,
    soundfont_fault,
)

__all__ = [
    "INSTALL_HINT",
    "INSTRUMENTS",
    "Instrument",
    "RenderedPiece",
    "find_library",
    "find_soundfont",
    "let_go",
    "render_piece",
    "soundfont_fault",
]
