"""Fixtures for all tests: a home of one's own, and links that are closed again."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.bus import Bus
from shared.paths import Paths

# All processes of the tests share the kernels that librosa has compiled: anew they cost each station half a minute.
os.environ["NUMBA_CACHE_DIR"] = ""
# Several tests run at once: more threads in the linear algebra would only take them from one another.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

# The homes of tests have long paths: their sockets lie in the temporary folder, in one that goes with the tests.
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
_temporary = tempfile.TemporaryDirectory(prefix="loop-")
os.environ["TMPDIR"] = tempfile.tempdir = _temporary.name

# Where the tests were begun in the background of a shell, Ctrl-C is ignored by them and by all that they begin.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """A service's loop takes the signals for good; what runs after it in this process has them back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A station's folders under a temporary one, all made."""
    made = Paths.under(tmp_path / "home")
    made.create()
    return made


@pytest.fixture
def bus(paths: Paths) -> Iterator[Bus]:
    """Links for one test, closed after it."""
    opened = Bus(paths)
    yield opened
    opened.close(linger_ms=0)
