"""Half an hour of programme: is its form there, does every song begin on a downbeat, is any pass heard too often?

    python benchmarks/form.py [--minutes 30] [--prompt P] [--seed 7] [--picture form.png]

Renders as `infiniloop render` does and draws the self-similarity of what is heard, a second a step (chroma and log-mel,
cosine). Squares along the diagonal are songs, the pattern inside them their form; lines beside the diagonal are passes
that come again. One JSON object per figure.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import click
import numpy as np
from numpy.typing import NDArray

from services.controller.cli.rendering import Makers, changes, longest_run, loops_of
from services.controller.state import DEFAULT_PROMPT
from services.player.offline import Programme, Song
from services.player.store import LoadedLoop, LoadedTransition
from shared.music import Loop, Transition
from shared.settings.player import PlayerSettings
from shared.units import STATION_RATE

RATE = STATION_RATE // 2
Change = tuple[Loop, Loop, Transition]


def say(**figure: object) -> None:
    print(json.dumps(figure, ensure_ascii=False), flush=True)


def rendered(minutes: float, prompt: str, seed: int) -> tuple[NDArray[np.float32], list[Song], list[Change]]:
    """The programme in mono at half the rate, its songs, and the changes that were made ready for it."""
    player = PlayerSettings()
    made: list[Change] = []
    change = changes("smart")
    assert change is not None

    def noted(first: LoadedLoop, second: LoadedLoop, exit_after: int) -> LoadedTransition | None:
        ready = change(first, second, exit_after)
        if ready is not None:
            made.append((first.loop, second.loop, ready.transition))
        return ready

    with tempfile.TemporaryDirectory() as folder:
        makers = Makers(Path(folder))
        try:
            most = math.ceil(minutes * 60 / player.min_duration)
            programme = Programme(loops_of(prompt, seed, most, makers, Path(folder)), player, transitions=noted)
            frames = round(minutes * 60 * STATION_RATE)
            mono = np.concatenate([block.mean(axis=1) for block in programme.blocks(frames)])
        finally:
            makers.close()
    return mono[: len(mono) // 2 * 2].reshape(-1, 2).mean(axis=1), programme.songs, made


def off_the_beat_ms(loop: Loop, frame: int) -> float:
    """Milliseconds from a frame of the loop to its nearest downbeat; its end is the first one again."""
    assert loop.grid is not None
    lines = np.array([*loop.grid.downbeats, *(section.end for section in loop.sections), loop.frames])
    return float(np.abs(lines - frame).min() / STATION_RATE * 1000)


def similarity(mono: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosine of each second with each other, shape=(seconds, seconds)."""
    import librosa

    hop = RATE // 8
    chroma = librosa.feature.chroma_stft(y=mono, sr=RATE, hop_length=hop, n_fft=8_192)
    mel = librosa.power_to_db(librosa.feature.melspectrogram(y=mono, sr=RATE, hop_length=hop, n_fft=4_096, n_mels=40))
    # A second is described by what happens in it, eighth by eighth, and not by its mean alone.
    parts = []
    for feature in (chroma, mel):
        seconds = feature.shape[1] // 8
        stacked = feature[:, : 8 * seconds].T.reshape(seconds, -1)
        stacked = (stacked - stacked.mean(axis=0)) / (stacked.std(axis=0) + 1e-9)
        parts.append(stacked / (np.linalg.norm(stacked, axis=1, keepdims=True) + 1e-9))
    return np.asarray(sum(part @ part.T for part in parts) / len(parts), np.float64)


def draw(matrix: NDArray[np.float64], songs: list[Song], picture: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 9), dpi=110)
    minutes = len(matrix) / 60
    low, high = np.quantile(matrix, [0.05, 0.995])
    axes.imshow(matrix, origin="lower", extent=(0, minutes, 0, minutes), cmap="magma", vmin=low, vmax=high)
    for song in songs:
        at = song.frame / STATION_RATE / 60
        axes.axvline(at, color="white", linewidth=0.4, alpha=0.6)
        axes.axhline(at, color="white", linewidth=0.4, alpha=0.6)
    axes.set(xlabel="minutes", ylabel="minutes", title="What sounds like what (white: a song begins)")
    figure.tight_layout()
    figure.savefig(picture)


@click.command()
@click.option("--minutes", default=30.0)
@click.option("--prompt", default=DEFAULT_PROMPT)
@click.option("--seed", default=7)
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), default=Path("form.png"))
def main(minutes: float, prompt: str, seed: int, picture: Path) -> None:
    """Measure and draw the form of a programme."""
    mono, songs, made = rendered(minutes, prompt, seed)
    heard = {(before.loop.loop_id, after.loop.loop_id) for before, after in pairwise(songs)}
    used = [change for change in made if (change[2].from_loop, change[2].to_loop) in heard]
    errors = [
        max(off_the_beat_ms(first, done.exit_frame), off_the_beat_ms(second, done.entry_frame))
        for first, second, done in used
    ]
    ends = [song.frame for song in songs[1:]] + [round(minutes * 60 * STATION_RATE)]
    runs = [longest_run(song.loop, end - song.frame, "light") for song, end in zip(songs, ends, strict=True)]
    say(figure="songs", value=len(songs), entered=[song.entered.partition(":")[0] for song in songs[1:]])
    say(figure="song_start_off_a_downbeat_ms", most=round(max(errors, default=0.0), 3), changes=len(errors))
    say(figure="longest_run_of_one_pass", value=max(run.longest for run in runs))
    draw(similarity(mono), songs, picture)
    say(figure="picture", path=str(picture))


if __name__ == "__main__":
    main()
