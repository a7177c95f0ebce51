"""A command that no controller can take is refused at once or soon, in words, and never done later."""

from __future__ import annotations

import time

import pytest

from services.controller.cli import asking
from shared.errors import NotRunningError
from shared.paths import Paths
from shared.runtime.locks import FileLock


def test_without_a_station_it_is_said_at_once(paths: Paths) -> None:
    began = time.monotonic()
    with pytest.raises(NotRunningError, match="infiniloop start") as refused:
        asking.ask_station("pause", paths=paths)
    assert time.monotonic() - began < 0.5
    assert refused.value.exit_code == 4


def test_while_the_controller_is_away_nothing_waits_for_it(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "AWAY_WITHIN_S", 0.2)
    with FileLock(paths.runtime, "player").acquire(), pytest.raises(NotRunningError, match="nothing was done"):
        asking.ask_station("pause", paths=paths)
