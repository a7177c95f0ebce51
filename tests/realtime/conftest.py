"""A sound server for each test of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.realtime.jack import Jack
from tests.realtime.pulse import Pulse


@pytest.fixture
def pulse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pulse]:
    made = Pulse(tmp_path / "p")
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def jack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jack]:
    made = Jack(tmp_path)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    made.start()
    yield made
    made.stop()
