"""How busy the machine is, and how much of that is the station."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import msgspec

OVER_S = 0.3


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Percent are of the whole machine: 100 is every core at work."""

    cpu_percent: float
    memory_percent: float
    """Memory that is not to be had."""
    station_cpu_percent: float | None = None
    station_rss_bytes: int | None = None
    """None while no station runs."""


def measure(services: Iterable[int], over_s: float = OVER_S) -> Load:
    """Look twice, ``over_s`` apart. Blocks.

    Parameters
    ----------
    services : process numbers of the station's services; what they have begun counts too.
    """
    import psutil

    family: list[psutil.Process] = []
    for number in services:
        with contextlib.suppress(psutil.Error):
            service = psutil.Process(number)
            family += [service, *service.children(recursive=True)]
    for each in family:
        with contextlib.suppress(psutil.Error):
            each.cpu_percent(None)
    machine = psutil.cpu_percent(over_s)
    spent, resident = 0.0, 0
    for each in family:
        with contextlib.suppress(psutil.Error):
            spent += each.cpu_percent(None)
            resident += each.memory_info().rss
    return Load(
        cpu_percent=machine,
        memory_percent=psutil.virtual_memory().percent,
        station_cpu_percent=round(spent / (psutil.cpu_count() or 1), 1) if family else None,
        station_rss_bytes=resident if family else None,
    )
