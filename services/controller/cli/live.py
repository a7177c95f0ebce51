"""What the station does right now, kept by a listening thread, and the one line that tells it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType

from shared.bus import Bus, Link
from shared.messages import ControllerStatus, DashboardStatus, GeneratorStatus, PlayerStatus, ServiceState, Status
from shared.paths import Paths
from shared.topology import STATUS
from shared.units import STATION_RATE

Snapshot = Mapping[str, ServiceState]
"""The last state of each service, by its name."""
_GONE_AFTER_S = 4.0


class LiveStatus:
    """Listens to every service's status in a thread of its own."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._states: dict[str, ServiceState] = {}
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="live-status", daemon=True)

    def __enter__(self) -> LiveStatus:
        self._thread.start()
        return self

    def __exit__(self, *_exception: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stopping.set()
        self._thread.join(2.0)

    def snapshot(self) -> Snapshot:
        with self._changed:
            return dict(self._states)

    @property
    def playing(self) -> bool:
        player = self.snapshot().get("player")
        return isinstance(player, PlayerStatus) and player.playing

    def wait_for_url(self, timeout_s: float) -> str:
        """The page's address, once the dashboard has told it; empty if it does not in time."""

        def known() -> str:
            state = self._states.get("dashboard")
            return state.url if isinstance(state, DashboardStatus) else ""

        with self._changed:
            self._changed.wait_for(known, timeout_s)
            return known()

    def _listen(self) -> None:
        bus = Bus(self._paths)
        try:
            link = bus.connect(STATUS)
            silent = 0.0
            while not self._stopping.is_set():
                heard = self._take(link) if bus.wait(0.25) else 0
                silent = 0.0 if heard else silent + 0.25
                if silent >= _GONE_AFTER_S:
                    with self._changed:
                        self._states.clear()
        finally:
            bus.close(linger_ms=0)

    def _take(self, link: Link) -> int:
        count = 0
        while (received := link.receive()) is not None:
            if isinstance(received.message, Status):
                with self._changed:
                    self._states[received.message.service] = received.message.state
                    self._changed.notify_all()
            count += 1
        return count


def live_line(states: Snapshot) -> str:
    """One line: what plays and how far, what is being made and how far, what is being waited for."""
    if not states:
        return " the station does not answer; `start` begins it"
    controller = states.get("controller")
    known = controller if isinstance(controller, ControllerStatus) else ControllerStatus()
    parts = [_playing(states.get("player"), known.bridge), _making(states.get("generator"))]
    if known.waiting and not parts[1]:
        parts.append(known.waiting)
    if known.sleep_s is not None:
        parts.append(f"silent in {known.sleep_s // 60 + 1} min")
    return " " + "  │  ".join(part for part in parts if part)


def _playing(state: ServiceState | None, bridge: str) -> str:
    if not isinstance(state, PlayerStatus):
        return "the player is away; it comes back by itself"
    if state.loop is None or not state.playing:
        return "silent"
    name = state.loop.title or state.loop.loop_id
    played, whole = state.song_frames // STATION_RATE, state.song_length_frames // STATION_RATE
    section = f" {state.section}" if state.section else ""
    if bridge:
        name = f"{name} ({bridge})"
    return f"♪ {name}{section}  {played} s / {whole} s"


def _making(state: ServiceState | None) -> str:
    if not isinstance(state, GeneratorStatus) or state.job_id is None:
        return ""
    left = f", {state.eta_s:.0f} s left" if state.eta_s else ""
    return f"{state.stage or 'making'} {state.fraction:.0%}{left}"
