"""Statistics keep makers apart, leave downloads out, and advise what can be done."""

import pytest

from services.controller.statistics import Attempt, advice, estimate, summarise


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
