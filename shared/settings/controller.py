"""Settings of the controller: the station's ways, its budgets, and other machines."""

from __future__ import annotations

from dataclasses import dataclass

from shared.settings.fields import choice, number, switch, text


@dataclass(frozen=True)
class ControllerSettings:
    mode: str = choice("restful", "evolve", "flow", help="how much is made ahead, and out of what")
    bridge: bool = switch(True, help="compose something at once while a new prompt's first song is made")
    debug: bool = switch(False, help="log every message between the services")
    statistics: bool = switch(True, help="keep what making music costs, for `infiniloop stats`")
    cache_mb: int = number(1000, 100, 100_000, unit="MB", help="room for clips and loops on their way")
    library_mb: int = number(2000, 0, 1_000_000, unit="MB", help="room for the library; favourites are kept beyond it")
    free_disk_mb: int = number(5000, 0, 1_000_000, unit="MB", help="nothing is stored below this much free disk")
    lan: bool = switch(False, help="let generators on other machines join, encrypted")
    lan_host: str = text("0.0.0.0", help="address on which other machines are heard", pattern=r"[0-9A-Za-z.:%_-]+")
    jobs_port: int = number(8421, 1024, 65_535, help="port for jobs to other machines")
    clips_port: int = number(8422, 1024, 65_535, help="port for clips from other machines")
