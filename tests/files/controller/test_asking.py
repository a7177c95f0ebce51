"""A command that no controller can take is refused at once or soon, in words, and never done later."""

from __future__ import annotations

import json
import time

import pytest

from services.controller.cli import asking
from services.controller.cli.root import run_command
from shared.errors import NotRunningError
from shared.paths import Paths
from shared.runtime.locks import FileLock


def test_without_a_station_it_is_said_at_once(paths: Paths) -> None:
    began = time.monotonic()
    with pytest.raises(NotRunningError, match="infiniloop start") as refused:
        asking.ask_station("pause", paths=paths)
    assert time.monotonic() - began < 0.5
    assert refused.value.exit_code == 4


@pytest.mark.parametrize(
    "command",
    [
        "presets", "presets list --category calm", "presets show deep-focus", "presets add mine rain", "keys",
        "keys list", "models list", "library", "library list", "library history", "library check", "settings", "mode",
        "bridge", "offline", "debug", "stats", "programme", "programme add 07:00 rain", "set volume 30",
    ],
)  # fmt: skip
def test_every_report_is_one_object_on_the_last_line_that_says_ok(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setenv("INFINILOOP_HOME", str(paths.config.parent))
    assert run_command([*command.split(), "--json"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["ok"] is True


def test_while_the_controller_is_away_nothing_waits_for_it(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "AWAY_WITHIN_S", 0.2)
    with FileLock(paths.runtime, "player").acquire(), pytest.raises(NotRunningError, match="nothing was done"):
        asking.ask_station("pause", paths=paths)
