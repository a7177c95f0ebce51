"""Statistics keep makers apart, leave downloads out, and survive."""

import json
import os
from pathlib import Path

import pytest

from services.controller.cli.root import run_command
from services.controller.statistics import Attempt, Ledger, summarise
from services.controller.statistics.ledger import KEEP
from services.controller.statistics.load import measure
from shared.errors import StoreError
from shared.paths import Paths


def attempt(at: float = 0.0, **fields: object) -> Attempt:
    given = {"backend": "musicgen", "model": "small", "precision": "int8", "seconds": 12.0, "generation_s": 10.0}
    return Attempt(at=at, **{**given, **fields})  # type: ignore[arg-type]


def test_the_ledger_survives_and_forgets_the_oldest(tmp_path: Path) -> None:
    path = tmp_path / "data" / "statistics.sqlite"
    ledger = Ledger(path)
    ledger.add(attempt(at=2.0))
    ledger.add(attempt(at=1.0, outcome="noise"))
    ledger.close()
    again = Ledger(path)
    assert [a.at for a in again.all()] == [1.0, 2.0]
    assert again.all()[1] == attempt(at=2.0)
    again.clear()
    assert again.all() == []
    again.close()
    assert KEEP > 10_000


def test_a_ledger_that_is_no_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "statistics.sqlite"
    path.write_text("scribbles " * 1000)
    with pytest.raises(StoreError, match="cannot be opened"):
        Ledger(path)


def test_the_picture_is_one_whatever_is_known(tmp_path: Path) -> None:
    from services.controller.cli.stats import name_of
    from services.controller.statistics.plot import draw

    rows = summarise(
        [
            *(attempt(generation_s=9.0 + n, analysis_s=1.5) for n in range(10)),
            *(attempt(backend="musicgpt", precision="", generation_s=30.0 + 3 * n) for n in range(6)),
            *(attempt(backend="composer", model="", precision="", seconds=95.0, generation_s=3.0) for _ in range(20)),
            attempt(outcome="no-loop"),
        ]
    )
    picture = draw({name_of(row): row for row in rows})
    (tmp_path / "stats.png").write_bytes(picture)
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000


def test_the_command_draws_only_into_pictures_and_forgets_when_told(
    tmp_path: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INFINILOOP_HOME", str(paths.config.parent))
    target = tmp_path / "so, é.png"
    assert run_command(["stats", "--plot", str(target)]) == 2
    assert "nothing to draw" in capsys.readouterr().err
    ledger = Ledger(paths.statistics_file)
    ledger.add(attempt(outcome="silence", analysis_s=0.4))
    ledger.add(attempt(download_s=60.0))
    ledger.close()
    assert run_command(["stats", "--plot", str(target), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert target.read_bytes().startswith(b"\x89PNG")
    assert report["rows"][0]["rejections"] == {"silence": 1}
    assert report["rows"][0]["download_s"] == 60.0
    assert 0 <= report["machine"]["cpu_percent"] <= 100
    assert report["machine"]["station_cpu_percent"] is None
    for wrong in ("picture.txt", "."):
        assert run_command(["stats", "--plot", str(tmp_path / wrong)]) == 2
        capsys.readouterr()
    assert run_command(["set", "statistics", "off"]) == 0
    assert run_command(["stats", "--clear"]) == 0
    words = capsys.readouterr().out
    assert "Nothing has been made yet" in words
    assert "set statistics on" in words


def test_the_load_of_a_machine_and_of_these_processes() -> None:
    found = measure([os.getpid()], over_s=0.02)
    assert found.station_rss_bytes is not None
    assert found.station_rss_bytes > 1_000_000
    assert found.memory_percent > 0
    assert measure([], over_s=0.02).station_cpu_percent is None
