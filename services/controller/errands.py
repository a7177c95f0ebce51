"""What may block is done in other threads; the main thread goes on with what came of it.

Threads: everything here is called from the main thread; what other threads have done comes back through ``call_soon``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

log = logging.getLogger(__name__)

Then: TypeAlias = Callable[[Any], None]
Failed: TypeAlias = Callable[[Exception], None]


class Errands:
    """Has threads do things, each in its order.

    Parameters
    ----------
    call_soon : has the main thread make a call; safe from any thread.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], None]) -> None:
        self._call_soon = call_soon
        self.disk = ThreadPoolExecutor(1, thread_name_prefix="disk")
        """Saves, settings, audio, tidying."""

    def close(self) -> None:
        """Let the disk thread finish what it has begun."""
        self.disk.shutdown(wait=True)

    def on_disk(self, work: Callable[[], Any], then: Then | None = None, failed: Failed | None = None) -> None:
        """Have the disk thread do this, and the main thread go on with what it returned or why it failed."""
        self.run(self.disk, work, then, failed)

    def run(
        self,
        thread: ThreadPoolExecutor,
        work: Callable[[], Any],
        then: Then | None = None,
        failed: Failed | None = None,
    ) -> None:
        """The same in any thread."""

        def ended(future: Future[Any]) -> None:
            error = future.exception()
            if error is None:
                if then is not None:
                    self._call_soon(lambda: then(future.result()))
            elif failed is not None and isinstance(error, Exception):
                self._call_soon(lambda: failed(error))
            else:
                log.error("A thread of the disk failed: %s", error)

        thread.submit(work).add_done_callback(ended)
