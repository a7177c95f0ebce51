"""Restful, evolve, flow: what is made when, out of what, and what the player is told to do with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from services.controller.core import Station
from services.controller.demand import FLOW_AHEAD_S
from services.controller.state import StationState
from services.controller.workload import BURST_S, HOUR_S, QUARTER
from shared.messages import Capabilities, ClipAccepted, Done, Heartbeat, Job, Progress
from shared.music import Recipe
from shared.settings import Settings
from tests.unit.controller.conftest import COMPOSER, MUSICGEN, House, a_loop, jobs

COMPOSING = msgspec.structs.replace(COMPOSER, kinds=("clip", "continuation"))
SAMPLING = msgspec.structs.replace(MUSICGEN, kinds=("clip", "continuation"), sample_rate=32_000)


def a_house(mode: str = "restful", cores: int = 1, today: datetime | None = None) -> House:
    settings = Settings()
    chosen = replace(settings, controller=replace(settings.controller, mode=mode, bridge=False))
    return House(Station(StationState(salt="5a17"), chosen, [], 100.0, today=today, cores=cores))


def finish(house: House, job: Job, *, seconds: float = 30.0, cpu_s: float = 1.0, **more: object) -> str:
    """The job's clip is made and accepted; returns its loop."""
    house.hear(
        Done(
            job_id=job.job_id,
            token=job.token,
            backend=job.backend,
            seconds=seconds,
            generation_s=cpu_s,
            cpu_s=cpu_s,
        ),
        "w1",
    )
    recipe = Recipe(prompt=job.prompt, backend=job.backend, seed=job.seed, parent_clip=job.parent_clip)
    loop = a_loop(
        f"loop-{job.job_id}",
        epoch=job.epoch,
        job_id=job.job_id,
        frames=round(seconds * 48_000),
        recipe=recipe,
        continues=job.parent_clip,
        **more,
    )
    house.hear(ClipAccepted(job_id=job.job_id, token=job.token, loop=loop))
    return loop.loop_id


def one(house: House, *offers: Capabilities) -> Job:
    (job,) = jobs(house.ready("w1", *(offers or (COMPOSING,))))
    return job


def spend(house: House) -> None:
    """The model is asked until it has had its share of the hour."""
    for _ in range(60):
        given = jobs(house.ready("w1", SAMPLING))
        if not given:
            return
        house.sounds(finish(house, given[0], cpu_s=60.0))
    raise AssertionError("the model was asked for a whole hour's work at once")


# -- restful ----------------------------------------------------------------------------------------------------------


def test_a_slow_model_is_rested_so_that_no_hour_sees_more_than_a_quarter_of_the_machine() -> None:
    house, spent, cost = a_house(), [], 60.0
    while house.now < 2.5 * HOUR_S:
        given = jobs(house.ready("w1", SAMPLING))
        for step in range(round(cost / 10)):
            house.now += 10.0
            word = Progress(job_id=given[0].job_id, token=given[0].token, fraction=step / 6) if given else Heartbeat()
            given += jobs(house.hear(word, "w1") + house.note(house.station.tick(house.now)))
        for job in given:
            house.sounds(finish(house, job, seconds=12.0, cpu_s=cost))
            spent.append(house.now)
    most = max(sum(end - HOUR_S < at <= end for at in spent) for end in spent) * cost
    assert BURST_S < most <= QUARTER * HOUR_S + cost
    assert "at most a quarter" in house.station.waiting


def test_a_new_prompts_first_song_never_waits_for_the_budget() -> None:
    house = a_house()
    spend(house)
    assert "at most a quarter" in house.station.waiting
    house.note(house.station.start("rain", "", "", house.now))
    assert [job.prompt for job in jobs(house.done)][-1] == "rain"


def test_what_was_spent_of_the_hour_survives_a_restart() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    house = a_house(today=noon)
    spend(house)
    before = house.station.around.workload
    share, wait_s = before.share(house.now), before.wait_s(house.now)
    after = house.again(noon + timedelta(minutes=1)).station.around.workload
    assert after.share(0.0) == pytest.approx(share)
    assert after.wait_s(0.0) == pytest.approx(wait_s - 60)
    assert wait_s > 60
    assert house.again(noon - timedelta(days=1)).station.around.workload.wait_s(0.0) == pytest.approx(wait_s)
    assert house.again(noon + timedelta(hours=2)).station.around.workload.wait_s(0.0) == 0.0


