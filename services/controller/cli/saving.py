"""``infiniloop save``: what plays, what played, and what was heard, into files exactly where the listener said.

The station only tells which loop is meant. Reading, stretching and encoding are this process's work, so that however
much is saved, the station has nothing of it but one question.
"""

from __future__ import annotations

import math
from typing import Any

import click

from services.controller.cli.asking import ask_station, json_option, say
from services.controller.cli.completion import files as names_of_files
from services.controller.cli.writing import (
    Wish,
    Work,
    add_parts,
    at_tempo,
    beside,
    check_places,
    fades_of,
    here,
    with_fades,
    write_loop,
    write_song,
)
from shared.errors import UsageError
from shared.units import STATION_RATE

FADE_S = 2.0
LONGEST_MINUTES = 720.0
MOST_PASSES = 10_000


def _real(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """A number that is one: "nan" lies in every range."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter("it must be a number", ctx=context, param=parameter)
    return value


@click.command()
@click.argument("file", shell_complete=names_of_files)
@click.option(
    "--format", "format_", type=click.Choice(("wav", "flac", "ogg", "mp3")), help="Default: as FILE is named."
)
@click.option("--previous", is_flag=True, help="The loop before the one that plays.")
@click.option("--last", metavar="10m", help="What was heard last, as it was heard: 90s, 10m, 1m30s.")
@click.option("--passes", type=click.IntRange(1, MOST_PASSES), metavar="N", help="The loop so many times over.")
@click.option(
    "--minutes",
    type=click.FloatRange(0, LONGEST_MINUTES, min_open=True),
    metavar="N",
    callback=_real,
    help="The song that is made of it, so long.",
)
@click.option("--fade", is_flag=True, help=f"Fade in and out over {FADE_S:g} s.")
@click.option(
    "--fade-in", type=click.FloatRange(0, 60), metavar="S", callback=_real, help="Fade in over so many seconds."
)
@click.option(
    "--fade-out", type=click.FloatRange(0, 60), metavar="S", callback=_real, help="Fade out over so many seconds."
)
@click.option("--conform", is_flag=True, help="Stretch it to a whole number of beats a minute.")
@click.option("--stems", is_flag=True, help="Each part in a file of its own, too, where the maker has them.")
@click.option("--midi", is_flag=True, help="The score, too, where the maker has one.")
@click.option("--force", "--yes", "-y", is_flag=True, help="Write over files that are there.")
@json_option
def save(
    *,
    file: str,
    format_: str | None,
    previous: bool,
    last: str | None,
    passes: int | None,
    minutes: float | None,
    fade: bool,
    fade_in: float | None,
    fade_out: float | None,
    conform: bool,
    stems: bool,
    midi: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Save the loop that plays to FILE.

    It is exactly one pass, and its first sample is a downbeat. FILE may be a folder: the loop gets a name in it that
    says what it is, such as "Amber Street_92bpm_Am_8bars.wav".
    """
    wish = Wish(
        file=file,
        format=format_ or "",
        passes=passes or 1,
        minutes=minutes,
        fade_in_s=fade_in if fade_in is not None else FADE_S * fade,
        fade_out_s=fade_out if fade_out is not None else FADE_S * fade,
        conform=conform,
        stems=stems,
        midi=midi,
        force=force,
    )
    if passes is not None and minutes is not None:
        raise UsageError("Give either --passes or --minutes, not both.")
    if minutes is not None and (conform or stems or midi):
        raise UsageError("--conform, --stems and --midi go with one loop or --passes: leave --minutes out.")
    if last is not None:
        if previous or passes or minutes or conform or stems or midi:
            raise UsageError("--last takes what was heard as it was: it goes with --format, fades and --force alone.")
        _save_heard(wish, last, as_json=as_json)
    else:
        _save_loop(wish, previous=previous, as_json=as_json)


def _save_loop(wish: Wish, *, previous: bool, as_json: bool) -> None:
    import msgspec

    from services.controller.naming import name_of
    from services.controller.saving import MP3_WARNING, file_name, find_target, read_loop, section_of
    from services.controller.saving.music import one_pass
    from shared.music import Loop

    told = ask_station("sounding", previous=previous).data
    loop = msgspec.convert(told["loop"], Loop)
    section = section_of(loop, told["section"])
    bars = section.bars if section is not None else loop.bars
    target = find_target(
        wish.file, here(), wish.format, lambda form: file_name(at_tempo(loop, wish, section), form, bars)
    )
    check_places(wish, [target.path])
    if wish.minutes is not None:
        frames = write_song(wish, target, loop, float(told["loudness"]))
        what = f"{_length(frames / loop.sample_rate)} of its song"
        files: dict[str, Any] = {}
    else:
        samples, rate = read_loop(loop, float(told["loudness"]))
        work = Work(loop, one_pass(samples, loop, section), rate, loop.bpm)
        del samples
        add_parts(wish, target, work, section)
        frames = write_loop(wish, target, work)
        what = f"{'one loop' if wish.passes == 1 else f'{wish.passes} passes'} of {frames / rate:.2f} s"
        what += f" at {work.bpm:g} bpm" if wish.conform else ""
        files = {
            "bpm": work.bpm,
            "stems": [str(path) for path in work.stems],
            "midi": str(work.midi[0]) if work.midi is not None else None,
        }
        what += beside(work)
    warning = MP3_WARNING if target.form == "mp3" and wish.minutes is None else ""
    say(
        f"Saved {name_of(loop)} to {target.path}: {what}. {warning}".strip(),
        as_json=as_json,
        **{
            "path": str(target.path),
            "frames": frames,
            "sample_rate": loop.sample_rate,
            "loop_id": loop.loop_id,
            "title": loop.title,
            "section": section.label if section is not None else "",
            "bars": bars,
            "bpm": loop.bpm,
            "key": loop.key,
            "passes": wish.passes if wish.minutes is None else None,
            "warning": warning,
            **files,
        },
    )


def _length(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} minutes" if seconds >= 60 else f"{seconds:.0f} s"


def _save_heard(wish: Wish, last: str, *, as_json: bool) -> None:
    """Needs no station: what was heard is still there when it has ended."""
    import time

    from services.controller.cli.heard import last_heard, parse_length
    from services.controller.saving import find_target, write_file
    from shared.paths import Paths

    moment, asked = time.time(), parse_length(last)
    heard = last_heard(Paths.from_environment().heard, asked, moment)
    target = find_target(wish.file, here(), wish.format, lambda form: f"{heard.title}.{form}")
    check_places(wish, [target.path])
    fades = fades_of(wish, STATION_RATE)
    write_file(
        target.path,
        target.form,
        heard.tags(),
        with_fades(heard.blocks(), heard.frames, fades),
        frames=heard.frames,
        force=wish.force,
    )
    warning = (
        "" if heard.seconds >= asked - 0.001 else f"No more than this is kept of what was heard; {last} was asked."
    )
    say(
        f"Saved what was heard to {target.path}: {_length(heard.seconds)}. {warning}".strip(),
        as_json=as_json,
        path=str(target.path),
        frames=heard.frames,
        sample_rate=STATION_RATE,
        seconds=round(heard.seconds, 3),
        asked_s=asked,
        songs=[{"loop_id": song.loop_id, "title": song.title, "artist": song.artist} for song in heard.songs],
        warning=warning,
    )
