"""The station's state machine. Pure: messages and time come in, effects go out; its shell has sockets, clock and disk.

Every handler ends in a plan made anew from the whole state: which job to give to whom, what is wanted of the player,
which transition to prepare. So nothing depends on the order in which messages happen to arrive, and nothing that was
missed stays missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from msgspec.structs import replace

from services.controller import choice
from services.controller.demand import Demand, View, weigh
from services.controller.effects import Effect, ForgetClip, Heard, Shelve, ToAnalyzer, ToPlayer, ToWorker, Unshelve
from services.controller.jobs import shaped
from services.controller.leases import Lease, LeaseTable
from services.controller.naming import named
from services.controller.state import HISTORY, StationState
from services.controller.workers import FALLBACK, Trust, Worker, Workers, choose_backend
from shared.messages import (
    AnalyzerStatus,
    AnyMessage,
    Cancel,
    ClipAccepted,
    ClipRejected,
    DashboardStatus,
    Done,
    Failed,
    Heartbeat,
    Job,
    LoopLoaded,
    LoopRefused,
    PlayerHello,
    PlayerStatus,
    Prepare,
    Progress,
    Ready,
    Status,
    TransitionFailed,
    Wanted,
)
from shared.music import Loop
from shared.settings import Settings

CROSSING_S = 2.0
"""A call for a job from the same process, so soon after one was sent to it, has crossed with that job."""
RETURN_S = 8.0
"""After a restart, so long until a worker that had a job is taken for gone."""


class Station:
    """The controller's mind.

    Parameters
    ----------
    state : what was remembered; changed in place, and to be saved whenever ``dirty`` is set.
    shelf : the loops whose files are there.
    now : seconds, on the clock of every later ``now``.
    """

    def __init__(self, state: StationState, settings: Settings, shelf: Iterable[Loop], now: float) -> None:
        self.state = state
        self.settings = settings
        self.shelf: dict[str, Loop] = {loop.loop_id: loop for loop in shelf}
        self.leases = LeaseTable(state.leases, state.counts, now)
        self.workers = Workers()
        self.trust = Trust()
        self.player: PlayerStatus | None = None
        self.listeners = 0
        self.restarts: dict[str, int] = {}
        self.disk_free: int | None = None
        self.dirty = True
        self.waiting = ""
        self._began = now
        self._sounding = ""
        self._songs: dict[str, Loop] = {}
        self._pids: dict[str, int] = {}
        self._last_heard = now
        self._next_job_at = 0.0
        self._prepared: set[tuple[str, str]] = set()
        self._wanted = Wanted(number=state.wanted_number, playing=False)
        for loop in state.unshelved:
            self.shelf.setdefault(loop.loop_id, loop)

    # -- what others see ----------------------------------------------------------------------------------------------

    @property
    def wanted(self) -> Wanted:
        return self._wanted

    @property
    def sounding(self) -> Loop | None:
        """The loop that sounds, where it is known."""
        return self.shelf.get(self._sounding) or self._songs.get(self._sounding)

    def previous(self) -> Loop | None:
        """The loop that sounded before this one."""
        earlier = [loop_id for loop_id in self.state.history if loop_id != self._sounding]
        return next((found for loop_id in reversed(earlier) if (found := self._find(loop_id))), None)

    def remembered(self) -> StationState:
        """The state as it is to be saved."""
        self.state.leases = self.leases.open
        self.state.counts = self.leases.counts
        return self.state

    def needed_loops(self) -> set[str]:
        """Loops whose files must stay: named to the player, held by it, not heard yet, or heard last."""
        held = set(self.player.held) if self.player is not None else set()
        recent = {loop.loop_id for loop in (self.sounding, self.previous()) if loop is not None}
        return held | recent | set(self.state.fresh) | {loop.loop_id for loop in self._wanted.queue}

    def unreachable(self, worker: str, now: float) -> None:
        """A message could not be handed to this worker: what it had is given out again."""
        self.workers.drop(worker)
        self._take_back(self.leases.of_worker(worker), None, now)
        self.dirty = True

    def unshelve(self, loop_ids: Iterable[str]) -> None:
        """These files are gone."""
        for loop_id in loop_ids:
            self.shelf.pop(loop_id, None)

    # -- messages -----------------------------------------------------------------------------------------------------

    def receive(self, message: AnyMessage, now: float, worker: str = "") -> list[Effect]:
        """Take in one message. ``worker`` names the link's peer for those that come from generators."""
        done: list[Effect] = []
        self.workers.heard(worker, now)
        match message:
            case Heartbeat():
                return []
            case Progress():
                self.leases.heard(message, now)
                return self._look(now)
            case Ready():
                self._ready(worker, message, now, done)
            case Done():
                if self.leases.delivered(message.job_id, now):
                    self.dirty = True
            case Failed():
                self._failed(message, now)
            case ClipAccepted():
                self._accepted(message, done)
            case ClipRejected():
                self._rejected(message, now, done)
            case LoopRefused():
                self.unshelve([message.loop_id])
                done.append(Unshelve(message.loop_id))
            case PlayerHello():
                self._hello(message, done)
            case TransitionFailed() | LoopLoaded():
                return []
            case _:
                return []
        return done + self._plan(now)

    def observe(self, status: Status, now: float) -> list[Effect]:
        """Take in a service's status."""
        begun_again = self._pids.get(status.service, status.pid) != status.pid
        self._pids[status.service] = status.pid
        if begun_again:
            self.restarts[status.service] = self.restarts.get(status.service, 0) + 1
        match status.state:
            case PlayerStatus():
                return self._player(status.state, now)
            case AnalyzerStatus() if begun_again:
                self.leases.hurry(now)
                self._prepared.clear()
            case DashboardStatus():
                listeners, self.listeners = self.listeners, status.state.listeners
                if listeners != self.listeners:
                    return self._plan(now)
            case _:
                pass
        return []

    def tick(self, now: float) -> list[Effect]:
        """Look at what should have come and has not; called about twice a second."""
        self.workers.drop_silent(now)
        for lease in self.leases.open:
            gone = lease.worker not in self.workers and now - max(lease.since, self._began) > RETURN_S
            if lease.phase in ("sent", "cancelling") and gone:
                self.leases.put_back(lease.job.job_id, now)
                self.dirty = True
        for lease in self.leases.overdue(now):
            if lease.phase == "sent" and (worker := self.workers.get(lease.worker)) is not None:
                worker.credit = True  # it tells of no work, so the job never reached it: it still waits for one
            self.leases.put_back(lease.job.job_id, now)
            self.dirty = True
        if self.listeners or (self.player is not None and self.player.output_ok):
            self._last_heard = now
        return self._plan(now)

    # -- the listener's wishes ----------------------------------------------------------------------------------------

    def start(self, prompt: str, backend: str, model: str, now: float) -> list[Effect]:
        """Play; with a prompt, play that. What is being made for the last prompt is called back."""
        state = self.state
        state.paused = state.stopped = False
        if backend or model or prompt:
            state.backend, state.model = backend, model
        self.trust.forget()
        self._next_job_at = 0.0
        self._last_heard = now
        done: list[Effect] = []
        if prompt:
            state.prompt = prompt
            state.epoch += 1
            state.fresh, state.anchor, state.hold = (), "", False
            done += [
                ToWorker(worker, Cancel(job_id=lease.job.job_id, reason="a new prompt"))
                for lease in self.leases.open
                if (worker := self.leases.call_back(lease.job.job_id, now))
            ]
        self.dirty = True
        return done + self._plan(now)

    def wish(
        self,
        now: float,
        *,
        stopped: bool | None = None,
        paused: bool | None = None,
        hold: bool | None = None,
        skip: bool = False,
        back: bool = False,
    ) -> list[Effect]:
        """Stop, pause, hold, or go on or back by one song."""
        state = self.state
        state.stopped = state.stopped if stopped is None else stopped
        state.paused = state.paused if paused is None else paused
        state.hold = state.hold if hold is None else hold
        state.skips += skip
        state.backs += back
        self.dirty = True
        return self._plan(now)

    def configure(self, settings: Settings, now: float) -> list[Effect]:
        """Other settings are in force."""
        if settings.generator.backend != self.settings.generator.backend:
            self.state.backend = ""
            self.trust.forget()
        if settings.generator.model != self.settings.generator.model:
            self.state.model = ""
        self.settings = settings
        self.dirty = True
        return self._plan(now)

    def shelved(self, loop_id: str) -> None:
        """The library has this loop safe."""
        self.state.unshelved = tuple(loop for loop in self.state.unshelved if loop.loop_id != loop_id)
        self.dirty = True

    # -- handlers -----------------------------------------------------------------------------------------------------

    def _ready(self, key: str, ready: Ready, now: float, done: list[Effect]) -> None:
        before = self.workers.get(key)
        worker, earlier = self.workers.ready(key, ready, now)
        for gone in earlier:
            self._take_back(self.leases.of_worker(gone), ready.holding, now)
        mine = self.leases.of_worker(key)
        just_sent = any(now - lease.since < CROSSING_S and lease.phase == "sent" for lease in mine)
        if ready.holding is None and just_sent and before is not None and before.pid == ready.pid:
            worker.credit = False
            return
        self._take_back(mine, ready.holding, now)
        if ready.holding is not None and not self.leases.claimed(ready.holding, key, now):
            done.append(ToWorker(key, Cancel(job_id=ready.holding, reason="nobody waits for it")))
        self.dirty = True

    def _take_back(self, leases: Iterable[Lease], holding: str | None, now: float) -> None:
        for lease in leases:
            if lease.job.job_id != holding:
                self.leases.put_back(lease.job.job_id, now)

    def _failed(self, message: Failed, now: float) -> None:
        lease = self.leases.failed(message.job_id, message.token, message.retry, now)
        if lease is not None and lease.phase != "cancelling":
            backend = message.backend or lease.job.backend
            self.trust.failed(backend, message.reason, now)
            self._next_job_at = now + self.trust.pause_s(backend)
        self.dirty = True

    def _accepted(self, message: ClipAccepted, done: list[Effect]) -> None:
        lease = self.leases.close(message.job_id, "accepted")
        if lease is not None and lease.phase == "sent" and lease.worker:
            done.append(ToWorker(lease.worker, Cancel(job_id=message.job_id, reason="its receipt has come")))
        done.append(ForgetClip(message.job_id))
        self.dirty = True
        if message.loop.loop_id in self.shelf:
            return
        loop = named(message.loop)
        self.shelf[loop.loop_id] = loop
        self.state.unshelved += (loop,)
        done.append(Shelve(loop))
        if loop.recipe is not None:
            self.trust.succeeded(loop.recipe.backend)
        if loop.epoch == self.state.epoch and loop.loop_id not in self.state.history:
            self.state.fresh += (loop.loop_id,)
            if not self.state.anchor and not loop.bridge:
                self.state.anchor = loop.loop_id

    def _rejected(self, message: ClipRejected, now: float, done: list[Effect]) -> None:
        self.dirty = True
        if message.damaged and message.job_id in self.leases:
            self.leases.put_back(message.job_id, now)
            return
        lease = self.leases.close(message.job_id, "rejected")
        done.append(ForgetClip(message.job_id))
        if lease is not None:
            self.trust.rejected(lease.job.backend, f"a clip was rejected: {message.reason}", now)
            self._next_job_at = now + self.trust.pause_s(lease.job.backend)

    def _hello(self, message: PlayerHello, done: list[Effect]) -> None:
        if message.skips_done > self.state.skips or message.backs_done > self.state.backs:
            self.state.skips = max(self.state.skips, message.skips_done)
            self.state.backs = max(self.state.backs, message.backs_done)
        self.state.wanted_number = max(self.state.wanted_number, message.wanted_number)
        self.dirty = True
        self._sounds(message.loop_id or "", done)
        done.append(ToPlayer())

    def _player(self, status: PlayerStatus, now: float) -> list[Effect]:
        before, self.player = self.player, status
        if status.loop is not None:
            self._songs[status.loop.loop_id] = status.loop
            while len(self._songs) > 8:
                self._songs.pop(next(iter(self._songs)))
        done: list[Effect] = []
        changed = self._sounds(status.loop_id or "", done)
        if changed or before is None or before.output_ok != status.output_ok or before.held != status.held:
            return done + self._plan(now)
        return done

    def _sounds(self, loop_id: str, done: list[Effect]) -> bool:
        if not loop_id or loop_id == self._sounding:
            return False
        self._sounding = loop_id
        state = self.state
        state.fresh = tuple(each for each in state.fresh if each != loop_id)
        if not state.history or state.history[-1] != loop_id:
            state.history = (*state.history, loop_id)[-HISTORY:]
            if loop_id in self.shelf:
                done.append(Heard(loop_id))
        self.dirty = True
        return True

    # -- the plan -----------------------------------------------------------------------------------------------------

    def _plan(self, now: float) -> list[Effect]:
        return [*self._look(now), *self._give(now), *self._want()]

    def _look(self, now: float) -> list[Effect]:
        self.waiting = self._demand(now).waiting
        return []

    def _demand(self, now: float) -> Demand:
        backend, note = choose_backend(self._wished_backend(), self.workers.backends(), self.trust, now)
        return weigh(
            View(
                prompt=self.state.prompt,
                paused=self.state.paused and not self.listeners,
                stopped=self.state.stopped and not self.listeners,
                unheard_s=now - self._last_heard,
                fresh=sum(loop_id in self.shelf and not self.shelf[loop_id].bridge for loop_id in self.state.fresh),
                leases=self.leases.open,
                epoch=self.state.epoch,
                workers=len(self.workers),
                backend=backend,
                backend_note=note,
                pause_s=max(0.0, self._next_job_at - now),
                disk_free=self.disk_free,
            )
        )

    def _give(self, now: float) -> list[Effect]:
        done: list[Effect] = []
        for worker in self.workers.asking():
            lease = self.leases.next_queued(worker.key)
            backend, _ = choose_backend(self._wished_backend(), worker.capabilities, self.trust, now)
            if not backend:
                continue
            if lease is None:
                if self._demand(now).jobs < 1:
                    break
                lease = self._open(worker, backend, now)
            offer = worker.capabilities[FALLBACK if lease.job.bridge else backend]
            job = shaped(lease.job, offer, lease.deliveries + 1, self.settings, self.state.model)
            self.leases.send(job, worker.key, now)
            worker.credit = False
            done.append(ToWorker(worker.key, job))
            self.dirty = True
        if done:
            self._look(now)
        return done

    def _open(self, worker: Worker, backend: str, now: float) -> Lease:
        state = self.state
        state.jobs_named += 1
        dice = Random(f"{state.salt}:{state.epoch}:{state.jobs_named}")
        bpm, key = choice.ask_for(self._find(state.anchor), state.prompt, dice)
        job = Job(
            job_id=f"{state.epoch}-{state.jobs_named}-{state.salt}",
            token="new",
            epoch=state.epoch,
            prompt=state.prompt,
            backend=backend,
            bpm=bpm,
            key=key,
            seed=dice.randrange(2**31),
            bridge=self._wants_bridge(worker, backend),
        )
        self.leases.begin(job, now)
        lease = self.leases.get(job.job_id)
        assert lease is not None
        return lease

    def _wants_bridge(self, worker: Worker, backend: str) -> bool:
        """Whether something is composed at once, because a model's first loop for this prompt takes its time."""
        composer = worker.capabilities.get(FALLBACK)
        return (
            self.settings.controller.bridge
            and backend != FALLBACK
            and composer is not None
            and composer.available
            and not any(loop.epoch == self.state.epoch for loop in self.shelf.values())
            and not any(lease.job.bridge and lease.job.epoch == self.state.epoch for lease in self.leases.open)
        )

    def _want(self) -> list[Effect]:
        state, player = self.state, self.settings.player
        wanted = Wanted(
            number=self._wanted.number,
            playing=not state.paused and not state.stopped,
            stopped=state.stopped,
            volume=player.volume,
            queue=choice.line_up(
                self._sounding,
                (self.shelf[each] for each in state.fresh if each in self.shelf),
                self.shelf.values(),
                state.epoch,
                state.history,
            ),
            skips=state.skips,
            backs=state.backs,
            hold=state.hold,
            transition=player.transition,  # type: ignore[arg-type]
            variation=player.variation,  # type: ignore[arg-type]
            min_duration_s=player.min_duration,
            driver=player.driver,
            output_device=player.output_device,
            epoch=state.epoch,
        )
        done: list[Effect] = []
        if wanted != self._wanted:
            state.wanted_number = max(state.wanted_number, self._wanted.number) + 1
            self._wanted = replace(wanted, number=state.wanted_number)
            self.dirty = True
            done.append(ToPlayer())
        return done + self._prepare()

    def _prepare(self) -> list[Effect]:
        """Ask once for the change from what sounds to what comes next."""
        style, queue = self._wanted.transition, self._wanted.queue
        if style == "off" or len(queue) < 2 or queue[0].loop_id != self._sounding:
            return []
        pair = (queue[0].loop_id, queue[1].loop_id)
        if pair in self._prepared:
            return []
        if len(self._prepared) > 200:
            self._prepared.clear()
        self._prepared.add(pair)
        return [ToAnalyzer(Prepare(first=queue[0], second=queue[1], style=style))]

    def _wished_backend(self) -> str:
        return self.state.backend or self.settings.generator.backend

    def _find(self, loop_id: str) -> Loop | None:
        return self.shelf.get(loop_id) or self._songs.get(loop_id)
