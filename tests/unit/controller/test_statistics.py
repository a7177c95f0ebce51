"""Statistics keep makers apart, leave downloads out, and survive."""

import json
import os
from pathlib import Path

import pytest

from services.controller.cli.root import run_command
from services.controller.statistics import Attempt, Ledger, advice, estimate, load, summarise
from services.controller.statistics.ledger import KEEP
from shared.errors import StoreError
from shared.paths import Paths


def attempt(at: float = 0.0, **fields: object) -> Attempt:
    given = {"backend": "musicgen", "model": "small", "precision": "int8", "seconds": 12.0, "generation_s": 10.0}
    return Attempt(at=at, **{**given, **fields})  # type: ignore[arg-type]


def test_makers_are_never_mixed() -> None:
    rows = summarise(
        [
            attempt(),
            attempt(model="medium"),
            attempt(precision="int4"),
            attempt(backend="musicgpt"),
            attempt(seconds=20),
        ]
    )
    assert len(rows) == 5


def test_median_p90_and_real_time_leave_downloads_and_failures_out() -> None:
    times = [float(n) for n in range(1, 11)]
    attempts = [attempt(generation_s=t, analysis_s=0.1 * t, download_s=100.0) for t in times]
    (row,) = summarise([*attempts, attempt(generation_s=0.0, outcome="failed")])
    assert (row.count, row.accepted, row.failed) == (11, 10, 1)
    assert (row.generation_median_s, row.generation_p90_s) == (5.5, 9.0)
    assert row.analysis_median_s == pytest.approx(0.55)
    assert row.real_time_factor == pytest.approx((12 / 5 + 12 / 6) / 2)
    assert row.download_s == 1000.0


def test_rejections_are_counted_by_reason() -> None:
    (row,) = summarise([attempt(outcome="silence"), attempt(outcome="silence"), attempt(outcome="no-loop"), attempt()])
    assert row.rejections == {"silence": 2, "no-loop": 1}


def test_the_estimate_counts_rejections_and_scales_with_length() -> None:
    rows = summarise([attempt(), attempt(outcome="no-loop")])
    found = estimate(rows, "musicgen", "small", 24.0, 120.0)
    assert found is not None
    assert found.per_song_s == pytest.approx(40.0)
    assert found.share == pytest.approx(1 / 3)
    assert estimate(rows, "composer", "", 12.0, 120.0) is None


def test_advice_can_be_acted_on() -> None:
    rows = summarise([attempt(generation_s=36.0)] * 5)
    assert advice(estimate(rows, "musicgen", "small", 12.0, 120.0), 120.0) == (
        "At songs of 2 min this machine rests 70 % of the time."
    )
    slow = advice(estimate(rows, "musicgen", "small", 12.0, 30.0), 30.0)
    assert "min_duration to 45 s" in slow
    assert "yet" in advice(None, 120.0)


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
    monkeypatch.setattr(load, "OVER_S", 0.02)
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


def test_the_load_of_a_machine_and_of_these_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "OVER_S", 0.02)
    found = load.measure([os.getpid()])
    assert found.station_rss_bytes is not None
    assert found.station_rss_bytes > 1_000_000
    assert found.memory_percent > 0
    assert load.measure([]).station_cpu_percent is None
