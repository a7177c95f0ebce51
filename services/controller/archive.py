"""Keeps the library while the station runs: takes loops in, stores their audio, holds it within its budget, mends it.

Threads: everything here belongs to the main thread. What is handed to ``in_library`` runs in the library's thread,
which owns the database; audio is read, written and deleted by the disk thread.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from services.controller.effects import Draw
from services.controller.errands import Failed, Then
from services.controller.library import Extent, Kept, Library, keep_audio, library_file, open_library
from services.controller.library.budget import surplus
from services.controller.library.entry import wish_of
from services.controller.library.opening import begin_anew, read_verdicts, write_verdicts
from services.controller.library.repair import repair
from shared.errors import AudioFileError, InfiniLoopError
from shared.music import Loop
from shared.paths import Paths

log = logging.getLogger(__name__)

CANDIDATES = 24
NOT_AGAIN_S = 1800.0
"""What was heard since is not drawn again."""
AT_ONCE = 4
"""Loops whose audio is stored in one round, so that other work for the disk comes in between."""


@dataclass(frozen=True)
class _Seen:
    """What a look at the library showed."""

    waiting: list[Loop]
    unsafe: frozenset[str]
    gone: list[str]
    files: list[Path]
    extent: Extent


class Archive:
    """The library as the station's main thread sees it.

    Parameters
    ----------
    run : has an executor do something, and the main thread go on with what it gave.
    disk : the executor of the disk thread.
    shelved : called with the name of each loop that the library has safe.
    moved : called with each loop whose audio has a new place.
    lost : called with the names of loops whose audio has been let go of.
    note : tells the listener something that the station cannot mend; from any thread.
    """

    def __init__(
        self,
        paths: Paths,
        *,
        run: Callable[[ThreadPoolExecutor, Callable[[], Any], Then | None, Failed | None], None],
        disk: ThreadPoolExecutor,
        shelved: Callable[[str], None],
        moved: Callable[[Loop], None],
        lost: Callable[[list[str]], None],
        note: Callable[[str], None],
    ) -> None:
        self._paths, self._run, self._disk = paths, run, disk
        self._shelved, self._moved, self._lost, self._note = shelved, moved, lost, note
        unclean = library_file(paths).with_name(library_file(paths).name + "-wal").exists()
        self._library, problem = open_library(paths)
        if problem:
            note(problem)
        self.shelf = self._library.shelf()
        """What the station begins with."""
        self.last_epoch = self._library.last_epoch()
        self.extent = Extent()
        self.unsafe: frozenset[str] = frozenset()
        """Paths in the cache of liked loops whose audio is nowhere else yet."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="library")
        self._keeping: set[str] = set()
        self._fault = ""
        self.in_library(partial(_mended, unclean=unclean), self._was_mended)

    def close(self) -> None:
        """Let the library's thread finish what it has begun."""
        self._thread.shutdown(wait=True)
        self._library.close()

    def in_library(
        self, work: Callable[[Library], Any], then: Then | None = None, failed: Failed | None = None
    ) -> None:
        """Have the library's thread do something with the library, and the main thread go on with what it gave."""
        self._run(self._thread, lambda: work(self._library), then, failed or self._failed)

    # -- loops come in ------------------------------------------------------------------------------------------------

    def take(self, loop: Loop) -> None:
        """Take this loop in, then store its audio."""

        def add(library: Library) -> Extent:
            library.add(loop, time.time())
            return library.extent()

        def added(extent: Extent) -> None:
            self.extent = extent
            self._fault = ""
            self._shelved(loop.loop_id)

        self.in_library(add, added)

    def heard(self, loop_id: str) -> None:
        """This loop has begun to sound."""
        self.in_library(partial(Library.heard, loop_id=loop_id, at=time.time()))

    def gone(self, loop_ids: Collection[str]) -> None:
        """The audio of these loops is no longer there."""
        self.in_library(lambda library: library.gone(loop_ids))

    def draw(self, wish: Draw, then: Callable[[list[Loop]], None]) -> None:
        """Look for loops that suit a prompt and were not heard lately."""

        def look(library: Library) -> list[Loop]:
            before = time.time() - NOT_AGAIN_S
            found = library.likely(wish_of(wish.prompt), wish.genre, before, CANDIDATES)
            return [loop for entry in found if (loop := library.loop(entry.loop_id)) is not None]

        self.in_library(look, then)

    # -- what time brings ---------------------------------------------------------------------------------------------

    def look_after(self, *, budget: int, free_wanted: int, needed: Collection[str]) -> None:
        """Store what is in the cache alone, and let go of what is too much.

        Parameters
        ----------
        budget, free_wanted : bytes for the library, and bytes of the disk that stay free.
        needed : names of loops whose files must stay.
        """

        def look(library: Library) -> _Seen:
            if library.damaged:
                library = self._begin_anew()
            waiting = library.waiting(AT_ONCE)
            liked = {loop_id for loop_id, verdict in library.verdicts().items() if verdict > 0}
            unsafe = frozenset(loop.path for loop in waiting if loop.loop_id in liked)
            free = shutil.disk_usage(library.folder).free
            going = surplus(
                library.stored(),
                budget=budget,
                database=library.database_bytes(),
                short_of_disk=max(0, free_wanted - free),
                needed=needed,
            )
            names = [each.loop_id for each in going]
            files = [file for name in names for file in library.files_of(name)]
            library.gone(names)
            return _Seen(waiting, unsafe, names, files, library.extent())

        def seen(found: _Seen) -> None:
            self.extent, self.unsafe, self._fault = found.extent, found.unsafe, ""
            if found.gone:
                self._lost(found.gone)
                self.delete(found.files)
            for loop in found.waiting:
                self._keep(loop, free_wanted=free_wanted)

        self.in_library(look, seen)

    def delete(self, files: Collection[Path]) -> None:
        """Delete what the library, which no longer names it, had stored."""
        self._run(self._disk, lambda: _delete(files), None, None)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _keep(self, loop: Loop, *, free_wanted: int) -> None:
        """Store this loop's audio in the library's folder, unless that is being done."""
        if loop.loop_id in self._keeping:
            return
        self._keeping.add(loop.loop_id)

        def stored(kept: Kept | None) -> None:
            self._keeping.discard(loop.loop_id)
            if kept is not None:
                self.in_library(
                    lambda library: library.kept(loop.loop_id, kept.bytes), lambda _: self._moved(kept.loop)
                )

        def failed(error: Exception) -> None:
            self._keeping.discard(loop.loop_id)
            self._failed(error)
            if isinstance(error, AudioFileError):  # there is nothing to keep
                self.gone([loop.loop_id])
                self._lost([loop.loop_id])

        folder = self._paths.library
        self._run(self._disk, lambda: keep_audio(loop, folder, free_wanted=free_wanted), stored, failed)

    def _was_mended(self, done: tuple[str, bool, Extent]) -> None:
        sentence, damaged, self.extent = done
        if damaged:
            self.in_library(lambda _: self._begin_anew())
        elif sentence:
            log.info("%s", sentence)

    def _begin_anew(self) -> Library:
        """In the library's thread: the file is damaged."""
        self._library.close()
        self._library, sentence = begin_anew(self._paths)
        self._note(sentence)
        return self._library

    def _failed(self, error: Exception) -> None:
        sentence = str(error)
        if isinstance(error, InfiniLoopError) and sentence == self._fault:
            return
        self._fault = sentence
        log.error("%s", sentence, exc_info=None if isinstance(error, InfiniLoopError) else error)


def _mended(library: Library, *, unclean: bool) -> tuple[str, bool, Extent]:
    """Mend the library; says whether its file is beyond that. Read whole only after a station that was killed."""
    if unclean and not library.is_whole():
        return "", True, Extent()
    beside = read_verdicts(library.folder)
    done = repair(library, beside)
    if library.verdicts() != beside:  # a crash came between the database and the file beside it
        write_verdicts(library)
    return done.sentence() if done else "", False, library.extent()


def _delete(files: Collection[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
