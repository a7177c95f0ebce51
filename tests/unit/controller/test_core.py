"""The station's mind: demand, epochs, the queue, and what it does when others vanish."""

from __future__ import annotations

import pytest

from services.controller.core import Station
from services.controller.demand import UNHEARD_S
from services.controller.effects import Heard, Shelve, ToAnalyzer, ToPlayer, Unshelve
from shared.messages import (
    Capabilities,
    DashboardStatus,
    Failed,
    Job,
    LoopRefused,
    PlayerHello,
    PlayerStatus,
    Status,
)
from shared.settings import Settings
from tests.unit.controller.conftest import COMPOSER, MUSICGEN, House, a_loop, cancels, jobs, make_loops, of, one_job


def test_two_songs_are_made_ahead_of_what_sounds_and_no_more(house: House) -> None:
    make_loops(house, 2)
    assert jobs(house.ready()) == []
    assert "Two songs" in house.station.waiting
    assert len(jobs(house.sounds(house.station.wanted.queue[0].loop_id))) == 1


def test_several_workers_share_the_demand(house: House) -> None:
    assert len(jobs(house.ready("w1")) + jobs(house.ready("w2")) + jobs(house.ready("w3"))) == 2


def test_a_job_is_given_only_to_a_worker_that_asked(house: House) -> None:
    job = one_job(house)
    house.deliver(job)
    house.accept(job)
    assert jobs(house.wait(3, alive=("w1",))) == []
    assert len(jobs(house.ready())) == 1


def test_the_composer_is_asked_for_a_song_and_a_model_for_a_clip_in_seconds(house: House) -> None:
    job = one_job(house)
    assert (job.bars, job.seconds, job.piece, job.model) == (None, None, True, None)
    (job,) = jobs(house.ready("w2", MUSICGEN))
    assert (job.bars, job.seconds, job.piece, job.model, job.backend) == (None, 12.0, False, "small", "musicgen")


def test_a_failing_backend_gives_way_to_the_composer_and_the_station_says_so(house: House) -> None:
    backends = []
    for _ in range(40):
        for job in jobs(house.ready("w1", COMPOSER, MUSICGEN)) + jobs(house.wait(1, alive=("w1",))):
            backends.append(job.backend)
            if job.backend == "musicgen":
                house.hear(
                    Failed(job_id=job.job_id, token=job.token, reason="Out of memory.", backend="musicgen"), "w1"
                )
    assert backends[0] == "musicgen"
    assert backends[-1] == "composer"
    assert "musicgen failed (Out of memory)" in house.station.waiting


def test_a_backend_that_cannot_run_is_named_with_its_reason(house: House) -> None:
    house.note(house.station.start("rain", "musicgpt", "", house.now))
    offer = Capabilities(backend="musicgpt", available=False, reason="Its binary is missing: install it.")
    (job,) = jobs(house.ready("w1", COMPOSER, offer))
    assert job.backend == "composer"
    assert "binary is missing" in house.station.waiting


def test_a_new_prompt_raises_the_epoch_calls_the_job_back_and_drops_what_was_made(house: House) -> None:
    make_loops(house, 1)
    job = one_job(house)
    effects = house.note(house.station.start("stormy techno", "", "", house.now))
    assert house.station.state.epoch == 2
    assert [c.job_id for c in cancels(effects)] == [job.job_id]
    house.hear(Failed(job_id=job.job_id, token=job.token, reason="called back", retry=False), "w1")
    (new,) = jobs(house.ready())
    assert (new.prompt, new.epoch) == ("stormy techno", 2)
    assert house.station.foreman.leases.counts.cancelled == 1


def test_a_loop_of_an_older_prompt_goes_to_the_library_and_not_to_the_front(house: House) -> None:
    job = one_job(house)
    house.deliver(job)
    house.note(house.station.start("stormy techno", "", "", house.now))
    effects = house.accept(job)
    assert len(of(Shelve, effects)) == 1
    assert house.station.state.fresh == ()


def test_once_a_new_prompt_can_be_heard_the_old_loop_that_sounds_is_not_named(house: House) -> None:
    make_loops(house, 1)
    old = house.station.wanted.queue[0].loop_id
    house.sounds(old)
    house.note(house.station.start("stormy techno", "", "", house.now))
    assert house.station.wanted.queue[0].loop_id == old
    job = jobs(house.done + house.ready())[-1]
    house.deliver(job)
    house.accept(job)
    assert house.station.wanted.queue[0].epoch == 2


def test_epochs_survive_a_restart_and_so_do_open_jobs(house: House) -> None:
    house.note(house.station.start("stormy techno", "", "", house.now))
    job = one_job(house)
    later = house.again()
    assert later.station.state.epoch == 2
    assert jobs(later.ready("w1", holding=job.job_id)) == []
    later.deliver(job)
    later.accept(job)
    assert later.station.foreman.leases.counts.accepted == 1


def test_accepted_loops_survive_a_restart_before_the_library_has_them(house: House) -> None:
    make_loops(house, 1)
    later = house.again()
    later.station.shelf.clear()
    reborn = Station(later.station.state, Settings(), [], 0.0)
    assert len(reborn.shelf) == 1


