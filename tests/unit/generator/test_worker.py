"""The worker's logic: nothing is lost between a job and its clip, whatever dies on the way."""

from pathlib import Path

import pytest

from services.generator.actions import Action, Deliver, Reconnect, Renew, Say, Tell
from services.generator.frames import Halt, Made, Make, Missed, Step, Survey, Up
from services.generator.tasks import Limits
from services.generator.worker import LIVENESS_S, REMEMBERED, Worker
from shared.messages import AnyMessage, Cancel, Capabilities, Done, Failed, Heartbeat, Job, Progress, Ready
from shared.music import Recipe

CAN = (
    Capabilities(backend="musicgpt", available=False, reason="MusicGPT was not found."),
    Capabilities(backend="composer", available=True, seed_control=True),
)


def job(number: int = 1, token: str = "t1", backend: str = "auto") -> Job:
    return Job(
        job_id=f"j{number}", token=token, epoch=4, prompt="calm piano", backend=backend, bpm=80.0, insists=("tempo",)
    )


def made(number: int = 1) -> Made:
    return Made(
        job_id=f"j{number}",
        path=f"/cache/clips/j{number}.wav",
        sample_rate=48_000,
        frames=480_000,
        channels=2,
        recipe=Recipe(prompt="calm piano", backend="composer"),
        generation_s=2.0,
    )


class Bench:
    """A worker, its clock, and everything it wanted done."""

    def __init__(self) -> None:
        self.now = 100.0
        self.files: set[Path] = set()
        self.worker = Worker(
            "w",
            clips=Path("/cache/clips"),
            now=self.now,
            exists=lambda path: path in self.files,
            limits=Limits(obey=0.5, stall=90.0),
        )
        self.worker.child_began(self.now)

    def up(self) -> list[Action]:
        return self.worker.child_said(Up(capabilities=CAN), self.now)

    def hear(self, message: AnyMessage) -> list[Action]:
        return self.worker.hear(message, self.now)

    def finish(self, number: int = 1) -> list[Action]:
        self.files.add(Path(f"/cache/clips/j{number}.wav"))
        return self.worker.child_said(made(number), self.now)

    def pass_time(self, seconds: float, step: float = 0.05, *, heard: bool = True) -> list[Action]:
        actions: list[Action] = []
        until = self.now + seconds
        while self.now < until:
            self.now += step
            actions += self.worker.tick(self.now)
            if heard:
                actions += self.worker.hear(Heartbeat(), self.now)
        return actions


def said(actions: list[Action], kind: type[AnyMessage]) -> list[AnyMessage]:
    return [action.message for action in actions if isinstance(action, Say) and isinstance(action.message, kind)]


@pytest.fixture
def bench() -> Bench:
    ready = Bench()
    assert said(ready.up(), Ready)
    return ready


def test_it_asks_for_a_job_only_once_it_knows_what_it_can_do() -> None:
    new = Bench()
    assert not said(new.pass_time(3.0), Ready)
    (ready,) = said(new.up(), Ready)
    assert ready == Ready(worker="w", capabilities=CAN)


def test_a_job_that_comes_before_it_knows_what_it_can_do_may_be_tried_again() -> None:
    new = Bench()
    (failed,) = said(new.hear(job()), Failed)
    assert failed.retry
    assert said(new.up(), Ready)


def test_a_job_becomes_a_clip_a_done_and_the_next_request(bench: Bench) -> None:
    begun = bench.hear(job())
    (order,) = [action.order for action in begun if isinstance(action, Tell)]
    assert isinstance(order, Make)
    assert (order.backend, order.path) == ("composer", "/cache/clips/j1.wav")
    bench.now += 0.5
    (progress,) = said(bench.worker.child_said(Step(job_id="j1", fraction=0.5, stage="composing"), bench.now), Progress)
    assert isinstance(progress, Progress)
    assert (progress.fraction, progress.stage, progress.eta_s) == (0.5, "composing", 0.5)
    (deliver,) = bench.finish()
    assert isinstance(deliver, Deliver)
    assert (deliver.clip.epoch, deliver.clip.asked_bpm, deliver.clip.frames) == (4, 80.0, 480_000)
    assert deliver.clip.insists == ("tempo",)
    done, ready = [action.message for action in bench.worker.delivered(bench.now) if isinstance(action, Say)]
    assert done == Done(job_id="j1", token="t1", backend="composer", seconds=10.0, generation_s=2.0)
    assert isinstance(ready, Ready)
    assert ready.holding is None
    assert {each.backend: each.real_time_factor for each in ready.capabilities} == {"musicgpt": None, "composer": 5.0}