def test_what_another_machine_makes_costs_this_one_nothing_but_its_analysis() -> None:
    house = a_house()
    (job,) = jobs(house.ready("lan-1", SAMPLING))
    house.hear(
        Done(job_id=job.job_id, token=job.token, backend="musicgen", seconds=12, generation_s=90, cpu_s=90), "lan-1"
    )
    loop = a_loop("far", job_id=job.job_id)
    house.hear(ClipAccepted(job_id=job.job_id, token=job.token, loop=loop, analysis_s=2.0))
    assert house.station.around.workload.share(house.now) == pytest.approx(2.0 / HOUR_S)


def test_the_share_is_of_all_cores() -> None:
    house = a_house(cores=4)
    finish(house, one(house), cpu_s=8.0)
    assert house.station.around.workload.share(house.now) == pytest.approx(2.0 / HOUR_S)


@pytest.mark.parametrize("mode", ["restful", "evolve"])
def test_on_battery_what_is_there_plays_and_only_a_prompts_first_song_is_made(mode: str) -> None:
    house = a_house(mode)
    house.note(house.station.power(on_battery=True, now=house.now))
    house.sounds(finish(house, one(house)))
    assert jobs(house.ready("w1", COMPOSING)) == []
    assert "On battery" in house.station.waiting
    assert len(jobs(house.note(house.station.power(on_battery=False, now=house.now)))) == 1


def test_with_the_network_off_no_other_machine_is_let_in() -> None:
    settings = Settings()
    inviting = replace(settings, controller=replace(settings.controller, lan=True))
    assert inviting.door.lan
    assert not replace(inviting, generator=replace(settings.generator, offline=True)).door.lan


# -- evolve -----------------------------------------------------------------------------------------------------------


def test_each_song_grows_out_of_the_last_and_they_follow_in_that_order() -> None:
    house, made = a_house("evolve"), []
    for bpm in (80.0, 120.0, 80.0):
        job = one(house)
        assert job.parent_clip == (made[-1] if made else None)
        made.append(finish(house, job, bpm=bpm))
        if len(made) == 1:
            house.sounds(made[0])
    assert [loop.loop_id for loop in house.station.wanted.queue] == made
    assert house.station.wanted.queue[2].continues == made[1]


def test_one_song_is_made_at_a_time_for_the_next_one_grows_out_of_it() -> None:
    house = a_house("evolve")
    assert len(jobs(house.ready("w1", COMPOSING)) + jobs(house.ready("w2", COMPOSING))) == 1


def test_a_models_song_goes_on_where_the_last_ones_loop_ended() -> None:
    house = a_house("evolve")
    first = finish(house, one(house, SAMPLING), codes_path="/cache/clips/a.npz", source_end=352_000)
    job = one(house, SAMPLING)
    assert (job.parent_clip, job.splice_s) == (first, 11.0)
    assert job.parent_recipe is not None


def test_a_clip_without_codes_is_not_continued() -> None:
    house = a_house("evolve")
    finish(house, one(house, SAMPLING))
    assert one(house, SAMPLING).parent_clip is None


def test_the_lineage_survives_a_restart() -> None:
    house = a_house("evolve")
    first = finish(house, one(house))
    assert one(house.again()).parent_clip == first


# -- flow -------------------------------------------------------------------------------------------------------------


def test_the_stream_is_kept_a_minute_ahead_whatever_it_costs() -> None:
    house, ahead = a_house("flow"), 0.0
    while ahead < FLOW_AHEAD_S:
        finish(house, one(house), seconds=12.0, cpu_s=200.0)
        ahead += 12.0
    assert jobs(house.ready("w1", COMPOSING)) == []
    assert "60 s of the stream" in house.station.waiting
    house.note(house.station.power(on_battery=True, now=house.now))
    assert len(jobs(house.sounds(house.station.wanted.queue[0].loop_id))) == 1


def test_each_stretch_is_played_once_and_the_last_one_stays_while_the_next_is_on_its_way() -> None:
    house = a_house("flow")
    first = finish(house, one(house), seconds=12.0)
    house.sounds(first)
    second = one(house)
    assert (house.station.wanted.once, house.station.wanted.hold) == (True, True)
    name = finish(house, second, seconds=12.0)
    assert (house.station.wanted.once, house.station.wanted.hold) == (True, False)
    assert [loop.loop_id for loop in house.station.wanted.queue] == [first, name]


def test_a_stream_whose_generator_is_gone_becomes_songs_again() -> None:
    house = a_house("flow")
    house.sounds(finish(house, one(house)))
    house.wait(60)
    assert (house.station.wanted.once, house.station.wanted.hold) == (False, False)


def test_the_modes_change_while_it_plays() -> None:
    house = a_house("flow")
    house.sounds(finish(house, one(house)))
    settings = house.station.settings
    house.note(
        house.station.configure(replace(settings, controller=replace(settings.controller, mode="restful")), house.now)
    )
    assert not house.station.wanted.once
