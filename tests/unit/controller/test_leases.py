"""Jobs from the moment they are given out to their receipt: again after a loss, once, and the table balances."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.controller.core import Station
from services.controller.effects import ForgetClip, Shelve
from services.controller.leases import MOST_UNANSWERED
from services.controller.state import StationState
from shared.messages import (
    AnalyzerStatus,
    Failed,
    Job,
    Progress,
    Status,
)
from shared.settings import Settings
from tests.unit.controller.conftest import COMPOSER, MUSICGEN, House, cancels, jobs, of, one_job


def test_a_lease_ends_with_the_receipt_and_not_before(house: House) -> None:
    job = one_job(house)
    house.deliver(job)
    assert len(house.station.foreman.leases) == 1
    effects = house.accept(job)
    assert len(house.station.foreman.leases) == 0
    assert of(ForgetClip, effects) == [ForgetClip(job.job_id)]
    assert of(Shelve, effects)[0].loop.title


def test_without_a_receipt_the_clip_is_asked_for_again_with_a_new_token(house: House) -> None:
    job = one_job(house)
    house.deliver(job)
    house.ready("w2")
    house.ready("w1")
    (again,) = [j for j in jobs(house.wait(45, alive=("w1", "w2"))) if j.job_id == job.job_id][:1]
    assert again.token != job.token
    assert again.seed == job.seed
    assert house.station.foreman.leases.counts.redelivered >= 1


def test_what_never_gets_a_receipt_is_given_up_and_made_anew(house: House) -> None:
    first = one_job(house)
    house.deliver(first)
    deliveries = 1
    for _ in range(500):
        for job in jobs(house.ready()) + jobs(house.wait(4, alive=("w1",), step=2.0)):
            house.deliver(job)
            deliveries += job.job_id == first.job_id
        if first.job_id not in house.station.foreman.leases:
            break
    assert deliveries == MOST_UNANSWERED
    assert house.station.foreman.leases.counts.lost >= 1


def test_a_job_outlives_many_deaths_of_its_worker(house: House) -> None:
    job = one_job(house)
    for pid in range(2, 22):
        house.now += 0.7
        assert [j.job_id for j in jobs(house.ready(pid=pid))] == [job.job_id]
    house.deliver(job)
    house.accept(job)
    assert house.station.foreman.leases.counts.lost == 0


def test_a_job_outlives_many_deaths_of_the_analyzer(house: House) -> None:
    job = one_job(house)
    for pid in range(20):
        house.deliver(job)
        status = Status(service="analyzer", pid=pid, uptime_s=1, state=AnalyzerStatus())
        house.note(house.station.observe(status, house.now))
        house.wait(2, alive=("w1",))
        house.ready()
    assert job.job_id in house.station.foreman.leases
    assert house.station.foreman.leases.counts.lost == 0


def test_a_second_receipt_changes_nothing(house: House) -> None:
    job = one_job(house)
    house.deliver(job)
    house.accept(job)
    before = house.station.remembered()
    fresh, counts = before.fresh, replace_counts(before)
    assert of(Shelve, house.accept(job)) == []
    assert house.station.state.fresh == fresh
    assert replace_counts(house.station.remembered()) == counts


def replace_counts(state: StationState) -> tuple[int, int]:
    return state.counts.opened, state.counts.accepted


def test_a_receipt_that_comes_without_done_ends_the_lease_and_calls_the_worker_back(house: House) -> None:
    job = one_job(house)
    assert [c.job_id for c in cancels(house.accept(job))] == [job.job_id]


def test_a_silent_worker_loses_its_job_to_another(house: House) -> None:
    job = one_job(house)
    house.now += 1
    effects = house.ready("w2")
    other = jobs(effects)[0]
    house.deliver(other, "w2")
    house.accept(other)
    effects = house.wait(30, alive=("w2",))
    effects += house.ready("w2")
    assert job.job_id in [j.job_id for j in jobs(effects)]


def test_a_worker_that_comes_back_without_its_job_gets_it_again(house: House) -> None:
    job = one_job(house)
    house.wait(4, alive=("w1",))
    (again,) = jobs(house.ready())
    assert again.job_id == job.job_id
    assert again.token != job.token


def test_a_call_that_crossed_with_the_job_is_not_taken_for_a_loss(house: House) -> None:
    one_job(house)
    assert jobs(house.ready()) == []
    assert len(house.station.foreman.leases) == 1


def test_a_worker_that_was_killed_just_after_it_got_a_job_gets_it_again_at_once(house: House) -> None:
    job = one_job(house)
    house.now += 0.7
    assert [j.job_id for j in jobs(house.ready(pid=2))] == [job.job_id]


def test_a_job_that_never_reached_its_worker_is_sent_again(house: House) -> None:
    job = one_job(house)
    assert job.job_id in [j.job_id for j in jobs(house.wait(10, alive=("w1",)))]


def test_a_long_job_whose_worker_tells_of_it_is_left_alone(house: House) -> None:
    job = one_job(house)
    for _ in range(120):
        house.hear(Progress(job_id=job.job_id, token=job.token, fraction=0.1), "w1")
        assert jobs(house.wait(1, alive=("w1",))) == []


def test_a_worker_that_holds_a_job_nobody_waits_for_is_called_back(house: House) -> None:
    assert [c.job_id for c in cancels(house.ready(holding="old-job"))] == ["old-job"]


def test_a_worker_that_asks_again_and_again_while_nothing_is_wanted_has_nothing_written_down(house: House) -> None:
    house.note(house.station.wish(house.now, stopped=True))
    house.ready()
    house.station.saved()
    for _ in range(5):
        house.now += 1
        assert house.ready() == []
        house.wait(0.5, alive=("w1",))
        assert not house.station.dirty


def test_a_rejected_clip_is_made_again_with_another_seed(house: House) -> None:
    job = one_job(house)
    house.deliver(job)
    house.reject(job)
    (other,) = jobs(house.ready())
    assert other.seed != job.seed
    assert other.job_id != job.job_id


def test_many_rejections_slow_the_station_down(house: House) -> None:
    made = 0
    for _ in range(120):
        for job in jobs(house.ready()) + jobs(house.wait(1, alive=("w1",))):
            house.deliver(job)
            house.reject(job)
            made += 1
    assert 3 <= made <= 20


def test_a_damaged_clip_is_asked_for_again_and_not_counted_as_rejected(house: House) -> None:
    job = one_job(house)
    house.deliver(job)
    house.reject(job, damaged=True)
    (again,) = jobs(house.ready())
    assert again.job_id == job.job_id
    assert house.station.foreman.leases.counts.rejected == 0


def test_after_a_restart_a_job_whose_worker_never_returns_is_given_to_another(house: House) -> None:
    job = one_job(house)
    later = house.again()
    (other,) = jobs(later.ready("w2"))
    later.deliver(other, "w2")
    later.accept(other)
    jobs_given = jobs(later.wait(12, alive=("w2",)) + later.ready("w2"))
    assert job.job_id in [j.job_id for j in jobs_given]


def test_an_analyzer_that_began_again_has_its_open_clips_asked_for_at_once(house: House) -> None:
    job = one_job(house)
    house.deliver(job)
    for pid in (1, 2):
        status = Status(service="analyzer", pid=pid, uptime_s=1, state=AnalyzerStatus())
        house.note(house.station.observe(status, house.now))
    house.ready()
    effects = house.wait(3, alive=("w1",))
    assert job.job_id in [j.job_id for j in jobs(effects + house.ready())]


def test_progress_of_an_old_delivery_is_ignored(house: House) -> None:
    job = one_job(house)
    house.hear(Progress(job_id=job.job_id, token="other", fraction=0.9), "w1")
    lease = house.station.foreman.leases.get(job.job_id)
    assert lease is not None
    assert lease.fraction == 0
    house.hear(Progress(job_id=job.job_id, token=job.token, fraction=0.4, stage="composing"), "w1")
    assert "40 %" in house.station.waiting


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 5)), max_size=40))
def test_the_lease_table_balances_whatever_happens(steps: list[tuple[int, int]]) -> None:  # noqa: PLR0912
    house = House(Station(StationState(salt="5a17"), Settings(), [], 100.0))
    seen: list[Job] = []
    for step, choice in steps:
        job = seen[choice % len(seen)] if seen else None
        match step:
            case 0 | 1:
                house.ready("w1")
            case 2:
                house.ready("w2", COMPOSER, MUSICGEN)
            case 3 if job:
                house.deliver(job)
            case 4 if job:
                house.accept(job)
            case 5 if job:
                house.reject(job, damaged=choice == 0)
            case 6 if job:
                house.hear(Failed(job_id=job.job_id, token=job.token, reason="x", retry=bool(choice % 2)), "w1")
            case 7:
                house.wait(choice * 3.0, alive=("w1",))
            case 8:
                house.note(house.station.start(f"prompt {choice}", "", "", house.now))
            case 9:
                house = house.again()
            case 10:
                house.note(house.station.wish(house.now, stopped=bool(choice % 2)))
            case 11 if job:
                house.ready("w1", holding=job.job_id)
            case _:
                house.wait(0.5)
        seen += jobs(house.done)
        house.done.clear()
        assert house.station.foreman.leases.balances()
        open_jobs = [lease.job.job_id for lease in house.station.foreman.leases.open]
        assert len(open_jobs) == len(set(open_jobs))


@pytest.mark.parametrize("loss", ["worker", "receipt", "failure"])
def test_the_music_is_made_in_the_end_whatever_was_lost(house: House, loss: str) -> None:
    lost = 0
    for _ in range(300):
        for job in jobs(house.ready()) + jobs(house.wait(1, alive=("w1",))):
            if lost < 3:
                lost += 1
                if loss == "receipt":
                    house.deliver(job)
                elif loss == "failure":
                    house.hear(Failed(job_id=job.job_id, token=job.token, reason="x"), "w1")
                else:
                    house.wait(7)
                continue
            house.deliver(job)
            house.accept(job)
        if len(house.station.state.fresh) >= 2:
            break
    assert len(house.station.state.fresh) >= 2
