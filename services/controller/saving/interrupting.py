"""Ctrl-C while a file is written: heard between two blocks, never within the encoder, which could not pass it on."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator

from shared.units import Audio

Until = Callable[[Iterable[Audio]], Iterator[Audio]]


@contextlib.contextmanager
def interruptible() -> Iterator[Until]:
    """Gives a function that ends blocks by ``KeyboardInterrupt`` when Ctrl-C was pressed.

    Only the main thread is interrupted; in any other one this does nothing.
    """
    pressed = threading.Event()

    def until(blocks: Iterable[Audio]) -> Iterator[Audio]:
        for block in blocks:
            if pressed.is_set():
                raise KeyboardInterrupt
            yield block

    if threading.current_thread() is not threading.main_thread():
        yield until
        return
    before = signal.signal(signal.SIGINT, lambda *_: pressed.set())
    try:
        yield until
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed.is_set():
        raise KeyboardInterrupt
