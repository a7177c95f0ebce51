"""What is wanted of the player: the queue and its manners as one state, and the change to have ready next. Pure."""

from __future__ import annotations

from collections.abc import Container

from msgspec.structs import replace

from services.controller import choice
from services.controller.effects import Effect, ToAnalyzer, ToPlayer
from services.controller.foreman import Foreman
from services.controller.outlook import grows, mode_of
from services.controller.sleeping import SleepTimer
from services.controller.state import StationState
from services.controller.stock import Stock
from shared.messages import PlayerStatus, Prepare, Wanted
from shared.settings import Settings

_PREPARED_REMEMBERED = 200


def wanted(
    state: StationState, stock: Stock, foreman: Foreman, settings: Settings, held: Container[str] = ()
) -> Wanted:
    """The wanted state, not numbered yet; ``held`` are the loops that the player has read."""
    player = settings.player
    # Flow: each stretch is played once, and the last one goes round while the next is on its way. Where none is, songs
    # are what there is.
    flows = mode_of(settings) == "flow" and (bool(stock.fresh) or _coming(state, foreman))
    return Wanted(
        number=0,
        playing=not state.paused and not state.stopped,
        stopped=state.stopped,
        volume=player.volume,
        queue=choice.chosen_first(
            choice.line_up(
                stock.sounding_id,
                stock.fresh,
                stock.shelf.values(),
                state.epoch,
                state.history,
                held=held,
                as_made=grows(state, settings),
                stay=state.pace == "after",
            ),
            stock.sounding_id,
            [stock.shelf[loop_id] for loop_id in state.chosen if loop_id in stock.shelf],
        ),
        unwanted=state.disliked,
        skips=state.skips,
        backs=state.backs,
        hold=state.hold or _alone(state, stock, foreman) or (flows and not stock.fresh),
        transition=player.transition,  # type: ignore[arg-type]
        variation=player.variation,  # type: ignore[arg-type]
        min_duration_s=player.min_duration,
        once=flows,
        driver=player.driver,
        output_device=player.output_device,
        epoch=state.epoch,
    )


def _alone(state: StationState, stock: Stock, foreman: Foreman) -> bool:
    """What sounds is all there is for this prompt, and more is being made: it stays until then."""
    of_prompt = [loop.loop_id for loop in stock.of_epoch(state.epoch)]
    return of_prompt == [stock.sounding_id] and _coming(state, foreman)


def _coming(state: StationState, foreman: Foreman) -> bool:
    """A loop for this prompt is on its way."""
    return any(lease.job.epoch == state.epoch and lease.phase != "queued" for lease in foreman.leases.open)


class Wants:
    """What the player was told last, and which changes the analyzer was asked for: each once."""

    def __init__(self, state: StationState, stock: Stock, foreman: Foreman, sleep: SleepTimer) -> None:
        self._state, self._stock, self._foreman, self._sleep = state, stock, foreman, sleep
        self.told = Wanted(number=state.wanted_number, playing=False)
        self._asleep: tuple[float | None, bool] | None = (None, False)
        self._asked: set[tuple[str, str]] = set()

    def analyzer_began_again(self) -> None:
        """It knows of no change that it was asked for."""
        self._asked.clear()

    def player_began_again(self) -> None:
        """It counts from now on: the time that is left to the sleep timer is said anew."""
        self._asleep = None

    def plan(self, settings: Settings, player: PlayerStatus | None, now: float) -> list[Effect]:
        """Tell the player what has changed, and have the change to what comes next made ready.

        The sleep timer's time runs: it counts as changed only where it was set or taken back.
        """
        state, told = self._state, self.told
        held = player.held if player is not None else ()
        new = wanted(state, self._stock, self._foreman, settings, held)
        new = replace(new, number=told.number, fade_out_s=told.fade_out_s)
        asleep = (state.sleep_at, state.asleep)
        done: list[Effect] = []
        if new != told or asleep != self._asleep:
            state.wanted_number = max(state.wanted_number, told.number) + 1
            self.told = replace(new, number=state.wanted_number, fade_out_s=self._sleep.fade_out_s(now))
            self._asleep = asleep
            done.append(ToPlayer())
        change = self._next(self.told, self._stock.sounding_id, player)
        return done if change is None else [*done, ToAnalyzer(change)]

    def _next(self, wanted: Wanted, sounding_id: str, player: PlayerStatus | None) -> Prepare | None:
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
