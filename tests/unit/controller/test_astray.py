"""Tempo and key that the listener's words name: measured, tried again a few times, then left to who can."""

from __future__ import annotations

import msgspec
import pytest

from services.controller.effects import Measured
from services.controller.workers import FIRST_REST_S, LONGEST_REST_S, TRIES
from shared.messages import ClipRejected, Job
from tests.unit.controller.conftest import COMPOSER, MUSICGEN, House, jobs, of, one_job

HEARING = msgspec.structs.replace(MUSICGEN, tempo_control=True, key_control=True)
BOTH = (COMPOSER, HEARING)


def astray(house: House, job: Job, bpm: float = 97.0) -> list[object]:
    house.deliver(job)
    reason = f"This clip has {bpm:.0f} beats a minute where 120 were asked for."
    rejected = ClipRejected(
        job_id=job.job_id, token=job.token, epoch=job.epoch, reason=reason, code="wrong-tempo", figures={"bpm": bpm}
    )
    return list(house.hear(rejected))


@pytest.fixture
def techno(house: House) -> House:
    house.note(house.station.start("techno, 120 bpm, in D minor", "", "", house.now))
    return house


def test_what_the_words_name_is_insisted_on_where_they_are_only_heard(techno: House) -> None:
    job = one_job(techno, *BOTH)
    assert (job.backend, job.bpm, job.key, job.insists) == ("musicgen", 120.0, "Dm", ("tempo", "key"))
    techno.note(techno.station.start("techno, 120 bpm, in D minor", "composer", "", techno.now))
    techno.wait(6)
    job = one_job(techno, *BOTH)
    assert (job.backend, job.bpm, job.key, job.insists) == ("composer", None, None, ())


def test_what_only_fits_the_last_song_is_a_wish(house: House) -> None:
    house.note(house.station.start("calm rain in C major", "", "", house.now))
    job = one_job(house, *BOTH)
    house.deliver(job)
    house.accept(job)
    job = one_job(house, *BOTH)
    assert job.bpm is not None
    assert job.insists == ("key",)


def test_a_few_clips_are_tried_then_another_backend_plays_and_the_figures_are_said(techno: House) -> None:
    told = []
    for bpm in (97.0, 101.0, 88.0):
        job = one_job(techno, *BOTH)
        assert job.backend == "musicgen"
        assert [effect.attempt.outcome for effect in of(Measured, astray(techno, job, bpm))] == ["wrong-tempo"]
        techno.wait(0.5, alive=("w1",))
        told.append(techno.station.waiting)
    assert "97" in told[0]
    assert f"try 2 of {TRIES}" in told[0]
    job = one_job(techno, *BOTH)
    assert job.backend == "composer"
    for figure in ("97", "101", "88", "120", "none as the words ask", "composer plays meanwhile"):
        assert figure in techno.station.waiting
    # One that was under way when the rest began changes nothing.
    techno.station.foreman.trust.astray("musicgen", "This clip has 99 beats a minute.", techno.now)
    techno.wait(0.5, alive=("w1",))
    assert "88" in techno.station.waiting
    assert "99" not in techno.station.waiting
    techno.deliver(job)
    techno.accept(job)
    assert [loop.epoch for loop in techno.station.wanted.queue] == [job.epoch]


def test_one_that_hits_begins_the_count_anew(techno: House) -> None:
    for _ in range(3):
        for _ in range(TRIES - 1):
            astray(techno, one_job(techno, *BOTH))
        job = one_job(techno, *BOTH)
        assert job.backend == "musicgen"
        techno.deliver(job)
        techno.accept(job)
        techno.sounds(f"loop-{job.job_id}")


def test_new_words_are_given_to_the_model_at_once(techno: House) -> None:
    for _ in range(TRIES):
        astray(techno, one_job(techno, *BOTH))
    techno.note(techno.station.nudge("darker", techno.now))
    assert one_job(techno, *BOTH).backend == "musicgen"


def test_a_model_that_never_hits_is_asked_ever_more_rarely_and_there_is_always_music(techno: House) -> None:
    tried, songs = 0, 0
    hours = 1
    for _ in range(hours * 3600 // 20):
        techno.wait(20, alive=("w1",), step=4.0)
        for job in jobs(techno.ready("w1", *BOTH)):
            if job.backend == "musicgen":
                tried += 1
                astray(techno, job)
            else:
                songs += 1
                techno.deliver(job)
                techno.accept(job)
                techno.sounds(f"loop-{job.job_id}")
    rests = 4 + (hours * 3600 - 15 * FIRST_REST_S) / LONGEST_REST_S
    assert TRIES < tried <= TRIES * (rests + 2)
    assert songs > hours * 3600 // 60
    assert techno.station.foreman.leases.balances()


def test_clips_that_are_refused_count_as_work(techno: House) -> None:
    job = one_job(techno, *BOTH)
    before = techno.station.around.workload.share(techno.now)
    astray(techno, job)
    assert techno.station.around.workload.share(techno.now) > before
