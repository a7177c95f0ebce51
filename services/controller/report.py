"""The station's whole state as one object, for ``status --json``, the page and whoever asks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.controller.core import Station
from shared.messages import DashboardStatus, GeneratorStatus, PlayerStatus, Status
from shared.music import Loop
from shared.units import STATION_RATE


def described(loop: Loop) -> dict[str, Any]:
    """What a listener wants to know of a loop."""
    recipe = loop.recipe
    return {
        "loop_id": loop.loop_id,
        "path": loop.path,
        "title": loop.title,
        "artist": loop.artist,
        "genre": loop.genre,
        "prompt": recipe.prompt if recipe is not None else "",
        "backend": recipe.backend if recipe is not None else "",
        "model": recipe.model if recipe is not None else None,
        "seed": recipe.seed if recipe is not None else None,
        "licence": (recipe.weights_licence or recipe.code_licence) if recipe is not None else None,
        "disclosure": recipe.disclosure if recipe is not None else "",
        "bpm": loop.bpm,
        "key": loop.key,
        "bars": loop.bars,
        "seconds": round(loop.frames / loop.sample_rate, 3),
        "startup": loop.startup,
        "bridge": loop.bridge,
        "epoch": loop.epoch,
    }


def report(station: Station, statuses: Mapping[str, tuple[Status, float]], now: float) -> dict[str, Any]:
    """Everything, in sections that name what they are about.

    Parameters
    ----------
    statuses : the last status of each service and when it came.
    """
    states = {name: status.state for name, (status, _) in statuses.items()}
    player, generator, dashboard = states.get("player"), states.get("generator"), states.get("dashboard")
    state, counts = station.state, station.foreman.leases.counts
    settings = station.settings
    sounding, queue = station.sounding, station.wanted.queue
    return {
        "running": True,
        "prompt": state.prompt,
        "epoch": state.epoch,
        "preset": state.preset,
        "playing": not state.paused and not state.stopped,
        "paused": state.paused,
        "stopped": state.stopped,
        "hold": state.hold,
        "mode": settings.controller.mode,
        "bridge": station.bridge_note(now),
        "sleep_s": None if (left := station.sleeps_in(now)) is None else round(left),
        "asleep": state.asleep,
        "surprise": state.surprise,
        "programme": _programme(station),
        "work": _work(station, now),
        "volume": station.settings.player.volume,
        "now": {**described(sounding), **_position(player)} if sounding is not None else None,
        "next": [described(loop) for loop in queue if sounding is None or loop.loop_id != sounding.loop_id],
        "waiting": station.waiting,
        "making": _making(generator),
        "jobs": {
            "sent": counts.sent,
            "accepted": counts.accepted,
            "rejected": counts.rejected,
            "cancelled": counts.cancelled,
            "failed": counts.failed,
            "lost": counts.lost,
            "open": len(station.foreman.leases),
            "redelivered": counts.redelivered,
            "balances": station.foreman.leases.balances(),
        },
        "output": _output(player),
        "stream": _stream(dashboard),
        "shelf": len(station.shelf),
        "services": {
            name: {
                "pid": status.pid,
                "uptime_s": status.uptime_s,
                "rss_bytes": status.rss_bytes,
                "silent_s": round(max(0.0, now - heard), 1),
                "restarts": station.around.restarts.get(name, 0),
            }
            for name, (status, heard) in statuses.items()
        },
    }


def _programme(station: Station) -> dict[str, Any] | None:
    """What the clock will ask for next, and when; None where it asks for nothing else."""
    found = station.clock_will_ask()
    return None if found is None else {"at": found.since, "prompt": found.prompt}


def _work(station: Station, now: float) -> dict[str, Any]:
    """What making music costs this machine."""
    workload, price = station.around.workload, station.around.workload.price()
    return {
        "share_of_hour": round(workload.share(now), 4),
        "price": None if price is None else round(price, 4),
        "wait_s": round(workload.wait_s(now), 1),
        "on_battery": station.around.on_battery,
    }


def _position(player: object) -> dict[str, Any]:
    if not isinstance(player, PlayerStatus):
        return {}
    return {
        "frame": player.frame,
        "section": player.section,
        "pass": player.pass_number,
        "song_s": round(player.song_frames / STATION_RATE, 2),
        "song_length_s": round(player.song_length_frames / STATION_RATE, 2),
        "transition": player.transition,
    }


def _making(generator: object) -> dict[str, Any] | None:
    if not isinstance(generator, GeneratorStatus) or not generator.job_id:
        return None
    return {
        "job_id": generator.job_id,
        "prompt": generator.prompt,
        "backend": generator.backend,
        "fraction": round(generator.fraction, 3),
        "stage": generator.stage,
        "eta_s": generator.eta_s,
    }


def _output(player: object) -> dict[str, Any] | None:
    if not isinstance(player, PlayerStatus):
        return None
    return {
        "driver": player.driver,
        "text": player.output,
        "ok": player.output_ok,
        "underruns": player.underruns,
        "blocks": player.blocks,
        "loops_played": player.loops_played,
        "cpu_percent": player.cpu_percent,
    }


def _stream(dashboard: object) -> dict[str, Any] | None:
    if not isinstance(dashboard, DashboardStatus):
        return None
    return {"url": dashboard.url, "port": dashboard.port, "note": dashboard.note, "listeners": dashboard.listeners}
