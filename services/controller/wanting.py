"""What is wanted of the player: the queue and its manners as one state, and the change to have ready next. Pure."""

from __future__ import annotations

from services.controller import choice
from services.controller.foreman import Foreman
from services.controller.state import StationState
from services.controller.stock import Stock
from shared.messages import PlayerStatus, Prepare, Wanted
from shared.settings import Settings

_PREPARED_REMEMBERED = 200


def wanted(state: StationState, stock: Stock, foreman: Foreman, settings: Settings) -> Wanted:
    """The wanted state, not numbered yet."""
    player = settings.player
    return Wanted(
        number=0,
        playing=not state.paused and not state.stopped,
        stopped=state.stopped,
        volume=player.volume,
        queue=choice.line_up(stock.sounding_id, stock.fresh, stock.shelf.values(), state.epoch, state.history),
        skips=state.skips,
        backs=state.backs,
        hold=state.hold or _alone(state, stock, foreman),
        transition=player.transition,  # type: ignore[arg-type]
        variation=player.variation,  # type: ignore[arg-type]
        min_duration_s=player.min_duration,
        driver=player.driver,
        output_device=player.output_device,
        epoch=state.epoch,
    )


def _alone(state: StationState, stock: Stock, foreman: Foreman) -> bool:
    """What sounds is all there is for this prompt, and more is being made: it stays until then."""
    of_prompt = [loop.loop_id for loop in stock.of_epoch(state.epoch)]
    coming = any(lease.job.epoch == state.epoch and lease.phase != "queued" for lease in foreman.leases.open)
    return of_prompt == [stock.sounding_id] and coming


class Preparations:
    """The changes between songs that the analyzer was asked for: each once."""

    def __init__(self) -> None:
        self._asked: set[tuple[str, str]] = set()

    def forget(self) -> None:
        """The analyzer began anew: it knows of none."""
        self._asked.clear()

    def next(self, wanted: Wanted, sounding_id: str, player: PlayerStatus | None) -> Prepare | None:
        """The change from what sounds to what comes next, where it was not asked for yet."""
        style, queue = wanted.transition, wanted.queue
        if style == "off" or len(queue) < 2 or queue[0].loop_id != sounding_id:
            return None
        pair = (queue[0].loop_id, queue[1].loop_id)
        if pair in self._asked:
            return None
        if len(self._asked) > _PREPARED_REMEMBERED:
            self._asked.clear()
        self._asked.add(pair)
        leave = player.leave_frame if player is not None and player.loop_id == sounding_id else None
        return Prepare(first=queue[0], second=queue[1], style=style, exit_after=leave or 0)
