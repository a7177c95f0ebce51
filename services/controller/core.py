"""The station's state machine: what its listener wishes, and what time brings. Pure.

Messages and time come in, effects go out; its shell has sockets, clock and disk. What it makes of the messages of the
other services is in ``mind``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from random import Random

from msgspec.structs import replace

from services.controller import wishes
from services.controller.effects import Draw, Effect
from services.controller.mind import Mind
from services.controller.programme import Due, Programme, coming, due, news
from services.controller.surprises import REMEMBERED, SONGS, Surprise, draw
from shared.errors import InfiniLoopError
from shared.messages import Job
from shared.music import Loop
from shared.settings import Settings


class Station(Mind):
    """The controller's core: its constructor and what it makes of messages are the mind's."""

    programme = Programme()
    presets: Sequence[Surprise] = ()
    """Those that a surprise is drawn from."""

    def clock_will_ask(self) -> Due | None:
        """What the programme asks for next."""
        return None if self._today is None else coming(self.programme, self._today)

    def tick(self, now: float, today: datetime | None = None) -> list[Effect]:
        """Look at what should have come and has not; called about twice a second."""
        self._today = today or self._today
        self.foreman.look_after(now)
        self.around.look(now)
        self._dirty |= self._sleep.ring(now)
        return self._change_by_itself(now) + self._plan(now)

    def _change_by_itself(self, now: float) -> list[Effect]:
        """What the clock asks for, or the next surprise, where it is time for one."""
        state = self.state
        found = news(self.programme, self._today, state.programme_at) if self._today is not None else None
        if found is not None:
            state.programme_at, self._dirty = found.since, True
            if found.prompt != state.prompt:
                wishes.new_prompt(state, found.prompt, "soon")
                state.backend = state.model = ""
                return self._new_words("the programme's next prompt", now)
        if state.surprise and state.songs_heard >= SONGS and self._draw_surprise("after") is not None:
            state.surprise, self._dirty = True, True
            return self._new_words("the next surprise", now)
        return []

    def _draw_surprise(self, pace: wishes.Pace) -> Surprise | None:
        """Take the prompt of a preset at random."""
        state = self.state
        backend, _ = self.foreman.backend(self._wished_backend(), self.around.last_heard)
        offer = self.foreman.workers.backends().get(backend)
        dice = Random(f"{state.salt}:surprise:{state.epoch}")
        found = draw(self.presets, offer.weak_words if offer is not None else (), state.surprised, dice)
        if found is not None:
            wishes.new_prompt(state, found.prompt, pace)
            state.surprised = (*state.surprised, found.name)[-REMEMBERED:]
        return found

    # -- the listener's wishes ----------------------------------------------------------------------------------------

    def start(self, prompt: str, backend: str, model: str, now: float, *, preset: str = "") -> list[Effect]:
        """Play; with a prompt, which may be that of a ``preset``, play that.

        What is being made for the last prompt is called back.
        """
        state = self.state
        state.paused = state.stopped = False
        if state.asleep:
            self._sleep.clear()
        if backend or model or prompt:
            state.backend, state.model = backend, model
        self.foreman.forgive()
        if prompt:
            wishes.new_prompt(state, prompt)
            state.preset = preset
            if wishes.draw(state, self.stock, self.shelf.values()) is None:
                return [*self._turn(now, "a new prompt"), self._draw()]
        return self._turn(now, "a new prompt" if prompt else "")

    def play(self, loop: Loop, now: float) -> list[Effect]:
        """Play this loop of the library, at the next bar."""
        state = self.state
        state.paused = state.stopped = state.hold = False
        if state.asleep:
            self._sleep.clear()
        self.stock.choose(loop)
        return self._turn(now)

    def new_seed(self) -> int:
        """A seed that this station has not given before, but for chance."""
        self.state.jobs_named += 1
        return Random(f"{self.state.salt}:again:{self.state.jobs_named}").randrange(2**31)

    def again(self, job: Job, now: float) -> list[Effect]:
        """Have this job, which is put as the recipe of an earlier loop says, made before all others."""
        state = self.state
        state.jobs_named += 1
        name = f"{state.epoch}-{state.jobs_named}-{state.salt}"
        self.foreman.leases.begin(replace(job, job_id=name, epoch=state.epoch, remade=True), now)
        self.foreman.changed = True
        return self._turn(now)

    def dislike(self, loop_id: str, now: float) -> list[Effect]:
        """Never play this loop again; if it sounds, go on at the next bar."""
        self.stock.dislike(loop_id)
        self.state.skips += self.stock.sounding_id == loop_id
        return self._turn(now)

    def pardon(self, loop_id: str, now: float) -> list[Effect]:
        """This loop may play, whatever the listener thought of it before."""
        self.state.disliked = tuple(each for each in self.state.disliked if each != loop_id)
        return self._turn(now)

    def forget(self, loop_id: str, now: float) -> list[Effect]:
        """The library has deleted this loop; what sounds of it sounds to its end."""
        self.stock.forget(loop_id)
        return self._turn(now)

    def offered(self, loops: Iterable[Loop], wished: Draw, now: float) -> list[Effect]:
        """The library has looked for loops that suit. The first one plays for a prompt that has nothing yet."""
        state, found = self.state, list(loops)
        if wished.epoch != state.epoch or wished.prompt != state.prompt:
            return []
        if state.pace == "now" and not any(not loop.bridge for loop in self.stock.of_epoch(state.epoch)):
            wishes.draw(state, self.stock, found)
        elif not self.stock.fresh:
            self.stock.invite(found)
        self._dirty = True
        return self._plan(now)

    def nudge(self, words: str, now: float) -> list[Effect]:
        """Play what plays, changed by these words."""
        wishes.nudge(self.state, self.stock, words)
        return self._turn(now, "a changed prompt")

    def more(self, now: float) -> list[Effect]:
        """Go on with songs like the one that sounds.

        Raises
        ------
        InfiniLoopError
            Nothing sounds that anything could grow out of.
        """
        wishes.more(self.state, self.stock)
        return self._turn(now, "more of what plays")

    def surprise(self, presets: Sequence[Surprise], now: float, *, on: bool) -> tuple[Surprise, list[Effect]]:
        """Play a preset at random; with ``on`` another one every few songs.

        Raises
        ------
        InfiniLoopError
            There is none that does well on this machine.
        """
        self.presets = presets
        drawn = self._draw_surprise("now")
        if drawn is None:
            raise InfiniLoopError("There is no preset to draw: add one with `infiniloop presets add`.")
        self.state.surprise = on
        return drawn, self._turn(now, "a surprise")

    def no_surprise(self, now: float) -> list[Effect]:
        """No other preset is drawn by itself."""
        self.state.surprise = False
        return self._turn(now)

    def keep_programme(self, programme: Programme, now: float, *, at_once: bool = False) -> list[Effect]:
        """Another programme is in force; what it asks for now is played at its next change, or ``at_once``."""
        self.programme = programme
        found = None if at_once or self._today is None else due(programme, self._today)
        self.state.programme_at = found.since if found is not None else ""
        self._dirty = True
        return self.tick(now)

    def sleep(self, seconds: float | None, now: float) -> list[Effect]:
        """Fall silent after so long; None takes it back."""
        if seconds is None:
            self._sleep.clear()
        else:
            self._sleep.set(seconds, now, self._hour(now))
        return self._turn(now)

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
        if stopped is not None or (state.asleep and paused is False):
            self._sleep.clear()
        return self._turn(now)

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

    def power(self, *, on_battery: bool, now: float) -> list[Effect]:
        """The machine runs on its battery, or on mains."""
        if on_battery == self.around.on_battery:
            return []
        self.around.on_battery = on_battery
        return self._plan(now)
