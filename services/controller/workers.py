"""The generators that are there: what they can do, whether they ask for a job, and which backend is trusted. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.messages import Capabilities, Ready

ALIVE_S = 5.0
"""A worker of which nothing was heard for so long is gone."""
AUTO = ("musicgen", "musicgpt", "composer")
"""What ``auto`` tries, best first."""
FALLBACK = "composer"
GUEST = "lan-"
"""The links of generators on other machines begin so."""
TROUBLE_FAILURES = 2
TROUBLE_REJECTIONS = 4
ASTRAY = ("wrong-tempo", "wrong-key")
"""Rejections of clips that may be good music, but have not the tempo or the key that the listener's words name."""
TRIES = 3
"""So many clips in a row may be astray; then the words are given to another backend for a while."""
FIRST_REST_S = 60.0
LONGEST_REST_S = 960.0


@dataclass
class Worker:
    """One generator process, here or on another machine."""

    key: str
    name: str
    capabilities: Mapping[str, Capabilities]
    credit: bool = False
    """It asked for a job and has not got one since."""
    heard: float = 0.0
    host: str = ""
    pid: int = 0


class Workers:
    """All workers of which something was heard lately, by the key of their link."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}

    def __len__(self) -> int:
        return len(self._workers)

    def __contains__(self, key: str) -> bool:
        return key in self._workers

    def keys(self) -> tuple[str, ...]:
        return tuple(self._workers)

    def drop(self, key: str) -> None:
        self._workers.pop(key, None)

    def asking(self) -> list[Worker]:
        return [worker for worker in self._workers.values() if worker.credit]

    def get(self, key: str) -> Worker | None:
        return self._workers.get(key)

    def ready(self, key: str, ready: Ready, now: float) -> tuple[Worker, list[str]]:
        """A worker reports. Returns it, and the keys of earlier selves of it, which are forgotten."""
        earlier = [k for k, w in self._workers.items() if k != key and w.name == ready.worker and w.host == ready.host]
        for gone in earlier:
            del self._workers[gone]
        worker = Worker(
            key,
            ready.worker,
            {each.backend: each for each in ready.capabilities},
            credit=ready.holding is None,
            heard=now,
            host=ready.host,
            pid=ready.pid,
        )
        self._workers[key] = worker
        return worker, earlier

    def heard(self, key: str, now: float) -> None:
        if key in self._workers:
            self._workers[key].heard = now

    def drop_silent(self, now: float) -> list[str]:
        """Forget the workers that went silent; returns their keys."""
        gone = [key for key, worker in self._workers.items() if now - worker.heard > ALIVE_S]
        for key in gone:
            del self._workers[key]
        return gone

    def backends(self) -> dict[str, Capabilities]:
        """Every backend of every worker; one that is available somewhere is shown as available."""
        found: dict[str, Capabilities] = {}
        for worker in self._workers.values():
            for name, each in worker.capabilities.items():
                if name not in found or (each.available and not found[name].available):
                    found[name] = each
        return found


@dataclass
class _Record:
    failures: int = 0
    rejections: int = 0
    streak: int = 0
    """Failures and rejections since the last success."""
    rests: int = 0
    until: float = 0.0
    reason: str = ""

    def rest(self, now: float) -> None:
        self.until = now + min(LONGEST_REST_S, FIRST_REST_S * 2**self.rests)
        self.rests += 1
        self.failures = self.rejections = 0


@dataclass
class Trust:
    """Which backends failed lately; one that fails again and again rests for a while, longer each time."""

    _records: dict[str, _Record] = field(default_factory=dict)
    _astray: dict[str, _Record] = field(default_factory=dict)
    """The same for clips that miss the tempo or the key that these words name: no fault of the backend's elsewhere."""

    def failed(self, backend: str, reason: str, now: float) -> None:
        record = self._records.setdefault(backend, _Record())
        record.failures += 1
        record.streak += 1
        record.reason = reason
        if record.failures >= TROUBLE_FAILURES:
            record.rest(now)

    def rejected(self, backend: str, reason: str, now: float) -> None:
        record = self._records.setdefault(backend, _Record())
        record.rejections += 1
        record.streak += 1
        record.reason = reason
        if record.rejections >= TROUBLE_REJECTIONS:
            record.rest(now)

    def astray(self, backend: str, reason: str, now: float) -> None:
        """A clip has another tempo or key than these words name; after ``TRIES`` in a row the backend rests."""
        record = self._astray.setdefault(backend, _Record())
        if record.until > now:  # it was under way already when the rest began
            return
        figures = reason.removeprefix("This clip ").rstrip(".")
        if not record.rejections:
            record.reason = figures
        elif figures not in record.reason:
            record.reason += f"; {figures}"
        record.rejections += 1
        if record.rejections >= TRIES:
            record.rest(now)

    def succeeded(self, backend: str) -> None:
        self._records.pop(backend, None)
        self._astray.pop(backend, None)

    def forget(self) -> None:
        """The listener asks anew: everybody gets another chance at once."""
        self._records.clear()
        self._astray.clear()

    def new_words(self) -> None:
        """Another prompt: what did not hit the last one's tempo may hit this one's."""
        self._astray.clear()

    def rests(self, backend: str, now: float) -> float:
        """Seconds for which this backend is not asked."""
        found = (records[backend].until - now for records in (self._records, self._astray) if backend in records)
        return max([0.0, *found])

    def pause_s(self, backend: str) -> float:
        """How long to wait before the next job after so many rejections and failures in a row."""
        record = self._records.get(backend)
        bad = 0 if record is None else min(record.streak, 7)
        return 0.0 if bad < 2 else min(60.0, 2.0 ** (bad - 1))

    def complaint(self, backend: str, now: float) -> str:
        """Why it rests, and for how long; or which try this is, where the last clip was astray."""
        astray, rest = self._astray.get(backend), _span(self.rests(backend, now))
        if astray is not None and astray.until > now:
            return (
                f"{backend} made {TRIES} clips, none as the words ask ({astray.reason}); it is asked again in {rest}."
            )
        if astray is not None and astray.rejections:
            return f"The last clip was not as the words ask ({astray.reason}): try {astray.rejections + 1} of {TRIES}."
        record = self._records.get(backend)
        if record is None or record.until <= now:
            return ""
        return f"{backend} failed ({record.reason.rstrip('.')}); it is asked again in {rest}."


def choose_backend(wished: str, offered: Mapping[str, Capabilities], trust: Trust, now: float) -> tuple[str, str]:
    """The backend to ask, and a sentence where it is another than was wished for. ``""`` if none can work now."""
    tried = AUTO if wished in ("auto", "") else (wished, FALLBACK)
    said = ""
    for name in tried:
        offer = offered.get(name)
        usable = offer is not None and offer.available
        rest = trust.rests(name, now)
        if usable and not rest:
            return name, f"{said} The {name} plays meanwhile." if said else trust.complaint(name, now)
        if usable:
            said = said or trust.complaint(name, now)
        elif wished == name:
            reason = offer.reason if offer is not None and offer.reason else f"No generator here offers {name}."
            said = f"{name} cannot run: {reason}" if offer is not None else reason
    # The last resort is asked even while it rests: a station without music is worse than another failure.
    fallback = offered.get(FALLBACK)
    return (FALLBACK if fallback is not None and fallback.available else ""), said


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
