"""The composer's pieces in figures, every style over ten seeds; then how they sound.

    python benchmarks/composer.py [--seeds 10] [--style lo-fi] [--sound]

One JSON object per style: what is read off the score. With ``--sound`` the measurements of rendered audio follow
(``benchmarks/composer_sound.py``).

``in_scale``         share of the notes that lie in the mode
``clash``            share of the melody's time a semitone beside a tone of the chord without being one
``clash_shifted``    the same of the same melody a semitone higher: what chance would give
``melody_overlap``   strokes that two seeds share, worst pair; ``…_one_key`` with all seeds in one key, tempo and metre
``all_overlap``      the same of all notes
``a_a2``, ``a_b``    how much the sections A and A', A and B share: least and most over the seeds
``meters``           whether 3/4, 5/4, 6/8 and 7/8 fill their bars
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import click

from benchmarks.composer_sound import at_hand
from services.generator.backends.composer import theory
from services.generator.backends.composer.compose import compose
from services.generator.backends.composer.plan import Asked, make_plan
from services.generator.backends.composer.relation import Events, events, overlap, piece_events
from services.generator.backends.composer.score import Note, Score, SectionScore
from services.generator.backends.composer.style import Style, builtin


def melodies(style: Style) -> frozenset[str]:
    return frozenset({layer.name for layer in style.data.layers if layer.role == "melody"} | {"guest melody"})


def pitched(score: Score) -> Iterable[tuple[SectionScore, str, Note]]:
    for section in score.sections:
        for part in section.parts:
            if not part.percussion and not part.instrument.startswith("noise-"):
                for note in part.notes:
                    yield section, part.name, note


def in_scale(score: Score) -> float:
    scale = theory.scale(score.tonic, score.mode)
    inside = [note.pitch % 12 in scale for _, _, note in pitched(score)]
    return sum(inside) / len(inside) if inside else 1.0


def clash(score: Score, names: frozenset[str], shift: int = 0) -> float:
    """Time of the melody beside a tone of the sounding chord, over all its time; long notes count chord by chord."""
    rubbing = total = 0.0
    for section, name, note in pitched(score):
        if name not in names:
            continue
        ends = [chord.start for chord in section.chords[1:]] + [section.bars * score.meter.quarters]
        for chord, end in zip(section.chords, ends, strict=True):
            time = min(end, note.start + note.length) - max(chord.start, note.start)
            if time <= 0:
                continue
            pitch = (note.pitch + shift) % 12
            beside = {(pitch + 1) % 12, (pitch - 1) % 12} & set(chord.pitches)
            total += time
            rubbing += time if beside and pitch not in chord.pitches else 0.0
    return rubbing / total if total else 0.0


def section_events(section: SectionScore) -> Events:
    return events({part.name: part.notes for part in section.parts})


def worst_pair(scores: list[Score], of: Callable[[Score], Events]) -> float:
    found = [overlap(first, second) for first, second in combinations([e for e in map(of, scores) if e], 2)]
    return max(found, default=0.0)


def row(key: str, styles: dict[str, Style], seeds: int) -> dict[str, object]:
    style = styles[key]

    def make(seed: int, **asked: object) -> Score:
        plan = make_plan(style.name, seed, styles, Asked(piece=True, **asked))  # type: ignore[arg-type]
        return compose(plan, style)

    names = melodies(style)
    scores = [make(seed) for seed in range(seeds)]
    mode = style.data.modes[0]
    tempo = round(sum(style.data.tempo) / 2)
    one_key = [make(seed, key=f"C {mode}", bpm=float(tempo), meter=str(style.native)) for seed in range(seeds)]
    related = [overlap(section_events(s.sections[0]), section_events(s.sections[1])) for s in scores]
    apart = [overlap(section_events(s.sections[0]), section_events(s.sections[2])) for s in scores]

    def tune(score: Score) -> Events:
        return piece_events(score, names)

    return {
        "style": key,
        "in_scale": round(sum(map(in_scale, scores)) / seeds, 3),
        "in_scale_least": round(min(map(in_scale, scores)), 3),
        "clash": round(sum(clash(score, names) for score in scores) / seeds, 3),
        "clash_most": round(max(clash(score, names) for score in scores), 3),
        "clash_shifted": round(sum(clash(score, names, 1) for score in scores) / seeds, 3),
        "melody_overlap": round(worst_pair(scores, tune), 2),
        "melody_overlap_one_key": round(worst_pair(one_key, tune), 2),
        "all_overlap": round(worst_pair(scores, piece_events), 2),
        "all_overlap_one_key": round(worst_pair(one_key, piece_events), 2),
        "a_a2": [round(min(related), 2), round(max(related), 2)],
        "a_b": [round(min(apart), 2), round(max(apart), 2)],
        "keys": len({(score.tonic, score.mode) for score in scores}),
        "bpm": [min(score.bpm for score in scores), max(score.bpm for score in scores)],
        "notes_per_bar": round(sum(_density(score) for score in scores) / seeds, 1),
        "meters": all(_fills(make(1, meter=meter)) for meter in ("3/4", "5/4", "6/8", "7/8")),
    }


def _density(score: Score) -> float:
    notes = sum(len(part.notes) for section in score.sections for part in section.parts)
    return notes / sum(section.bars for section in score.sections)


def _fills(score: Score) -> bool:
    """Whether something sounds in every bar of every section."""
    quarters = score.meter.quarters
    for section in score.sections:
        notes = [note for part in section.parts for note in part.notes]
        for bar in range(section.bars):
            start, end = bar * quarters, (bar + 1) * quarters
            if not any(note.start < end and note.start + note.length > start for note in notes):
                return False
    return True


@click.command()
@click.option("--seeds", default=10, show_default=True)
@click.option("--style", "chosen", multiple=True)
@click.option("--sound", is_flag=True, help="Measure rendered audio as well.")
def main(seeds: int, chosen: tuple[str, ...], sound: bool) -> None:
    """Measure what the composer writes."""
    for key in chosen or tuple(builtin()):
        print(json.dumps(row(key, at_hand(), seeds), ensure_ascii=False), flush=True)
    if sound:
        named = [flag for key in chosen for flag in ("--style", key)]
        script = str(Path(__file__).with_name("composer_sound.py"))
        subprocess.run([sys.executable, script, "--seeds", str(seeds), *named], check=True)


if __name__ == "__main__":
    main()