def test_a_clip_that_nobody_takes_is_kept_and_offered_again_and_no_other_job_is_asked_for(bench: Bench) -> None:
    bench.hear(job())
    bench.finish()
    actions = bench.pass_time(3.0)
    assert len([action for action in actions if isinstance(action, Deliver)]) >= 10
    assert not said(actions, Ready)
    assert {message.stage for message in said(actions, Progress)} == {"waiting for the analyzer"}
    assert said(bench.worker.delivered(bench.now), Ready)


def test_the_same_job_again_while_its_clip_is_there_sends_that_clip_and_makes_nothing(bench: Bench) -> None:
    bench.hear(job())
    bench.finish()
    bench.worker.delivered(bench.now)
    (deliver,) = bench.hear(job(token="t2"))
    assert isinstance(deliver, Deliver)
    assert (deliver.clip.token, deliver.clip.path) == ("t2", "/cache/clips/j1.wav")
    (done,) = said(bench.worker.delivered(bench.now), Done)
    assert done.token == "t2"


def test_the_same_job_again_after_its_clip_is_gone_makes_it_again(bench: Bench) -> None:
    bench.hear(job())
    bench.finish()
    bench.worker.delivered(bench.now)
    bench.files.clear()
    assert any(isinstance(action, Tell) and isinstance(action.order, Make) for action in bench.hear(job(token="t2")))


def test_the_same_job_again_while_it_is_made_goes_on_under_the_new_token(bench: Bench) -> None:
    bench.hear(job())
    again = bench.hear(job(token="t2"))
    assert not any(isinstance(action, Tell) for action in again)
    (deliver,) = bench.finish()
    assert isinstance(deliver, Deliver)
    assert deliver.clip.token == "t2"


def test_another_job_while_one_is_made_is_refused_and_may_be_tried_elsewhere(bench: Bench) -> None:
    bench.hear(job())
    (failed,) = said(bench.hear(job(2)), Failed)
    assert failed.job_id == "j2"
    assert failed.retry
    assert "busy" in failed.reason


def test_a_backend_that_cannot_run_here_fails_the_job_in_words_and_asks_for_the_next(bench: Bench) -> None:
    actions = bench.hear(job(backend="musicgpt"))
    (failed,) = said(actions, Failed)
    assert failed.reason == "MusicGPT was not found."
    assert not failed.retry
    assert said(actions, Ready)


def test_a_cancelled_job_is_answered_at_once_and_the_next_is_asked_for_when_the_child_is_free(bench: Bench) -> None:
    bench.hear(job())
    actions = bench.hear(Cancel(job_id="j1"))
    (failed,) = said(actions, Failed)
    assert not failed.retry
    assert any(isinstance(action, Tell) and action.order == Halt(job_id="j1") for action in actions)
    assert not said(actions, Ready)
    obeyed = bench.worker.child_said(Missed(job_id="j1", reason="called back", cancelled=True), bench.now)
    assert said(obeyed, Ready)
    assert not said(obeyed, Failed)


def test_a_child_that_does_not_obey_is_killed_within_a_second(bench: Bench) -> None:
    bench.hear(job())
    bench.hear(Cancel(job_id="j1"))
    assert not any(isinstance(action, Renew) for action in bench.pass_time(0.4))
    assert any(isinstance(action, Renew) for action in bench.pass_time(0.2))
    ended = bench.worker.child_ended("was killed", bench.now)
    assert said(ended, Ready)
    assert not said(ended, Failed)


