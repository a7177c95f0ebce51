"""Sampled instruments: FluidSynth's library and any General MIDI SoundFont on the machine, through ctypes.

Conventions
-----------
``find_library`` and ``find_soundfont`` look and never raise. A ``Player`` that cannot be opened is reported by one
warning for the process, and own synthesis plays in its stead.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from services.generator.backends.composer.sound.tone import Tone
from shared.errors import BackendUnavailable
from shared.units import Audio

log = logging.getLogger(__name__)

INSTALL_HINT: Final = "sudo apt install libfluidsynth3 fluid-soundfont-gm"
"""What brings both parts on Debian and Ubuntu."""

_LIBRARIES = (
    "libfluidsynth.so.3",
    "libfluidsynth.so.2",
    "libfluidsynth.3.dylib",
    "/opt/homebrew/lib/libfluidsynth.dylib",
)
_FOLDERS = (
    "/usr/share/sounds/sf2",
    "/usr/share/soundfonts",
    "/usr/share/sounds/sf3",
    "/usr/local/share/soundfonts",
    "/opt/homebrew/share/soundfonts",
)
_FAVOURITES = ("FluidR3_GM.sf2", "FluidR3_GM2-2.sf2", "default-GM.sf2", "GeneralUser", "default.sf2", "FluidR3_GS.sf2")
_BLOCK = 64
_TONES, _DRUMS = 0, 9
"""Channels, as General MIDI has them."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A preset of a General MIDI SoundFont."""

    program: int
    """0–127; of a drum kit, its number in bank 128."""
    drums: bool = False
    octave: int = 0
    """Octaves by which the preset is played higher than written."""


def find_library() -> str | None:
    """The name by which FluidSynth's library can be loaded, if it is installed."""
    found = ctypes.util.find_library("fluidsynth")
    for name in (*_LIBRARIES, *((found,) if found else ())):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return str(name)
    return None


def find_soundfont() -> Path | None:
    """A General MIDI SoundFont of this machine: ``INFINILOOP_SOUNDFONT`` first, then the usual folders."""
    named = os.environ.get("INFINILOOP_SOUNDFONT")
    if named:
        return Path(named) if Path(named).is_file() else None
    fonts = [font for folder in _folders() for font in _fonts(folder)]
    return min(fonts, key=_preference) if fonts else None


def open_player() -> Player | None:
    """The machine's sampled instruments, or none: silently if a part is missing, with a warning if one is broken."""
    library, font = find_library(), find_soundfont()
    if library is None or font is None:
        return None
    try:
        return Player(library, font)
    except BackendUnavailable as error:
        log.warning("%s", error)
        return None


def soundfont_fault(library: str, font: Path) -> str | None:
    """What is wrong with this SoundFont, in one sentence, if it cannot be played."""
    try:
        Player(library, font)
    except BackendUnavailable as error:
        return str(error)
    return None


