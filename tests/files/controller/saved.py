"""Saved files through other eyes: soundfile, mutagen, a reader of chunks; ffprobe, ffmpeg, sox (marker ``tools``)."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
import soundfile

from services.controller.saving import Saved, SaveOrder, save_loop
from shared.music import Loop
from shared.units import Audio

RATE = 48_000
FRAMES = 96_000
FIRST_DOWNBEAT = 3_001
FORMATS = ("wav", "flac", "ogg", "mp3")


def saved(loop: Loop, target: Path, **more: object) -> Saved:
    """The loop, saved as the station does it."""
    return save_loop(SaveOrder(loop, target, **more))  # type: ignore[arg-type]


def run(*command: str | Path) -> bytes:
    """What a program writes to its standard output; it must succeed."""
    assert shutil.which(str(command[0])), f"{command[0]} is not here: sudo apt install ffmpeg sox"
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def probed(path: Path) -> dict[str, Any]:
    """What ffprobe finds: the format, its one stream, and every tag by its name in capitals."""
    found = json.loads(run("ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", path))
    (stream,) = found["streams"]
    tags = {**found["format"].get("tags", {}), **stream.get("tags", {})}
    return {"format": found["format"], "stream": stream, "tags": {name.upper(): value for name, value in tags.items()}}


def tagged(path: Path) -> dict[str, str]:
    """What mutagen finds, names in capitals; an ID3 frame TXXX goes by its description."""
    found = mutagen.File(path)  # type: ignore[attr-defined]
    assert found is not None
    assert found.tags is not None
    if hasattr(found.tags, "getall"):
        frames = {frame.desc.upper(): frame.text[0] for frame in found.tags.getall("TXXX")}
        return frames | {frame.FrameID: str(frame.text[0]) for frame in found.tags.values() if frame.FrameID != "TXXX"}
    return {name.upper(): value for name, value in found.tags}


def by_ffmpeg(path: Path) -> Audio:
    """The samples as ffmpeg decodes them, on the grid of 32 bits."""
    raw = run("ffmpeg", "-v", "error", "-i", path, "-f", "s32le", "-acodec", "pcm_s32le", "-")
    return (np.frombuffer(raw, "<i4").reshape(-1, 2) / 2.0**31).astype(np.float32)


def tiled_by_sox(path: Path, start: int, frames: int, passes: int) -> Audio:
    """``frames`` from ``start`` on, so many times over, as sox plays them."""
    raw = run(
        "sox", path, "-t", "raw", "-e", "signed-integer", "-b", "24", "-L", "-",
        "trim", f"{start}s", f"{frames}s", "repeat", str(passes - 1),
    )  # fmt: skip
    whole = np.frombuffer(raw, np.uint8).reshape(-1, 3).astype(np.int32)
    samples = (whole[:, 0] << 8 | whole[:, 1] << 16 | whole[:, 2] << 24) >> 8
    return (samples.reshape(-1, 2) / 2.0**23).astype(np.float32)


def tiled(path: Path, start: int, frames: int, passes: int) -> Audio:
    """The same by libsndfile."""
    samples = soundfile.read(path, start=start, frames=frames, dtype="float32", always_2d=True)[0]
    return np.tile(samples, (passes, 1))


TILERS = [pytest.param(tiled, id="libsndfile"), pytest.param(tiled_by_sox, id="sox", marks=pytest.mark.tools)]
"""Who repeats a loop by the points that its file tells."""


def chunks(path: Path) -> dict[str, bytes]:
    """The chunks of a WAV by name (of several ``LIST`` the last); its size must be true."""
    data, at, found = path.read_bytes(), 12, {}
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    while at < len(data):
        name, size = data[at : at + 4].decode(), struct.unpack_from("<I", data, at + 4)[0]
        found[name] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    assert at == len(data)
    return found


def loop_points(path: Path) -> tuple[int, int]:
    """First frame and number of frames of the loop, as the file itself tells them."""
    if path.suffix == ".wav":
        body = chunks(path)["smpl"]
        assert struct.unpack_from("<I", body, 28)[0] == 1
        _, kind, start, end, _, count = struct.unpack("<6I", body[36:60])
        assert (kind, count) == (0, 0)
        return start, end + 1 - start
    found = tagged(path)
    return int(found["LOOPSTART"]), int(found["LOOPLENGTH"])