def test_a_clip_that_comes_after_its_cancel_goes_nowhere(bench: Bench) -> None:
    bench.hear(job())
    bench.hear(Cancel(job_id="j1"))
    actions = bench.finish()
    assert not any(isinstance(action, Deliver) for action in actions)
    assert said(actions, Ready)


def test_a_clip_that_waits_for_the_analyzer_can_be_called_back(bench: Bench) -> None:
    bench.hear(job())
    bench.finish()
    actions = bench.hear(Cancel(job_id="j1"))
    assert said(actions, Failed)
    assert said(actions, Ready)
    assert not any(isinstance(action, Deliver) for action in bench.pass_time(1.0))


def test_a_child_that_dies_costs_one_job(bench: Bench) -> None:
    bench.hear(job())
    actions = bench.worker.child_ended("was killed, perhaps for want of memory", bench.now)
    (failed,) = said(actions, Failed)
    assert failed.retry
    assert "memory" in failed.reason
    assert said(actions, Ready)
    assert not [action for action in bench.hear(job(2)) if isinstance(action, Tell)]
    began = bench.worker.child_began(bench.now)
    assert [action.order.job.job_id for action in began if isinstance(action, Tell)] == ["j2"]


def test_a_child_without_progress_is_killed_and_one_with_progress_is_not(bench: Bench) -> None:
    bench.hear(job())
    for _ in range(4):
        bench.pass_time(60.0, step=1.0)
        bench.worker.child_said(Step(job_id="j1", fraction=0.1, stage="generating"), bench.now)
    actions = bench.pass_time(95.0, step=1.0)
    assert any(isinstance(action, Renew) for action in actions)


def test_a_controller_that_is_not_heard_is_reconnected_to_and_told_what_is_held(bench: Bench) -> None:
    bench.hear(job())
    actions = bench.pass_time(LIVENESS_S + 0.2, heard=False)
    at = next(number for number, action in enumerate(actions) if isinstance(action, Reconnect))
    after = said(actions[at:], Ready)
    assert [message.holding for message in after] == ["j1"]


def test_it_gives_a_sign_of_life_every_second(bench: Bench) -> None:
    assert 9 <= len(said(bench.pass_time(10.0), Ready)) <= 10


def test_a_job_that_is_made_gives_signs_of_life_too(bench: Bench) -> None:
    bench.hear(job())
    assert len(said(bench.pass_time(10.0), Progress)) >= 9


def test_capabilities_that_change_are_told(bench: Bench) -> None:
    surveys = [
        action for action in bench.pass_time(25.0) if isinstance(action, Tell) and isinstance(action.order, Survey)
    ]
    assert 1 <= len(surveys) <= 3
    assert not said(bench.up(), Ready)
    now_there = (Capabilities(backend="musicgpt", available=True), CAN[1])
    (ready,) = said(bench.worker.child_said(Up(capabilities=now_there), bench.now), Ready)
    assert ready.capabilities[0].available
    assert bench.worker.status(bench.now).chosen == "musicgpt"


def test_stopping_gives_the_job_back(bench: Bench) -> None:
    bench.hear(job())
    (failed,) = said(bench.worker.stop(bench.now), Failed)
    assert failed.retry


def test_what_can_be_sent_again_is_bounded(bench: Bench) -> None:
    for number in range(REMEMBERED + 5):
        bench.hear(job(number))
        bench.finish(number)
        bench.worker.delivered(bench.now)
    assert any(isinstance(action, Tell) for action in bench.hear(job(0, token="t9")))


def test_the_status_says_what_is_made_and_what_auto_means(bench: Bench) -> None:
    bench.hear(job())
    bench.worker.child_said(Step(job_id="j1", fraction=0.25, stage="composing"), bench.now + 1)
    status = bench.worker.status(bench.now + 1)
    assert (status.job_id, status.prompt, status.backend, status.fraction) == ("j1", "calm piano", "composer", 0.25)
    assert status.eta_s == 3.0
    assert status.chosen == "composer"
    assert "MusicGPT was not found." in status.chosen_reason
