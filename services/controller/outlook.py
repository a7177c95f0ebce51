"""The world around the station as far as it is known, and what follows for the making of music. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.controller.demand import Mode, View
from services.controller.foreman import Foreman
from services.controller.state import StationState
from services.controller.stock import Stock
from services.controller.workload import Workload
from shared.messages import PlayerStatus, Status
from shared.settings import Settings


@dataclass
class Surroundings:
    """What others have told, and the shell has seen."""

    last_heard: float
    """When the sound last reached somebody, or somebody last said something."""
    workload: Workload = field(default_factory=Workload)
    player: PlayerStatus | None = None
    listeners: int = 0
    disk_free: int | None = None
    on_battery: bool = False
    restarts: dict[str, int] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)

    def began_again(self, status: Status) -> bool:
        """Whether this service is another process than it was."""
        again = self.pids.get(status.service, status.pid) != status.pid
        self.pids[status.service] = status.pid
        if again:
            self.restarts[status.service] = self.restarts.get(status.service, 0) + 1
        return again

    def look(self, now: float) -> None:
        """Note whether somebody hears: at a sound device or over the stream. The null output reaches nobody."""
        player = self.player
        at_device = player is not None and player.output_ok and player.driver != "null"
        if self.listeners or at_device:
            self.last_heard = now


def mode_of(settings: Settings) -> Mode:
    mode: Mode = settings.controller.mode  # type: ignore[assignment]
    return mode


def grows(state: StationState, settings: Settings) -> bool:
    """Whether songs grow out of one another now."""
    return mode_of(settings) != "restful" or state.growing > 0


def view(
    state: StationState,
    stock: Stock,
    foreman: Foreman,
    settings: Settings,
    around: Surroundings,
    *,
    now: float,
) -> View:
    """What the demand for music rests on."""
    backend, note = foreman.backend(state.backend or settings.generator.backend, now)
    offer = foreman.workers.backends().get(backend)
    speed = offer.real_time_factor if offer is not None else None
    of_prompt = stock.of_epoch(state.epoch)
    fresh = [loop for loop in stock.fresh if not loop.bridge]
    return View(
        prompt=state.prompt,
        paused=state.paused,
        stopped=state.stopped,
        unheard_s=now - around.last_heard,
        fresh=len(fresh),
        leases=foreman.leases.open,
        epoch=state.epoch,
        workers=len(foreman.workers),
        backend=backend,
        backend_note=note,
        pause_s=foreman.pause_s(now),
        disk_free=around.disk_free,
        mode=mode_of(settings),
        grown=grows(state, settings),
        ahead_s=sum(loop.frames / loop.sample_rate for loop in fresh),
        has_song=any(not loop.bridge for loop in of_prompt),
        on_battery=around.on_battery,
        budget_s=around.workload.wait_s(now),
        bridged=bool(of_prompt) and all(loop.bridge for loop in of_prompt),
        guess_s=settings.generator.duration / speed if speed and offer is not None and not offer.exact_loops else None,
        asleep=state.asleep,
    )
