"""What the controller looks after while it runs: the budgets of cache and library, the machine's load and power."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

from services.controller import tidy
from services.controller.archive import Archive
from services.controller.core import Station
from services.controller.effects import Effect, Shelve
from services.controller.errands import Errands
from services.controller.tidy import Needs, Tidied
from shared.paths import Paths
from shared.runtime.service import ServiceLoop

TIDY_S = 15.0
FIRST_TIDY_S = 0.5
LOAD_S = 5.0
POWER_S = 15.0
_MEGA = 1_000_000


class Upkeep:
    """Comes round by itself once it is begun.

    Parameters
    ----------
    do : carries out the core's effects.
    """

    def __init__(
        self,
        paths: Paths,
        station: Station,
        archive: Archive,
        errands: Errands,
        do: Callable[[Iterable[Effect]], None],
    ) -> None:
        self._paths, self._station, self._archive, self._errands, self._do = paths, station, archive, errands, do
        self.cache_bytes = 0
        self.disk_free = 0
        self.load = 0.0
        """Processes that want a processor, for each that there is."""

    def begin(self, loop: ServiceLoop) -> None:
        loop.every(LOAD_S, self._measure_load)
        loop.every(POWER_S, self._look_at_power)
        loop.after(FIRST_TIDY_S, self._tidy)
        loop.every(TIDY_S, self._tidy)
        self._look_at_power()

    def codes(self) -> frozenset[str]:
        """Files beside clips that belong to loops on the shelf."""
        return frozenset(loop.codes_path for loop in self._station.shelf.values() if loop.codes_path)

    def _measure_load(self) -> None:
        self.load = round(os.getloadavg()[0] / (os.cpu_count() or 1), 2)

    def _look_at_power(self) -> None:
        import psutil

        battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
        on_battery = battery is not None and battery.power_plugged is False
        self._do(self._station.power(on_battery=on_battery, now=time.monotonic()))

    def _tidy(self) -> None:
        # What the library could not take, as on a full disk, is offered again.
        station, controller = self._station, self._station.settings.controller
        self._do([Shelve(loop) for loop in station.state.unshelved])
        needed = station.needed_loops()
        # The first to go are those heard longest ago; what was never heard and is not wanted comes before them.
        heard = {loop_id: place for place, loop_id in enumerate(station.state.history)}
        by_age = sorted(station.shelf.values(), key=lambda loop: heard.get(loop.loop_id, -1))
        needs = Needs(
            needed=self._archive.unsafe | {loop.path for loop in station.shelf.values() if loop.loop_id in needed},
            kept=tuple(loop.path for loop in by_age),
            codes=self.codes(),
            jobs=frozenset(lease.job.job_id for lease in station.foreman.leases.open),
        )
        budget, free = controller.cache_mb * _MEGA, controller.free_disk_mb * _MEGA
        self._errands.on_disk(lambda: tidy.tidy(self._paths, needs, budget=budget, free_wanted=free), self._was_tidied)
        self._archive.look_after(budget=controller.library_mb * _MEGA, free_wanted=free, needed=needed)

    def _was_tidied(self, done: Tidied) -> None:
        station = self._station
        self.cache_bytes, self.disk_free = done.cache_bytes, done.disk_free
        station.around.disk_free = done.disk_free
        if done.gone:
            gone_paths = set(done.gone)
            gone = [loop.loop_id for loop in station.shelf.values() if loop.path in gone_paths]
            station.unshelve(gone)
            self._archive.gone(gone)
        self._do(station.tick(time.monotonic()))