@pytest.mark.parametrize("wish", [{"paused": True}, {"stopped": True}])
def test_nothing_is_made_while_it_is_silent_by_wish_for_the_stream_is_silent_too(
    house: House, wish: dict[str, bool]
) -> None:
    house.note(house.station.wish(house.now, **wish))  # type: ignore[arg-type]
    assert jobs(house.ready()) == []
    assert "nothing is made" in house.station.waiting
    listening(house)
    assert jobs(house.wait(2, alive=("w1",))) == []


def listening(house: House, listeners: int = 1) -> list[Job]:
    state = DashboardStatus(listeners=listeners)
    return jobs(
        house.note(house.station.observe(Status(service="dashboard", pid=9, uptime_s=1, state=state), house.now))
    )


def test_stop_survives_a_restart_and_start_ends_it(house: House) -> None:
    house.note(house.station.wish(house.now, stopped=True))
    later = house.again()
    later.wait(0.5)
    assert later.station.wanted.stopped
    assert not later.station.wanted.playing
    later.note(later.station.start("", "", "", later.now))
    assert later.station.wanted.playing


def test_a_station_that_nobody_hears_rests_after_a_while(house: House) -> None:
    house.sounds("startup", output_ok=False)
    house.now += UNHEARD_S + 5
    house.wait(1)
    assert jobs(house.ready()) == []
    assert "nobody" in house.station.waiting or "No sound device" in house.station.waiting


def test_the_null_output_reaches_nobody_and_a_listener_to_the_stream_is_somebody(house: House) -> None:
    state = PlayerStatus(playing=True, loop_id="startup", driver="null")
    house.note(house.station.observe(Status(service="player", pid=7, uptime_s=1, state=state), house.now))
    house.wait(UNHEARD_S + 5)
    assert jobs(house.ready()) == []
    assert len(listening(house)) == 1 or len(jobs(house.wait(1, alive=("w1",)))) == 1


def test_the_queue_begins_with_what_sounds_and_goes_on_with_what_fits(house: House) -> None:
    near, far = a_loop("near", bpm=82, key="C"), a_loop("far", bpm=119, key="F#")
    house.station.stock.shelf = {loop.loop_id: loop for loop in (a_loop("now"), far, near)}
    house.station.state.fresh = ("far", "near")
    house.sounds("now")
    assert [loop.loop_id for loop in house.station.wanted.queue] == ["now", "near", "far"]


def test_without_a_generator_what_is_there_goes_round(house: House) -> None:
    house.station.stock.shelf = {name: a_loop(name) for name in ("a", "b", "c")}
    house.sounds("a")
    house.sounds("b")
    assert house.station.wanted.queue[0].loop_id == "b"
    assert {loop.loop_id for loop in house.station.wanted.queue} == {"a", "b", "c"}


def test_the_wanted_state_is_numbered_and_sent_only_when_it_changes(house: House) -> None:
    number = house.station.wanted.number
    assert of(ToPlayer, house.note(house.station.wish(house.now, skip=True)))
    assert house.station.wanted.number == number + 1 or house.station.wanted.number == 1
    assert house.station.wanted.skips == 1
    assert not of(ToPlayer, house.note(house.station.tick(house.now)))


def test_a_player_that_says_hello_gets_the_wanted_state_and_its_counters_are_kept(house: House) -> None:
    effects = house.hear(PlayerHello(skips_done=4, wanted_number=90))
    assert of(ToPlayer, effects)
    assert house.station.wanted.skips == 4
    assert house.station.wanted.number > 90


def test_a_refused_loop_leaves_queue_and_library(house: House) -> None:
    make_loops(house, 2)
    broken = house.station.wanted.queue[0].loop_id
    effects = house.hear(LoopRefused(loop_id=broken, reason="cut off"))
    assert of(Unshelve, effects) == [Unshelve(broken)]
    assert broken not in [loop.loop_id for loop in house.station.wanted.queue]


def test_a_loop_that_sounds_is_noted_once_and_is_fresh_no_more(house: House) -> None:
    make_loops(house, 1)
    loop_id = house.station.state.fresh[0]
    assert of(Heard, house.sounds(loop_id)) == [Heard(loop_id)]
    assert of(Heard, house.sounds(loop_id)) == []
    assert house.station.state.fresh == ()


def test_a_change_between_two_loops_is_prepared_once(house: House) -> None:
    make_loops(house, 2)
    first, second = (loop.loop_id for loop in house.station.wanted.queue)
    effects = house.sounds(first) + house.wait(3)
    (prepare,) = of(ToAnalyzer, effects)
    assert (prepare.message.first.loop_id, prepare.message.second.loop_id) == (first, second)


def test_later_jobs_ask_for_what_fits_the_first_loop(house: House) -> None:
    house.note(house.station.start("calm rain", "", "", house.now))
    make_loops(house, 1)
    job = one_job(house)
    assert job.bpm is not None
    assert abs(job.bpm / 80 - 1) <= 0.06
    assert job.key in {"Am", "C", "Em", "Dm"}


def test_a_tempo_in_the_prompt_is_left_to_the_prompt(house: House) -> None:
    house.note(house.station.start("trance at 138 bpm in F minor", "", "", house.now))
    make_loops(house, 1)
    job = one_job(house)
    assert (job.bpm, job.key) == (None, None)