class Player:
    """One loaded SoundFont. Single-threaded; samples are loaded preset by preset, as they are asked for.

    Raises
    ------
    BackendUnavailable
        The file is not a SoundFont that FluidSynth can read.
    """

    def __init__(self, library: str, font: Path) -> None:
        if not _looks_right(font):
            raise _unreadable(font)
        self.font = font
        self._lib = _declared(ctypes.CDLL(library))
        self._synths: dict[int, tuple[int, int]] = {}
        self._lib.fluid_set_log_function(0, None, None)
        for level in range(1, 5):
            self._lib.fluid_set_log_function(level, None, None)
        self._synth(48_000)

    def tone(self, patch: Patch, tone: Tone, cents: float = 0.0) -> Audio:
        """A held key of this preset, bent by ``cents``, float32 ``(tone.frames, 2)``, at the level of full velocity."""
        synth, font_id = self._synth(tone.rate)
        channel = _DRUMS if patch.drums else _TONES
        bank = 128 if patch.drums else 0
        if self._lib.fluid_synth_program_select(synth, channel, font_id, bank, patch.program) != 0:
            self._lib.fluid_synth_program_select(synth, channel, font_id, bank, 0)
        key = min(127, max(0, tone.pitch + 12 * patch.octave))
        velocity = min(127, max(20, round(30 + 90 * tone.velocity)))
        self._lib.fluid_synth_pitch_bend(synth, channel, min(16_383, max(0, 8192 + round(cents * 8192 / 200))))
        # A voice's first block glides from the gain that its slot had before: struck twice, it has its own.
        self._struck(synth, channel, key, velocity, _BLOCK)
        sound = self._struck(synth, channel, key, velocity, -(-tone.frames // _BLOCK) * _BLOCK)
        return sound[: tone.frames] * np.float32((127.0 / velocity) ** 2)

    def rest(self) -> None:
        """Let go of the samples of the presets asked for last: some megabytes, more of a piano than of a flute."""
        for synth, _ in self._synths.values():
            for channel in (_TONES, _DRUMS):
                self._lib.fluid_synth_unset_program(synth, channel)

    def _struck(self, synth: int, channel: int, key: int, velocity: int, frames: int) -> Audio:
        """The first frames, a multiple of the library's block, of a key; nothing of it is left sounding."""
        sound = np.zeros((frames, 2), np.float32)
        rest = np.zeros((4 * _BLOCK, 2), np.float32)
        self._lib.fluid_synth_noteon(synth, channel, key, velocity)
        self._written(synth, sound)
        self._lib.fluid_synth_all_sounds_off(synth, channel)
        self._written(synth, rest)
        return sound

    def _written(self, synth: int, into: Audio) -> None:
        address = into.ctypes.data
        self._lib.fluid_synth_write_float(synth, len(into), address, 0, 2, address, 1, 2)

    def _synth(self, rate: int) -> tuple[int, int]:
        if rate not in self._synths:
            settings = self._lib.new_fluid_settings()
            self._lib.fluid_settings_setnum(settings, b"synth.sample-rate", float(rate))
            self._lib.fluid_settings_setnum(settings, b"synth.gain", 1.0)
            self._lib.fluid_settings_setint(settings, b"synth.dynamic-sample-loading", 1)
            self._lib.fluid_settings_setint(settings, b"synth.reverb.active", 0)
            self._lib.fluid_settings_setint(settings, b"synth.chorus.active", 0)
            synth = self._lib.new_fluid_synth(settings)
            font_id = self._lib.fluid_synth_sfload(synth, os.fsencode(self.font), 0) if synth else -1
            if font_id < 0:
                raise _unreadable(self.font)
            self._synths[rate] = (synth, font_id)
        return self._synths[rate]


def _looks_right(font: Path) -> bool:
    """Whether the file begins as a SoundFont does; libraries that FluidSynth asks next complain aloud of others."""
    try:
        with font.open("rb") as file:
            head = file.read(12)
    except OSError:
        return False
    return head[:4] == b"RIFF" and head[8:] == b"sfbk"


def _unreadable(font: Path) -> BackendUnavailable:
    return BackendUnavailable(
        f"The SoundFont {font} cannot be read: instruments are synthesised instead; to mend it: {INSTALL_HINT}"
    )


def _folders() -> Iterator[Path]:
    data = os.environ.get("XDG_DATA_HOME")
    yield (Path(data) if data else Path.home() / ".local/share") / "soundfonts"
    yield from map(Path, _FOLDERS)


def _fonts(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.suffix.lower() in (".sf2", ".sf3") and p.is_file())
    except OSError:
        return []


def _preference(font: Path) -> tuple[int, str]:
    ranks = (rank for rank, name in enumerate(_FAVOURITES) if font.name.startswith(name))
    return next(ranks, len(_FAVOURITES)), str(font)


def _declared(lib: Any) -> Any:
    pointer, text, whole, real = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_double
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "new_fluid_settings": (pointer, []),
        "new_fluid_synth": (pointer, [pointer]),
        "fluid_set_log_function": (pointer, [whole, pointer, pointer]),
        "fluid_settings_setnum": (whole, [pointer, text, real]),
        "fluid_settings_setint": (whole, [pointer, text, whole]),
        "fluid_synth_sfload": (whole, [pointer, text, whole]),
        "fluid_synth_program_select": (whole, [pointer, whole, whole, whole, whole]),
        "fluid_synth_unset_program": (whole, [pointer, whole]),
        "fluid_synth_pitch_bend": (whole, [pointer, whole, whole]),
        "fluid_synth_noteon": (whole, [pointer, whole, whole, whole]),
        "fluid_synth_all_sounds_off": (whole, [pointer, whole]),
        "fluid_synth_write_float": (whole, [pointer, whole, pointer, whole, whole, pointer, whole, whole]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib
