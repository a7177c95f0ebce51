"""The station's mind: demand, leases and receipts, epochs, the queue, and what it does when others vanish."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.controller.core import Station
from services.controller.demand import UNHEARD_S
from services.controller.effects import ForgetClip, Heard, Shelve, ToAnalyzer, ToPlayer, Unshelve
from services.controller.leases import MOST_UNANSWERED
from services.controller.state import StationState
from shared.messages import (
    AnalyzerStatus,
    Capabilities,
    DashboardStatus,
    Failed,
    Job,
    LoopRefused,
    PlayerHello,
    PlayerStatus,
    Progress,
    Status,
)
from shared.music import Recipe
from shared.settings import Settings
from tests.unit.controller.conftest import COMPOSER, MUSICGEN, House, a_loop, cancels, jobs, of


def one_job(house: House, *offers: Capabilities) -> Job:
    (job,) = jobs(house.ready("w1", *offers))
    return job


def make_loops(house: House, count: int) -> None:
    for _ in range(count):
        job = one_job(house)
        house.deliver(job)
        house.accept(job)


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
    for _ in range(2000):
        for job in jobs(house.ready()) + jobs(house.wait(1, alive=("w1",))):
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


def test_after_a_restart_a_job_whose_worker_never_returns_is_given_to_another(house: House) -> None:
    job = one_job(house)
    later = house.again()
    (other,) = jobs(later.ready("w2"))
    later.deliver(other, "w2")
    later.accept(other)
    jobs_given = jobs(later.wait(12, alive=("w2",)) + later.ready("w2"))
    assert job.job_id in [j.job_id for j in jobs_given]


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


def test_an_analyzer_that_began_again_has_its_open_clips_asked_for_at_once(house: House) -> None:
    job = one_job(house)
    house.deliver(job)
    for pid in (1, 2):
        status = Status(service="analyzer", pid=pid, uptime_s=1, state=AnalyzerStatus())
        house.note(house.station.observe(status, house.now))
    house.ready()
    effects = house.wait(3, alive=("w1",))
    assert job.job_id in [j.job_id for j in jobs(effects + house.ready())]


def test_a_new_prompt_gets_a_composed_bridge_before_a_models_first_loop(bridging: House) -> None:
    house = bridging
    house.note(house.station.start("deep sea", "", "", house.now))
    (bridge,) = jobs(house.ready("w1", COMPOSER, MUSICGEN))
    assert (bridge.bridge, bridge.backend, bridge.piece) == (True, "composer", False)
    house.deliver(bridge)
    house.accept(bridge)
    assert [loop.bridge for loop in house.station.wanted.queue] == [True]
    (song,) = jobs(house.ready("w1", COMPOSER, MUSICGEN))
    assert (song.bridge, song.backend) == (False, "musicgen")
    house.deliver(song)
    house.accept(song)
    assert [loop.bridge for loop in house.station.wanted.queue] == [False]


def test_what_sounds_for_a_new_prompt_stays_until_more_of_it_is_there(bridging: House) -> None:
    house = bridging
    house.station.stock.shelf = {"old": a_loop("old", epoch=0)}
    bridge = one_job(house)
    house.deliver(bridge)
    house.accept(bridge)
    house.sounds(house.station.wanted.queue[0].loop_id)
    song = one_job(house)
    assert house.station.wanted.hold
    assert not house.station.state.hold
    house.deliver(song)
    house.accept(song)
    assert not house.station.wanted.hold
    assert [loop.epoch for loop in house.station.wanted.queue] == [1, 1]


def test_a_prompt_whose_generator_died_goes_on_with_what_there_is(bridging: House) -> None:
    house = bridging
    house.station.stock.shelf = {"old": a_loop("old", epoch=0)}
    bridge = one_job(house)
    house.deliver(bridge)
    house.accept(bridge)
    house.sounds(house.station.wanted.queue[0].loop_id)
    house.wait(60)
    assert not house.station.wanted.hold
    assert "old" in [loop.loop_id for loop in house.station.wanted.queue]


def test_the_composers_first_song_goes_on_with_its_bridge(bridging: House) -> None:
    house = bridging
    bridge = one_job(house)
    house.deliver(bridge)
    house.accept(bridge, recipe=Recipe(prompt="calm", backend="composer", seed=bridge.seed))
    song = one_job(house)
    assert (song.seed, song.piece, song.bridge) == (bridge.seed, True, False)
    house.deliver(song)
    house.accept(song)
    assert one_job(house).seed != song.seed


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


def test_progress_of_an_old_delivery_is_ignored(house: House) -> None:
    job = one_job(house)
    house.hear(Progress(job_id=job.job_id, token="other", fraction=0.9), "w1")
    lease = house.station.foreman.leases.get(job.job_id)
    assert lease is not None
    assert lease.fraction == 0
    house.hear(Progress(job_id=job.job_id, token=job.token, fraction=0.4, stage="composing"), "w1")
    assert "40 %" in house.station.waiting


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 5)), max_size=60))
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
    assert len(house.station.state.fresh) >= 2
