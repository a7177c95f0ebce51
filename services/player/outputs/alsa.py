"""Keeps ALSA from loading an encoder for surround sound, and with it 15 MB of codecs, when PortAudio looks round.

PortAudio asks every PCM of ALSA's configuration what it can do. One of them, ``a52`` of libasound2-plugins, encodes to
AC-3 and brings libavcodec and fifty other libraries, which then stay (benchmarks/results/player.md). ALSA looks for its
plugins in the folder that ``ALSA_PLUGIN_DIR`` names: one with all of them but that one.
"""

from __future__ import annotations

import ctypes
import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

_HEAVY = "libasound_module_pcm_a52.so"
_VARIABLE = "ALSA_PLUGIN_DIR"


def leave_out_the_encoder(folder: Path) -> None:
    """Make ``folder``, which must be private, the folder of ALSA's plugins; to be called before PortAudio begins.

    Does nothing where there is no such encoder, or where somebody has named a folder already.
    """
    if _VARIABLE in os.environ:
        return
    try:
        plugins = _plugins()
        if plugins is None or not (plugins / _HEAVY).exists():
            return
        folder.mkdir(mode=0o700, exist_ok=True)
        for left in folder.iterdir():
            left.unlink()
        for plugin in plugins.iterdir():
            if plugin.name != _HEAVY:
                (folder / plugin.name).symlink_to(plugin)
    except OSError as error:
        log.info("ALSA keeps all of its plugins: %s", error)
        return
    os.environ[_VARIABLE] = str(folder)


def _plugins() -> Path | None:
    """Where the libasound of this process has its plugins: beside itself."""
    try:
        ctypes.CDLL("libasound.so.2")
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return None
    library = next((Path(line.split()[-1]) for line in maps.splitlines() if "libasound.so" in line), None)
    return None if library is None else library.parent / "alsa-lib"
