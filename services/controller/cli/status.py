"""``infiniloop status``: what plays, what is being made, what waits and why."""

from __future__ import annotations

import time
from typing import Any

import click

from services.controller.cli.asking import ask_station, json_option, say
from services.controller.counting import number_of

WATCH_S = 1.0


@click.command()
@json_option
@click.option("--watch", is_flag=True, help="Again every second, until Ctrl-C.")
def status(as_json: bool, watch: bool) -> None:
    """Show what plays, what is being made, and what waits and why.

    Library, disk and sound output come below.
    """
    while True:
        answer = ask_station("status")
        if watch and not as_json:
            click.clear()
        say(answer.text if as_json else told(answer.data), as_json=as_json, **answer.data)
        if not watch:
            return
        time.sleep(WATCH_S)


def told(data: dict[str, Any]) -> str:
    """The station's report in words, one thing a line."""
    above = [_state(data), *_now(data), *_next(data), f"  {data['waiting']}", *_ways(data)]
    below = [_output(data), _stream(data), _numbers(data), _silent(data), data["note"]]
    return "\n\n".join("\n".join(line for line in block if line.strip()) for block in (above, below))


def _state(data: dict[str, Any]) -> str:
    word = "Stopped" if data["stopped"] else "Paused" if data["paused"] else "Playing"
    hold = ", held on this loop" if data["hold"] else ""
    return click.style(f"{word}{hold}", bold=True) + f": “{data['prompt']}”"


def _now(data: dict[str, Any]) -> list[str]:
    now = data["now"]
    if now is None:
        return []
    facts = [_music(now), _maker(now)]
    position = ""
    if now.get("song_length_s"):
        section = f"section {now['section']}, " if now.get("section") else ""
        position = f"    {section}{_clock(now['song_s'])} of {_clock(now['song_length_s'])}"
    return [
        f"♪ {_name({**now, 'note': data['bridge']})}",
        "    " + " · ".join(fact for fact in facts if fact),
        position,
    ]


def _next(data: dict[str, Any]) -> list[str]:
    return [f"  next  {_name(loop)}  {_music(loop)}" for loop in data["next"][:2]]


def _ways(data: dict[str, Any]) -> list[str]:
    """How the station goes on by itself, where it is not the usual way."""
    work, lines = data["work"], []
    if data["sleep_s"] is not None:
        lines.append(f"  sleep    silent in {_clock(data['sleep_s'])}")
    if data["mode"] != "restful":
        lines.append(f"  mode     {data['mode']}{_cost(data)}")
    if data["surprise"]:
        lines.append("  surprise another preset every few songs")
    if data["programme"] is not None:
        lines.append(f"  clock    at {data['programme']['at'][-5:]}: “{data['programme']['prompt']}”")
    if work["on_battery"]:
        lines.append("  power    on battery")
    return lines


def _cost(data: dict[str, Any]) -> str:
    price = data["work"]["price"]
    if data["mode"] != "flow":
        return ""
    return (
        ": its cost is told after the first loop" if price is None else f": it takes {_percent(price)} of this machine"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "less than 1 %"


def _name(loop: dict[str, Any]) -> str:
    if loop["title"]:
        mark = f" ({loop.get('note') or 'a bridge'})" if loop["bridge"] else ""
        return f"{loop['title']} – {loop['artist']}{mark}"
    return "A loop that ships with the station" if loop["startup"] else loop["loop_id"]


def _music(loop: dict[str, Any]) -> str:
    parts = [
        loop["genre"],
        f"{loop['bpm']:g} bpm" if loop["bpm"] else "",
        loop["key"] or "",
        f"{loop['bars']} bars" if loop["bars"] else "",
        f"{loop['seconds']:.1f} s",
    ]
    return " · ".join(part for part in parts if part)


def _maker(loop: dict[str, Any]) -> str:
    made = " ".join(part for part in (loop["backend"], loop["model"]) if part)
    return loop["disclosure"] or made


def _output(data: dict[str, Any]) -> str:
    output = data["output"]
    if output is None:
        return "  The player has not reported yet."
    underruns = f", {output['underruns']} underruns" if output["underruns"] else ""
    return f"  sound    {output['text'] or output['driver']}, volume {data['volume']}{underruns}"


def _stream(data: dict[str, Any]) -> str:
    stream = data["stream"]
    if stream is None or not stream["url"]:
        return ""
    listeners = f" ({stream['listeners']} listening)" if stream["listeners"] else ""
    return f"  page     {stream['url']}{listeners} {stream['note']}".rstrip()


def _numbers(data: dict[str, Any]) -> str:
    jobs, library, disk = data["jobs"], data["library"], data["disk"]
    refused = f", {jobs['rejected']} rejected" if jobs["rejected"] else ""
    trouble = f", {jobs['failed'] + jobs['lost']} failed" if jobs["failed"] + jobs["lost"] else ""
    return (
        f"  made     {number_of(jobs['accepted'], 'loop')}{refused}{trouble}; library {library['loops']} "
        f"({library['stored']} with audio, {library['liked']} liked, {library['bytes'] / 1e6:.0f} MB); "
        f"cache {disk['cache_bytes'] / 1e6:.0f} MB, {disk['free_bytes'] / 1e9:.0f} GB free"
    )


def _silent(data: dict[str, Any]) -> str:
    away = [name for name, service in data["services"].items() if service["silent_s"] > 3]
    return f"  away     {', '.join(away)}: begun again by its parent" if away else ""


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
