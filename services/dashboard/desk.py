"""Commands from the page, carried to the controller and answered, or not.

Threads: everything here belongs to the thread of the links.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any, Final

from services.dashboard.board import ALIVE_S
from shared.bus import Received
from shared.messages import Answer, Command
from shared.runtime.service import ServiceLoop
from shared.topology import COMMANDS

ANSWER_WITHIN_S: Final = 20.0
_LOOK_S: Final = 0.25
_MOST_PENDING: Final = 64


class CommandDesk:
    """Carries one command at a time or many; each gets its answer, or None if the controller is away."""

    def __init__(self, loop: ServiceLoop, name: str) -> None:
        self._loop = loop
        self._link = loop.on(loop.bus.connect(COMMANDS), self._answered)
        self._numbers = itertools.count(1)
        self._name = name
        """Makes the numbers of this process differ from those of an earlier one."""
        self._pending: dict[str, tuple[Callable[[Answer | None], None], float]] = {}
        self._controller_heard_at = float("-inf")
        loop.every(_LOOK_S, self._look)

    def controller_spoke(self) -> None:
        """The controller's status came."""
        self._controller_heard_at = time.monotonic()

    def ask(self, name: str, arguments: dict[str, Any], reply: Callable[[Answer | None], None]) -> None:
        """Send a command; ``reply`` is called once. It is not sent where nobody would read it: a queue of stale skips
        must not wait for the controller's return.
        """
        now = time.monotonic()
        if not self._controller_is_there(now) or len(self._pending) >= _MOST_PENDING:
            reply(None)
            return
        command = Command(command_id=f"{self._name}-{next(self._numbers)}", name=name, arguments=arguments)
        if self._link.send(command):
            self._pending[command.command_id] = (reply, now + ANSWER_WITHIN_S)
        else:
            reply(None)

    def _answered(self, received: Received) -> None:
        answer = received.message
        if isinstance(answer, Answer) and answer.command_id in self._pending:
            reply, _ = self._pending.pop(answer.command_id)
            reply(answer)

    def _look(self) -> None:
        now = time.monotonic()
        gone = not self._controller_is_there(now)
        late = [key for key, (_, deadline) in self._pending.items() if gone or deadline <= now]
        for key in late:
            reply, _ = self._pending.pop(key)
            reply(None)
        if late and not self._pending:
            # What the old link still holds unsent goes with it.
            self._loop.forget(self._link)
            self._link = self._loop.on(self._loop.bus.connect(COMMANDS), self._answered)

    def _controller_is_there(self, now: float) -> bool:
        return now - self._controller_heard_at < ALIVE_S
