"""``infiniloop validate``: whether an audio file is sound, and whether its loop points lie in it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import click

from services.controller.cli.asking import ask_station, json_option, say
from shared.errors import AudioFileError

SILENT = 1e-4
"""Peak below which nothing is heard, −80 dBFS."""
PLACES = {"current": ("now",), "next": ("next",), "both": ("now", "next")}


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE|current|next|both")
@json_option
def validate(file: Path, as_json: bool) -> None:
    """Say whether an audio file is sound.

    It must be readable to its end, hold sound and only numbers; loop points in it must lie within it. current is the
    loop that plays, next the one that comes, both are the two.
    """
    files = _of_station(PLACES[str(file)]) if str(file) in PLACES else [file]
    reports = [_look_at(each) for each in files]
    faults = [report["fault"] for report in reports if report["fault"]]
    text = " ".join(_in_words(report) for report in reports if not report["fault"])
    if faults:
        if as_json:
            say(" ".join(faults), as_json=True, ok=False, files=reports)
        raise AudioFileError(" ".join(faults))
    say(text, as_json=as_json, files=reports, **reports[0])


def _of_station(places: tuple[str, ...]) -> list[Path]:
    data = ask_station("status").data
    found = {"now": data["now"], "next": next(iter(data["next"]), None)}
    for place in places:
        if found[place] is None:
            raise AudioFileError("Nothing plays yet." if place == "now" else "Nothing comes next yet: try in a moment.")
    return [Path(found[place]["path"]) for place in places]


def _look_at(path: Path) -> dict[str, Any]:
    """What the file holds, and what is wrong with it."""
    import numpy as np

    from shared.audio_files import read_audio

    report: dict[str, Any] = {"file": str(path.absolute()), "fault": ""}
    try:
        samples, rate = read_audio(path)
    except AudioFileError as error:
        return report | {"fault": str(error)}
    peak = float(np.abs(samples).max())
    loop = _loop_points(path)
    report |= {
        "seconds": round(len(samples) / rate, 3),
        "frames": len(samples),
        "sample_rate": rate,
        "channels": samples.shape[1],
        "peak": round(peak, 6),
        "loop": list(loop) if loop else None,
    }
    if peak < SILENT:
        report["fault"] = f"{path} is silent."
    elif loop and not 0 <= loop[0] < loop[1] <= len(samples):
        report["fault"] = f"{path} says that it loops from {loop[0]} to {loop[1]}, but has {len(samples)} frames."
    return report


def _loop_points(path: Path) -> tuple[int, int] | None:
    """First frame and end, exclusive, of the loop that a WAV's ``smpl`` chunk names."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        while len(chunk := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", chunk)
            if name == b"smpl":
                body = file.read(size)
                if len(body) < 60 or struct.unpack_from("<I", body, 28)[0] < 1:
                    return None
                start, last = struct.unpack_from("<2I", body, 44)
                return start, last + 1
            file.seek(size + size % 2, 1)
    return None


def _in_words(report: dict[str, Any]) -> str:
    loop = report["loop"]
    looped = f", loops from {loop[0]} to {loop[1]}" if loop else ""
    return (
        f"{report['file']} is sound: {report['seconds']:g} s, {report['sample_rate']} Hz, "
        f"{report['channels']} channels{looped}."
    )
