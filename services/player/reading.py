"""Has loops and rendered changes read from the disk by a thread of its own, and says in receipts how it went."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from pathlib import Path
from typing import TypeVar

from services.player.engine import Engine
from services.player.librarian import Librarian
from services.player.samples import CHUNK, Pool
from services.player.store import load_loop, load_transition
from services.player.writer import Writer
from shared.errors import AudioFileError
from shared.messages import AnyMessage, LoopLoaded, LoopRefused, Wanted
from shared.music import Loop, Transition

log = logging.getLogger(__name__)
T = TypeVar("T")


class Reading:
    """What is read and kept. Owned by the main thread; ``reader`` does the reading.

    Parameters
    ----------
    folders
        Where files may lie.
    pool
        Memory for what is read.
    receipt
        Sends a receipt to the controller.
    call_soon
        Has a call made in the main thread.
    """

    def __init__(
        self,
        writer: Writer,
        reader: Executor,
        *,
        folders: tuple[Path, ...],
        pool: Pool,
        receipt: Callable[[AnyMessage], object],
        call_soon: Callable[[Callable[[], None]], None],
    ) -> None:
        self._writer, self._reader = writer, reader
        self._folders, self._pool = folders, pool
        self._receipt, self._call_soon = receipt, call_soon
        self._librarian = Librarian()
        self._under_way: set[str] = set()

    def want(self, wanted: Wanted) -> None:
        """A new wanted state names what should be at hand."""
        self._librarian.want(wanted)

    def receive(self, loop: Loop) -> None:
        """A loop from the analyzer: read at once where there is room for it, else when its turn comes."""
        if loop.loop_id in self._writer.report.held:
            self._receipt(LoopLoaded(loop_id=loop.loop_id))
        elif not self._librarian.receive(loop):
            self._receipt(LoopRefused(loop_id=loop.loop_id, reason="It was made for an earlier prompt."))
        elif loop.frames <= self._pool.free * CHUNK:
            self._load(loop)

    def transition(self, transition: Transition) -> None:
        """A change that was rendered ahead; one that cannot be read is left to the player's own fade."""

        def done(trouble: str) -> None:
            if trouble:
                log.warning("A rendered change is left out: %s", trouble)

        self._read(partial(load_transition, transition, self._folders, self._pool), Engine.add_transition, done)

    def look(self) -> None:
        """Read what should be at hand and is not; let go of what need not be."""
        report = self._writer.report
        sounding = [report.loop]
        back = report.previous if report.wanted.backs > report.backs_done else None
        if back is not None and not self._librarian.refused(back):
            sounding.append(back)  # at hand or let go of meanwhile: now it is what comes next
        elif report.next_loop is not None and self._librarian.may_keep(report.next_loop, report.ahead):
            sounding.append(report.next_loop)
        plan = self._librarian.plan(sounding, report.ahead, report.previous, report.held)
        if not plan.keep.issuperset(report.held):  # first its room, then the loop that is to lie there
            self._writer.call(lambda engine: engine.keep(set(plan.keep)))
        else:
            for loop in plan.load:
                self._load(loop)

    def _load(self, loop: Loop) -> None:
        if loop.loop_id in self._under_way:
            return
        self._under_way.add(loop.loop_id)

        def done(trouble: str) -> None:
            self._under_way.discard(loop.loop_id)
            if trouble:
                self._librarian.refuse(loop)
                self._receipt(LoopRefused(loop_id=loop.loop_id, reason=trouble))
            else:
                self._receipt(LoopLoaded(loop_id=loop.loop_id))

        self._read(partial(load_loop, loop, self._folders, self._pool), Engine.add, done)

    def _read(self, load: Callable[[], T], give: Callable[[Engine, T], None], done: Callable[[str], None]) -> None:
        """Have the reader load something and give it to the engine; ``done`` hears in the main thread how it went."""

        def ended(future: Future[T]) -> None:
            error = future.exception()
            trouble = "" if error is None else str(error)
            if error is None:
                loaded = future.result()
                self._writer.call(lambda engine: give(engine, loaded))
            elif not isinstance(error, AudioFileError):
                log.error("A file could not be read.", exc_info=error)
                trouble = "It could not be read, as the player's log tells."
            self._call_soon(lambda: done(trouble))

        self._reader.submit(load).add_done_callback(ended)
