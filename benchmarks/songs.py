"""How many changes of a long programme of one prompt are blends or continuations, and why the others are not.

    python benchmarks/songs.py [--songs 100] [--prompt P] [--seed 7]

Composes so many songs as `infiniloop render` does, each asked to fit the first one, and plays them through the offline
programme with the analyzer's changes, half a minute each. Two orders: as they come, and as a station queues them, where
the next song is the best of four at hand. One JSON object per figure.
"""

from __future__ import annotations

import collections
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import click
from msgspec.structs import replace

from services.analyzer.transitions import plan_transition
from services.controller.choice import QUEUE, order
from services.controller.cli.rendering import Makers, changes, loops_of
from services.controller.state import DEFAULT_PROMPT
from services.player.offline import Programme
from services.player.store import LoadedLoop
from shared.music import Loop
from shared.settings.player import PlayerSettings
from shared.units import STATION_RATE


def say(**figure: object) -> None:
    print(json.dumps(figure, ensure_ascii=False), flush=True)


def played(loops: Iterator[LoadedLoop], count: int) -> list[tuple[Loop, str]]:
    """The songs of the programme and how each was entered."""
    programme = Programme(loops, PlayerSettings(min_duration=30.0), transitions=changes("smart"))
    for _ in programme.blocks(count * 150 * STATION_RATE):
        if len(programme.songs) >= count:
            break
    return [(song.loop, song.entered) for song in programme.songs]


def queued(loops: list[Loop]) -> list[tuple[str, str]]:
    """The changes where the next song is the one of four at hand that follows best: their kinds and reasons."""
    waiting, found = list(loops[1:]), []
    now = loops[0]
    while waiting:
        best = order(now, waiting[: QUEUE - 1], 1)[0]
        waiting.remove(best)
        plan = plan_transition(now, best)
        found.append((plan.kind, plan.reason))
        now = best
    return found


def told(name: str, changes_made: list[tuple[str, str]]) -> None:
    kinds = collections.Counter(kind for kind, _ in changes_made)
    together = kinds["blend"] + kinds["continue"]
    reasons = collections.Counter(reason for kind, reason in changes_made if kind not in ("blend", "continue"))
    say(
        figure=name,
        blend_or_continue_percent=round(100 * together / max(1, len(changes_made)), 1),
        changes=len(changes_made),
        kinds=dict(kinds),
        why_the_others_not=dict(reasons.most_common(12)),
    )


@click.command()
@click.option("--songs", default=100)
@click.option("--prompt", default=DEFAULT_PROMPT)
@click.option("--seed", default=7)
def main(songs: int, prompt: str, seed: int) -> None:
    """Count the kinds of changes."""
    with tempfile.TemporaryDirectory() as folder:
        makers = Makers(Path(folder))
        try:
            heard = played(loops_of(prompt, seed, songs, makers, Path(folder)), songs)
        finally:
            makers.close()
    entered = [tuple(words.partition(": ")[::2]) for _, words in heard[1:]]
    told("as_they_come", [(kind, why) for kind, why in entered])
    loops = [replace(loop, title="") for loop, _ in heard]
    told("as_a_station_queues_them", queued(loops))


if __name__ == "__main__":
    main()
