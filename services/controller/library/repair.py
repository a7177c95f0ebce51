"""Bringing the library and its folder into agreement again, after a crash or a hand that deleted files.

A file is written before the database names it, and deleted after the database has let go of it. So a crash leaves a
file too many, never one too few; and one too many says itself what it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

from services.controller.counting import number_of
from services.controller.library.audio import read_record
from services.controller.library.entry import audio_file
from services.controller.library.store import Library


@dataclass(frozen=True)
class Repaired:
    """What was found and mended."""

    missing: int = 0
    """Loops whose audio had gone."""
    found: int = 0
    """Audio that the library did not know of."""
    swept: int = 0
    """Files that a writer that was killed had left."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.found or self.swept)

    def sentence(self) -> str:
        if not self:
            return "The library is in order."
        parts = [
            f"the audio of {number_of(self.missing, 'loop')} had gone" if self.missing else "",
            f"{number_of(self.found, 'loop')} taken in again" if self.found else "",
            f"{number_of(self.swept, 'unfinished file')} deleted" if self.swept else "",
        ]
        return f"The library was mended: {', '.join(part for part in parts if part)}."


def repair(library: Library, verdicts: Mapping[str, int]) -> Repaired:
    """Mend what can be mended.

    Parameters
    ----------
    verdicts : what the listener thinks of loops, for those that the database has lost.
    """
    swept = 0
    for part in library.folder.glob(".*.part"):
        if not part.name.endswith(f".{os.getpid()}.part"):  # this process may be writing one
            part.unlink(missing_ok=True)
            swept += 1
    there = {path.name for path in library.folder.iterdir()}
    missing = [each.loop_id for each in library.stored() if audio_file(library.folder, each.loop_id).name not in there]
    library.gone(missing)
    return Repaired(missing=len(missing), found=adopt_orphans(library, verdicts), swept=swept)


def adopt_orphans(library: Library, verdicts: Mapping[str, int]) -> int:
    """Take in the audio files that the library does not know of; returns how many."""
    known, found = {each.loop_id for each in library.stored()}, 0
    for path in sorted(library.folder.glob("*.flac"), key=lambda each: each.stat().st_mtime):
        if path.stem in known:
            continue
        loop = read_record(path)
        if loop is None or audio_file(library.folder, loop.loop_id) != path:
            continue  # not ours: left alone
        if library.knows(loop.loop_id):
            library.kept(loop.loop_id, path.stat().st_size)
        else:
            added = min(path.stat().st_mtime, time.time())
            library.adopt(loop, added, path.stat().st_size, verdicts.get(loop.loop_id, 0))
        found += 1
    return found
