"""``infiniloop render``: the station's programme straight to a file, faster than real time."""

from __future__ import annotations

import math
import secrets
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from services.controller.cli.asking import json_option, say
from services.controller.counting import number_of
from shared.errors import StoreError, UsageError

if TYPE_CHECKING:
    from services.player.offline import Programme
    from shared.units import Audio

FORMATS = MappingProxyType({".wav": "wav", ".flac": "flac", ".ogg": "ogg", ".mp3": "mp3"})
UNHEARD_FRAMES = 1_920
"""The last 40 ms of the closing fade lie under −80 dBFS: the file ends before them."""
SHORTEST_MINUTES, LONGEST_MINUTES = 0.1, 720.0


@click.command()
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file: wav, flac, ogg or mp3.",
)
@click.option("--minutes", type=float, default=10.0, show_default=True, help="How long it is to be.")
@click.option("--prompt", help="What it is to sound like; the station's default without it.")
@click.option("--seed", type=int, help="The same seed gives the same bytes.")
@json_option
def render(output: Path, minutes: float, prompt: str | None, seed: int | None, as_json: bool) -> None:
    """Write the station's programme to a file.

    It is composed and mixed faster than real time; the same seed gives the same bytes.
    """
    from services.controller.cli.rendering import Makers, changes, loops_of
    from services.controller.commands import check_prompt
    from services.controller.saving import check_length
    from services.controller.saving.music import cut
    from services.controller.state import DEFAULT_PROMPT
    from shared import settings
    from shared.paths import Paths
    from shared.units import STATION_RATE

    if output.suffix.lower() not in FORMATS:
        raise UsageError(f"{output.suffix or output} cannot be written: choose a name in {', '.join(FORMATS)}.")
    if not SHORTEST_MINUTES <= minutes <= LONGEST_MINUTES:
        raise UsageError(f"minutes must be {SHORTEST_MINUTES:g} to {LONGEST_MINUTES:g}, not {minutes:g}.")
    if not output.absolute().parent.is_dir():
        raise StoreError(f"The folder {output.absolute().parent} does not exist: make it first, or choose another.")
    words = DEFAULT_PROMPT if prompt is None else check_prompt(prompt)
    seed = secrets.randbelow(2**31) if seed is None else seed
    chosen, _ = settings.load(Paths.from_environment())
    frames = round(minutes * 60 * STATION_RATE)
    check_length(FORMATS[output.suffix.lower()], frames)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="infiniloop-render-") as folder:
        makers = Makers(Path(folder))
        try:
            from services.player.offline import Programme

            # No song is shorter than this, so there are never more of them.
            most = math.ceil(minutes * 60 / chosen.player.min_duration)
            loops = loops_of(words, seed, most, makers, Path(folder))
            programme = Programme(loops, chosen.player, transitions=changes(chosen.player.transition))
            _write(output.absolute(), cut(programme.blocks(frames + UNHEARD_FRAMES), frames), frames, words, seed)
        finally:
            makers.close()
    taken = time.perf_counter() - began
    report = _report(programme, frames, chosen.player.variation)
    speed = frames / STATION_RATE / taken
    text = (
        f"Rendered {_length(frames / STATION_RATE)} of “{words}” to {output}: "
        f"{number_of(len(programme.songs), 'song')}, seed {seed}, {speed:.1f} × real time."
    )
    say(
        text,
        as_json=as_json,
        path=str(output.absolute()),
        prompt=words,
        seed=seed,
        seconds=frames / STATION_RATE,
        times_real_time=round(speed, 2),
        **report,
    )


def _write(target: Path, blocks: Iterable[Audio], frames: int, words: str, seed: int) -> None:
    """Write the file, which says what it is, whole or not at all."""
    from services.controller.saving import Tags, write_file
    from services.controller.saving.tags import disclosure, in_words
    from services.generator.backends.composer.recipes import DISCLOSURE
    from shared.music import Recipe

    recipe = Recipe(prompt=words, backend="composer", seed=seed, disclosure=DISCLOSURE)
    tags = Tags(title=words, artist="INFINI LOOP", comment=in_words(recipe), facts=disclosure(recipe))
    write_file(target, FORMATS[target.suffix.lower()], tags, blocks, frames=frames, force=True)


def _report(programme: Programme, frames: int, variation: str) -> dict[str, Any]:
    from services.controller.cli.rendering import longest_run
    from services.controller.naming import named
    from shared.units import STATION_RATE

    ends = [song.frame for song in programme.songs[1:]] + [frames]
    runs = [
        longest_run(song.loop, end - song.frame, variation) for song, end in zip(programme.songs, ends, strict=True)
    ]
    return {
        "songs": len(programme.songs),
        "loops": len({song.loop.loop_id for song in programme.songs}),
        "longest_run_of_one_pass": max(run.longest for run in runs),
        "programme": [
            {
                "at_s": round(song.frame / STATION_RATE, 3),
                "title": named(song.loop).title,
                "bpm": song.loop.bpm,
                "key": song.loop.key,
                "passes": run.passes,
                "entered": song.entered,
            }
            for song, run in zip(programme.songs, runs, strict=True)
        ],
    }


def _length(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
