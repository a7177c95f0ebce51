"""The quarter of the machine: no hour sees more of it, whatever music costs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.controller.workload import BURST_S, HOUR_S, QUARTER, Workload


def _worked(costs: list[float], hours: float) -> list[tuple[float, float]]:
    """Work as it is done by a station that always wants more: each piece as soon as it may begin."""
    workload, now, done = Workload(), 0.0, []
    for number in range(100_000):
        now += workload.wait_s(now)
        if now > hours * HOUR_S:
            break
        cost = costs[number % len(costs)]
        now += cost  # a machine that does nothing else meanwhile
        workload.add(now, cost, 12.0)
        done.append((now, cost))
    return done


def _most_in_an_hour(done: list[tuple[float, float]]) -> float:
    return max(sum(cost for at, cost in done if end - HOUR_S < at <= end) for end, _ in done)


@settings(max_examples=15, deadline=None)
@given(st.floats(20.0, 240.0))
def test_no_hour_sees_more_than_its_quarter(cost: float) -> None:
    assert _most_in_an_hour(_worked([cost], 2.5)) <= QUARTER * HOUR_S + cost


def test_costs_that_change_overdraw_by_no_more_than_one_piece() -> None:
    costs = [5.0, 60.0, 10.0, 90.0]
    assert _most_in_an_hour(_worked(costs, 3.0)) <= QUARTER * HOUR_S + max(costs)


def test_the_first_songs_wait_for_nothing() -> None:
    workload, spent = Workload(), 0.0
    while spent + 25.0 <= BURST_S:
        assert workload.wait_s(0.0) == 0.0
        spent += 25.0
        workload.add(0.0, 25.0, 12.0)
    assert workload.wait_s(0.0) > 0.0


def test_a_piece_that_costs_more_than_the_burst_is_made_all_the_same_and_paid_for_afterwards() -> None:
    done = _worked([700.0], 6.0)
    assert len(done) >= 4
    assert _most_in_an_hour(done) <= 2 * 700.0


def test_cheap_music_never_waits() -> None:
    workload = Workload(cores=2)
    for number in range(120):
        workload.add(120.0 * number, 10.0, 60.0)
        assert workload.wait_s(120.0 * number) == 0.0


def test_cost_is_counted_in_machines_and_its_price_in_seconds_of_music() -> None:
    workload = Workload(cores=4)
    assert workload.price() is None
    workload.add(0.0, 8.0, 20.0)
    workload.add(10.0, 4.0, 10.0)
    assert workload.share(20.0) == pytest.approx(3.0 / HOUR_S)
    assert workload.price() == pytest.approx(0.1)
    assert workload.share(10.0 + HOUR_S) == 0.0
