"""What the station makes of the messages that come in: pure; effects go out, and its shell carries them out.

Every handler ends in a plan made anew from the whole state: which job to give to whom, what is wanted of the player,
which transition to prepare. So nothing depends on the order in which messages happen to arrive, and nothing that was
missed stays missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from services.controller.demand import Demand, View, bridge_note, weigh
from services.controller.effects import Draw, Effect, OwnSettings, Shelve, ToPlayer, Unshelve
from services.controller.foreman import Foreman
from services.controller.jobs import shaped
from services.controller.making import BRIDGES_AGAIN, next_job, wants_bridge
from services.controller.outlook import Surroundings, grows, view
from services.controller.sleeping import SleepTimer
from services.controller.state import StationState
from services.controller.stock import Stock
from services.controller.wanting import Wants
from services.controller.workers import FALLBACK, GUEST, Worker
from services.controller.workload import Workload, on_another_clock
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


class Mind:
    """Messages and time in, effects out.

    Parameters
    ----------
    state : what was remembered; changed in place, and to be saved whenever ``dirty`` is set.
    shelf : the loops whose files are there.
    now : seconds, on the clock of every later ``now``.
    today : the same moment on the listener's clock, with its zone.
    cores : of this machine.
    """

    def __init__(
        self,
        state: StationState,
        settings: Settings,
        shelf: Iterable[Loop],
        now: float,
        *,
        today: datetime | None = None,
        cores: int = 1,
    ) -> None:
        self.state = state
        self.settings = settings
        self.stock = Stock(state, shelf)
        self.foreman = Foreman(state.leases, state.counts, now)
        self._today = today
        works = on_another_clock(state.works, self._hour(now), now)
        self.around = Surroundings(last_heard=now, workload=Workload(cores, works))
        self.waiting = ""
        self._dirty = True
        self._sleep = SleepTimer(state, now, self._hour(now))
        self._preset_set = True
        """Settings of a preset may be in force."""
        self._wants = Wants(state, self.stock, self.foreman, self._sleep)

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
        return self._wants.told

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

    def sleeps_in(self, now: float) -> float | None:
        """Seconds until the sleep timer runs out; None where none runs."""
        return self._sleep.left_s(now)

    def bridge_note(self, now: float) -> str:
        """What the bridge that sounds stands in for: "bridge, MusicGen in about 20 s"."""
        sounding = self.sounding
        return bridge_note(self._view(now)) or "bridge" if sounding is not None and sounding.bridge else ""

    def remembered(self) -> StationState:
        """The state as it is to be saved."""
        self.state.leases = self.foreman.leases.open
        self.state.counts = self.foreman.leases.counts
        return self.state

    def needed_loops(self) -> set[str]:
        """Loops whose files must stay."""
        player = self.around.player
        return self.stock.needed(player.held if player is not None else (), self.wanted.queue)

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
                lease = None if isinstance(message, Ready) else self.foreman.leases.get(message.job_id)
                done += self.foreman.hear(message, worker, now)
                if isinstance(message, Failed) and lease is not None:
                    self._barren(lease.job)
            case ClipAccepted():
                self._charge(message, now)
                done += self.foreman.receipt(message, now) + self._accepted(message.loop)
            case ClipRejected():
                lease = self.foreman.leases.get(message.job_id)
                if not message.damaged:
                    self._charge(message, now)
                done += self.foreman.receipt(message, now)
                if lease is not None and lease.job.parent_recipe and lease.job.seed == lease.job.parent_recipe.seed:
                    self._barren(lease.job)
                if lease is not None and lease.job.bridge and lease.job.job_id not in self.foreman.leases:
                    done += self._bridge_again(lease.job, now)
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
        begun_again = self.around.began_again(status)
        match status.state:
            case PlayerStatus():
                return self._player(status.state, now)
            case AnalyzerStatus() if begun_again:
                self.foreman.analyzer_began_again(now)
                self._wants.analyzer_began_again()
            case DashboardStatus():
                before, self.around.listeners = self.around.listeners, status.state.listeners
                if before != self.around.listeners:
                    return self._plan(now)
            case _:
                pass
        return []

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
        if loop.loop_id in self.shelf:
            return []
        self._dirty = True
        return [Shelve(self.stock.accept(loop))]

    def _charge(self, message: ClipAccepted | ClipRejected, now: float) -> None:
        """Note what a clip has cost this machine, whether or not music came of it."""
        lease = self.foreman.leases.get(message.job_id)
        if lease is not None:
            made_here = 0.0 if lease.worker.startswith(GUEST) else lease.cpu_s or lease.generation_s
            workload = self.around.workload
            music_s = message.loop.frames / message.loop.sample_rate if isinstance(message, ClipAccepted) else 0.0
            workload.add(now, made_here + message.analysis_s, music_s)
            self.state.works = on_another_clock(workload.works, now, self._hour(now))

    def _barren(self, job: Job) -> None:
        """Nothing came of this job: if it was to grow out of a loop, the next one does not try that again."""
        if job.parent_clip and job.parent_clip == self.state.parent:
            self.state.parent, self.state.growing = "", 0

    def _bridge_again(self, job: Job, now: float) -> list[Effect]:
        """A bridge was refused: the song that was begun behind it, which has not come far, stands back for another."""
        state = self.state
        if job.epoch != state.epoch or state.pace != "now" or self.stock.of_epoch(state.epoch):
            return []
        state.bridges_refused += 1
        self._dirty = True
        return [] if state.bridges_refused > BRIDGES_AGAIN else self.foreman.call_back("a bridge comes first", now)

    def _hello(self, message: PlayerHello) -> list[Effect]:
        state = self.state
        state.skips = max(state.skips, message.skips_done)
        state.backs = max(state.backs, message.backs_done)
        state.wanted_number = max(state.wanted_number, message.wanted_number)
        self._dirty = True
        self._wants.player_began_again()
        return [*self._sounds(message.loop_id or ""), ToPlayer()]

    def _player(self, status: PlayerStatus, now: float) -> list[Effect]:
        before, self.around.player = self.around.player, status
        if status.loop is not None:
            self.stock.know(status.loop)
        sounding = self.stock.sounding_id
        done = self._sounds(status.loop_id or "")
        if sounding != self.stock.sounding_id and not self.stock.fresh:
            done = [*done, self._draw()]
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

    def _draw(self) -> Draw:
        """Have the library look for what suits this prompt, because nothing new waits for it."""
        anchor = self.stock.find(self.state.anchor)
        return Draw(self.state.prompt, anchor.genre if anchor is not None else "", self.state.epoch)

    def _summon(self) -> None:
        """Go to the loop that the listener asked for, once the player holds it."""
        state, player = self.state, self.around.player
        if state.summoned and player is not None and state.summoned in player.held:
            state.skips += state.summoned != self.stock.sounding_id
            state.summoned = ""
            self._dirty = True

    # -- the plan -----------------------------------------------------------------------------------------------------

    def _turn(self, now: float, called_back: str = "") -> list[Effect]:
        """The listener has said something; with a reason, what is being made is called back."""
        self.around.last_heard = now
        self._dirty = True
        done = self._new_words(called_back, now) if called_back else []
        return done + self._plan(now)

    def _new_words(self, reason: str, now: float) -> list[Effect]:
        """Another prompt holds: what is being made for the last is called back, and each model may try its words."""
        self.foreman.trust.new_words()
        return self.foreman.call_back(reason, now)

    def _plan(self, now: float) -> list[Effect]:
        settings, model = self.settings, self.state.model

        def shape(job: Job, offer: Capabilities, delivery: int) -> Job:
            return shaped(job, offer, delivery, settings, model)

        done = self.foreman.give(
            self._wished_backend(), now, lambda worker, backend: self._job(worker, backend, now), shape
        )
        self.waiting = self._demand(now).waiting
        self._summon()
        told = self.wanted.number
        done += self._wants.plan(settings, self.around.player, now)
        self._dirty |= told != self.wanted.number
        if self._preset_set and not self.state.preset:
            done.append(OwnSettings())
        self._preset_set = bool(self.state.preset)
        return done

    def _demand(self, now: float) -> Demand:
        return weigh(self._view(now))

    def _view(self, now: float) -> View:
        return view(self.state, self.stock, self.foreman, self.settings, self.around, now=now)

    def _job(self, worker: Worker, backend: str, now: float) -> Job | None:
        """The next job, if one is wanted."""
        if self._demand(now).jobs < 1:
            return None
        state, settings = self.state, self.settings
        bridge = settings.controller.bridge and wants_bridge(state, self.stock, self.foreman, worker)
        offer = worker.capabilities[FALLBACK if bridge else backend]
        return next_job(state, self.stock, offer, bridge=bridge, grown=grows(state, settings))

    def _wished_backend(self) -> str:
        return self.state.backend or self.settings.generator.backend

    def _hour(self, now: float) -> float:
        """This moment in seconds since 1970; where nobody has told the date, on the station's own clock."""
        return self._today.timestamp() if self._today is not None else now
