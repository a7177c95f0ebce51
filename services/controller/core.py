"""The station's state machine. Pure: messages and time come in, effects go out; its shell has sockets, clock and disk.

Every handler ends in a plan made anew from the whole state: which job to give to whom, what is wanted of the player,
which transition to prepare. So nothing depends on the order in which messages happen to arrive, and nothing that was
missed stays missing.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from services.controller.demand import Demand, View, weigh
from services.controller.effects import Effect, Shelve, ToAnalyzer, ToPlayer, Unshelve
from services.controller.foreman import Foreman
from services.controller.jobs import shaped
from services.controller.making import next_job, wants_bridge
from services.controller.naming import named
from services.controller.state import StationState
from services.controller.stock import Stock
from services.controller.wanting import Preparations, wanted
from services.controller.workers import Worker
from shared.messages import (
    AnalyzerStatus,
    AnyMessage,
    Capabilities,
    ClipAccepted,
    ClipRejected,
    DashboardStatus,
    Done,
    Failed,
    Heartbeat,
    Job,
    LoopRefused,
    PlayerHello,
    PlayerStatus,
    Progress,
    Ready,
    Status,
    Wanted,
)
from shared.music import Loop
from shared.settings import Settings


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
        self.stock = Stock(state, shelf)
        self.foreman = Foreman(state.leases, state.counts, now)
        self.player: PlayerStatus | None = None
        self.listeners = 0
        self.restarts: dict[str, int] = {}
        self.disk_free: int | None = None
        self.waiting = ""
        self._dirty = True
        self._pids: dict[str, int] = {}
        self._last_heard = now
        self._preparations = Preparations()
        self._wanted = Wanted(number=state.wanted_number, playing=False)

    # -- what others see ----------------------------------------------------------------------------------------------

    @property
    def dirty(self) -> bool:
        """Something has changed that must survive this process."""
        return self._dirty or self.foreman.changed

    def saved(self) -> None:
        """What ``remembered`` gave is safe."""
        self._dirty = self.foreman.changed = False

    @property
    def wanted(self) -> Wanted:
        return self._wanted

    @property
    def shelf(self) -> dict[str, Loop]:
        """The loops whose files are there, by name."""
        return self.stock.shelf

    @property
    def sounding(self) -> Loop | None:
        """The loop that sounds, where it is known."""
        return self.stock.sounding

    def previous(self) -> Loop | None:
        """The loop that sounded before this one."""
        return self.stock.previous()

    def remembered(self) -> StationState:
        """The state as it is to be saved."""
        self.state.leases = self.foreman.leases.open
        self.state.counts = self.foreman.leases.counts
        return self.state

    def needed_loops(self) -> set[str]:
        """Loops whose files must stay."""
        return self.stock.needed(self.player.held if self.player is not None else (), self._wanted.queue)

    def unshelve(self, loop_ids: Iterable[str]) -> None:
        """These files are gone."""
        self.stock.drop(loop_ids)

    # -- messages -----------------------------------------------------------------------------------------------------

    def receive(self, message: AnyMessage, now: float, worker: str = "") -> list[Effect]:
        """Take in one message. ``worker`` names the link's peer for those that come from generators."""
        done: list[Effect] = []
        match message:
            case Heartbeat() | Progress():
                self.foreman.hear(message, worker, now)
                self.waiting = self._demand(now).waiting
                return []
            case Ready() | Done() | Failed():
                done += self.foreman.hear(message, worker, now)
            case ClipAccepted():
                done += self.foreman.receipt(message, now) + self._accepted(message.loop)
            case ClipRejected():
                done += self.foreman.receipt(message, now)
            case LoopRefused():
                self.unshelve([message.loop_id])
                done.append(Unshelve(message.loop_id))
            case PlayerHello():
                done += self._hello(message)
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
                self.foreman.analyzer_began_again(now)
                self._preparations.forget()
            case DashboardStatus():
                listeners, self.listeners = self.listeners, status.state.listeners
                if listeners != self.listeners:
                    return self._plan(now)
            case _:
                pass
        return []

    def tick(self, now: float) -> list[Effect]:
        """Look at what should have come and has not; called about twice a second."""
        self.foreman.look_after(now)
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
        self.foreman.forgive()
        self._last_heard = now
        done: list[Effect] = []
        if prompt:
            state.prompt = prompt
            state.epoch += 1
            state.fresh, state.anchor, state.hold, state.bridge_seed = (), "", False, None
            done += self.foreman.call_back("a new prompt", now)
        self._dirty = True
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
        self._last_heard = now
        self._dirty = True
        return self._plan(now)

    def configure(self, settings: Settings, now: float) -> list[Effect]:
        """Other settings are in force."""
        if settings.generator.backend != self.settings.generator.backend:
            self.state.backend = ""
            self.foreman.forgive()
        if settings.generator.model != self.settings.generator.model:
            self.state.model = ""
        self.settings = settings
        self._dirty = True
        return self._plan(now)

    def shelved(self, loop_id: str) -> None:
        """The library has this loop safe."""
        self.state.unshelved = tuple(loop for loop in self.state.unshelved if loop.loop_id != loop_id)
        self._dirty = True

    def moved(self, loop: Loop, now: float) -> list[Effect]:
        """The library keeps this loop's audio from now on, at the path that it names."""
        self.stock.moved(loop)
        self.stock.trim(self.needed_loops() | {each.loop_id for each in self.state.unshelved})
        return self._plan(now)

    # -- handlers -----------------------------------------------------------------------------------------------------

    def _accepted(self, loop: Loop) -> list[Effect]:
        """A loop is there. One of an older prompt goes to the library all the same, but not to the front."""
        if loop.loop_id in self.shelf:
            return []
        loop, state = named(loop), self.state
        self.shelf[loop.loop_id] = loop
        state.unshelved += (loop,)
        self._dirty = True
        if loop.epoch == state.epoch and loop.loop_id not in state.history:
            state.fresh += (loop.loop_id,)
            anchor = self.stock.find(state.anchor)
            if anchor is None or (anchor.bridge and not loop.bridge):
                state.anchor = loop.loop_id
        return [Shelve(loop)]

    def _hello(self, message: PlayerHello) -> list[Effect]:
        state = self.state
        state.skips = max(state.skips, message.skips_done)
        state.backs = max(state.backs, message.backs_done)
        state.wanted_number = max(state.wanted_number, message.wanted_number)
        self._dirty = True
        return [*self._sounds(message.loop_id or ""), ToPlayer()]

    def _player(self, status: PlayerStatus, now: float) -> list[Effect]:
        before, self.player = self.player, status
        if status.loop is not None:
            self.stock.know(status.loop)
        sounding = self.stock.sounding_id
        done = self._sounds(status.loop_id or "")
        if (
            sounding != self.stock.sounding_id
            or before is None
            or before.output_ok != status.output_ok
            or before.held != status.held
        ):
            return done + self._plan(now)
        return done

    def _sounds(self, loop_id: str) -> list[Effect]:
        done = self.stock.sounds(loop_id)
        self._dirty |= done is not None
        return done or []

    # -- the plan -----------------------------------------------------------------------------------------------------

    def _plan(self, now: float) -> list[Effect]:
        settings, model = self.settings, self.state.model

        def shape(job: Job, offer: Capabilities, delivery: int) -> Job:
            return shaped(job, offer, delivery, settings, model)

        done = self.foreman.give(
            self._wished_backend(), now, lambda worker, backend: self._job(worker, backend, now), shape
        )
        self.waiting = self._demand(now).waiting
        return [*done, *self._want()]

    def _demand(self, now: float) -> Demand:
        foreman = self.foreman
        backend, note = foreman.backend(self._wished_backend(), now)
        return weigh(
            View(
                prompt=self.state.prompt,
                paused=self.state.paused and not self.listeners,
                stopped=self.state.stopped and not self.listeners,
                unheard_s=now - self._last_heard,
                fresh=sum(not loop.bridge for loop in self.stock.fresh),
                leases=foreman.leases.open,
                epoch=self.state.epoch,
                workers=len(foreman.workers),
                backend=backend,
                backend_note=note,
                pause_s=foreman.pause_s(now),
                disk_free=self.disk_free,
            )
        )

    def _job(self, worker: Worker, backend: str, now: float) -> Job | None:
        """The next job, if one is wanted."""
        if self._demand(now).jobs < 1:
            return None
        bridge = self.settings.controller.bridge and wants_bridge(self.state, self.stock, self.foreman, worker)
        return next_job(self.state, self.stock, backend, bridge=bridge)

    def _want(self) -> list[Effect]:
        state = self.state
        new = replace(wanted(state, self.stock, self.foreman, self.settings), number=self._wanted.number)
        done: list[Effect] = []
        if new != self._wanted:
            state.wanted_number = max(state.wanted_number, self._wanted.number) + 1
            self._wanted = replace(new, number=state.wanted_number)
            self._dirty = True
            done.append(ToPlayer())
        change = self._preparations.next(self._wanted, self.stock.sounding_id, self.player)
        return done if change is None else [*done, ToAnalyzer(change)]

    def _wished_backend(self) -> str:
        return self.state.backend or self.settings.generator.backend
