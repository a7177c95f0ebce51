"""Builds a corpus of real music for ``benchmarks/loops.py``: Debian's game music, and MIDI rendered by FluidSynth.

    python -m benchmarks.loop_corpus_real FOLDER [--seed N] [--package NAME …]

Packages are downloaded by ``apt-get download`` and unpacked, not installed. From every track a few excerpts of 10 to
30 s are taken at seeded places; MIDI files are rendered with the General MIDI SoundFont, where tempo and time signature
are one throughout the excerpt: beat and bar are its truth. ``real.json`` and ``midi.json`` list the clips.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

PACKAGES = ("asc-music", "drascula-music", "fb-music-high", "frozen-bubble-data", "pathological")
MIDI_PACKAGES = ("openttd-openmsx", "planetblupi-music-midi")
SOUNDFONTS = ("/usr/share/sounds/sf2/FluidR3_GM.sf2", "/usr/share/sounds/sf2/default-GM.sf2")
AUDIO = (".ogg", ".mp3", ".flac", ".wav", ".xm", ".mod", ".it", ".s3m")
REAL_CLIPS = 40
SHORTEST_TRACK_S = 25.0
MIDI_RATE = 44_100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--package", action="append", help="Take these packages instead of the usual ones.")
    given = parser.parse_args()
    packages = given.folder / "packages"
    for name in given.package or PACKAGES + MIDI_PACKAGES:
        unpack(name, packages)
    rng = np.random.default_rng(given.seed)
    real = excerpts(packages, given.folder / "real", rng)
    midi = renderings(packages, given.folder / "midi", rng)
    for name, clips in (("real", real), ("midi", midi)):
        (given.folder / f"{name}.json").write_text(json.dumps(clips, indent=1))
        print(f"{len(clips)} {name} clips")


def unpack(name: str, folder: Path) -> None:
    """Download and unpack one Debian package, unless that was done."""
    target = folder / name
    if target.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["apt-get", "download", "-q", name], cwd=folder, capture_output=True, text=True, check=False)
    found = sorted(folder.glob(f"{name}_*.deb"))
    if not found:
        print(f"{name} cannot be downloaded and is left out: {done.stderr.strip()[-200:]}", file=sys.stderr)
        return
    target.mkdir()
    subprocess.run(["dpkg-deb", "-x", found[-1], target], check=True)


def excerpts(packages: Path, folder: Path, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Pieces of the tracks, spread evenly over them."""
    folder.mkdir(parents=True, exist_ok=True)
    tracks = []
    for path in sorted(packages.rglob("*")):
        if path.suffix.lower() in AUDIO:
            sound = read(path)
            if sound is not None and len(sound[0]) >= SHORTEST_TRACK_S * sound[1]:
                tracks.append((path, *sound))
    clips = []
    order = rng.permutation(len(tracks))
    for number in range(REAL_CLIPS if tracks else 0):
        path, samples, rate = tracks[int(order[number % len(tracks)])]
        seconds = float(rng.uniform(10, 30))
        count = min(round(seconds * rate), len(samples))
        start = int(rng.integers(0, len(samples) - count + 1))
        name = f"{number:02d}-{path.stem}"
        soundfile.write(folder / f"{name}.wav", samples[start : start + count], rate, subtype="PCM_16")
        clips.append(entry(name, "real", count / rate))
    return clips


def read(path: Path) -> tuple[np.ndarray, int] | None:
    """A track by soundfile, or by ffmpeg for tracker modules where it can; nothing where neither can."""
    try:
        return soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.SoundFileError:
        done = subprocess.run(
            ["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-ac", "2", "-ar", "44100", "pipe:1"],
            capture_output=True,
            check=False,
        )
        samples = np.frombuffer(done.stdout, np.float32).reshape(-1, 2)
        return (samples, 44_100) if len(samples) else None


def entry(name: str, corpus: str, seconds: float, **truth: float) -> dict[str, Any]:
    """One clip of a manifest; loops are asked for from a quarter of the clip on, 2.6 to 8 s."""
    return {
        "id": name,
        "corpus": corpus,
        "path": f"{corpus}/{name}.wav",
        "dur": seconds,
        "min_loop": round(float(np.clip(0.25 * seconds, 2.6, 8)), 2),
        **truth,
    }


# -- MIDI -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tempo:
    """From ``seconds`` on: how long a beat is, and how many make a bar."""

    seconds: float
    beat_s: float
    bar_s: float


def renderings(packages: Path, folder: Path, rng: np.random.Generator) -> list[dict[str, Any]]:
    """One excerpt of each MIDI file whose tempo is steady for long enough."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = []
    for path in sorted(p for p in packages.rglob("*") if p.suffix.lower() in (".mid", ".midi")):
        tempi = tempo_map(path.read_bytes())
        spans = [
            (now, later.seconds - now.seconds)
            for now, later in zip(tempi, [*tempi[1:], Tempo(600.0, 0, 0)], strict=True)
        ]
        steady = next(((now, length) for now, length in spans if length >= 20), None)
        if steady is None:
            continue
        now, length = steady
        seconds = float(rng.uniform(14, 30))
        start = now.seconds + float(rng.uniform(0, 12)) if length > 45 else now.seconds
        samples = render(path, start + seconds)[round(start * MIDI_RATE) :]
        if len(samples) < 12 * MIDI_RATE or np.abs(samples).max() < 1e-3:
            continue
        samples = 0.7 * samples / np.abs(samples).max()
        name = path.stem
        soundfile.write(folder / f"{name}.wav", samples, MIDI_RATE, subtype="PCM_16")
        clips.append(entry(name, "midi", len(samples) / MIDI_RATE, beat_s=now.beat_s, bar_s=now.bar_s))
    return clips


def tempo_map(data: bytes) -> list[Tempo]:
    """Tempi and time signatures of a standard MIDI file, merged, in order (MIDI 1.0, Standard MIDI Files)."""
    division = int.from_bytes(data[12:14], "big")
    events: list[tuple[int, int, bytes]] = []
    at = 14
    while at < len(data) - 8:
        size = int.from_bytes(data[at + 4 : at + 8], "big")
        if data[at : at + 4] == b"MTrk":
            events += meta_events(data[at + 8 : at + 8 + size])
        at += 8 + size
    tick, second, quarter, beats, unit = 0, 0.0, 0.5, 4, 4
    tempi: list[Tempo] = []
    for when, kind, body in sorted(events, key=lambda event: event[0]):
        second += (when - tick) / division * quarter
        tick = when
        if kind == 0x51 and len(body) == 3:
            quarter = int.from_bytes(body, "big") / 1e6
        elif kind == 0x58 and len(body) >= 2:
            beats, unit = body[0], 2 ** body[1]
        beat = quarter * 4 / unit
        if tempi and (tempi[-1].beat_s, tempi[-1].bar_s) == (beat, beat * beats):
            continue
        if tempi and tempi[-1].seconds == second:
            tempi.pop()
        tempi.append(Tempo(second, beat, beat * beats))
    return tempi or [Tempo(0.0, 0.5, 2.0)]


def meta_events(track: bytes) -> list[tuple[int, int, bytes]]:
    """Ticks, kinds and bodies of a track's tempo and time signature events."""
    at, tick, status = 0, 0, 0
    found = []

    def number() -> int:
        nonlocal at
        value = 0
        while True:
            byte = track[at]
            at += 1
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value

    while at < len(track):
        tick += number()
        if track[at] >= 0x80:
            status = track[at]
            at += 1
        if status == 0xFF:
            kind = track[at]
            at += 1
            size = number()
            if kind in (0x51, 0x58):
                found.append((tick, kind, track[at : at + size]))
            at += size
        elif status in (0xF0, 0xF7):
            at += number()
        else:
            at += 1 if status >> 4 in (0xC, 0xD) else 2
    return found


def render(path: Path, seconds: float) -> np.ndarray:
    """A MIDI file's first ``seconds``, float32 ``(frames, 2)``, by FluidSynth."""
    name = ctypes.util.find_library("fluidsynth")
    font = next((font for font in SOUNDFONTS if Path(font).exists()), None)
    if name is None or font is None:
        raise SystemExit(
            "FluidSynth and a General MIDI SoundFont are needed: apt-get install fluidsynth fluid-soundfont-gm."
        )
    library = ctypes.CDLL(name)
    for function in ("new_fluid_settings", "new_fluid_synth", "new_fluid_player"):
        getattr(library, function).restype = ctypes.c_void_p
    settings = ctypes.c_void_p(library.new_fluid_settings())
    library.fluid_settings_setnum(settings, b"synth.sample-rate", ctypes.c_double(MIDI_RATE))
    library.fluid_settings_setstr(settings, b"player.timing-source", b"sample")
    library.fluid_settings_setint(settings, b"synth.lock-memory", 0)
    synth = ctypes.c_void_p(library.new_fluid_synth(settings))
    library.fluid_synth_sfload(synth, font.encode(), 1)
    player = ctypes.c_void_p(library.new_fluid_player(synth))
    library.fluid_player_add(player, str(path).encode())
    library.fluid_player_play(player)
    frames = round(seconds * MIDI_RATE)
    out = np.zeros((frames, 2), np.float32)
    at = 0
    while at < frames and library.fluid_player_get_status(player) == 1:
        count = min(64, frames - at)
        address = out[at:].ctypes.data
        library.fluid_synth_write_float(synth, count, ctypes.c_void_p(address), 0, 2, ctypes.c_void_p(address), 1, 2)
        at += count
    library.delete_fluid_player(player)
    library.delete_fluid_synth(synth)
    library.delete_fluid_settings(settings)
    return out[:at]


if __name__ == "__main__":
    main()
