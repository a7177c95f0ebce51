"""Composing: from a plan and a style to a score.

A piece has one set of materials (two progressions, two themes, the band's figures), thrown once. Its sections are made
of them: A states, A' is A with some of its bars imagined anew, B answers with the other progression and a theme grown
out of the first. Every section is a turn of chords that leads back, so they follow one another in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final, assert_never

import msgspec

from services.generator.backends.composer import accompaniment, bass, drumming, melody, shape
from services.generator.backends.composer.dice import Dice
from services.generator.backends.composer.ensemble import Ensemble, Player, assemble
from services.generator.backends.composer.material import Material, gather, halved, turn_of
from services.generator.backends.composer.passage import Passage, changes_of
from services.generator.backends.composer.performance import perform
from services.generator.backends.composer.plan import Plan
from services.generator.backends.composer.score import ChordAt, Note, Part, Score, SectionScore, Space
from services.generator.backends.composer.style import Layer, Style
from services.generator.backends.composer.variation import varied
from shared.units import Bpm

_ENERGY: Final = {"A": -0.1, "A'": 0.04, "B": 0.14, "C": 0.1, "break": -0.25, "fill": 0.1}

_HOME: Final = 24
"""Developments after which a theme comes back as it was first stated."""


@dataclass(frozen=True)
class _Piece:
    """What all sections share."""

    plan: Plan
    style: Style
    ensemble: Ensemble
    material: Material
    dice: Dice


@dataclass(frozen=True)
class _Draft:
    """A section before its performance: per part the written notes."""

    passage: Passage
    notes: dict[str, list[Note]]


def compose(plan: Plan, style: Style) -> Score:
    """Write the piece that the plan describes.

    Deterministic: the same plan and style give the same score on every machine.
    """
    dice = Dice(plan.seed_text)
    ensemble = assemble(style, plan, dice.fork("ensemble"))
    piece = _Piece(plan, style, ensemble, gather(plan, style, ensemble, dice), dice)
    drafts: dict[str, _Draft] = {}
    sections = []
    for label, bars in plan.form:
        draft = _draft(_passage(label, bars, piece), piece)
        if label.endswith("'"):
            origin = drafts.get(label.rstrip("'")) or _before(draft.passage, piece)
            draft = _variation(origin, draft)
        drafts[label] = draft
        sections.append(_played(draft, piece))
    return Score(
        bpm=Bpm(plan.bpm),
        meter=plan.meter,
        tonic=plan.tonic,
        mode=plan.mode,
        sections=tuple(_same_parts(sections)),
        space=_space(style, plan),
        tuning_seed=dice.fork("sound").number(),
    )


def _before(passage: Passage, piece: _Piece) -> _Draft:
    """What a continuation varies: the theme as the generation before left it, grown out of its first statement."""
    plan = piece.plan
    first = plan.development // _HOME * _HOME
    draft = _draft(_passage(passage.label.rstrip("'"), passage.bars, piece), _generation(piece, 0))
    for number in range(first + 1, plan.development):
        draft = _variation(draft, _draft(passage, _generation(piece, number)))
    return draft


def _generation(piece: _Piece, number: int) -> _Piece:
    """The piece as it was after so many developments."""
    plan = replace(piece.plan, development=number)
    return replace(piece, plan=plan, material=gather(plan, piece.style, piece.ensemble, piece.dice))


def _variation(origin: _Draft, fresh: _Draft) -> _Draft:
    return replace(fresh, notes=varied(origin.notes, fresh.notes, fresh.passage))


def _passage(label: str, bars: int, piece: _Piece) -> Passage:
    plan = piece.plan
    progression = piece.material.progressions[turn_of(label)]
    if label == "fill":
        progression = "|".join(progression.split("|")[-bars:])
    single = len(plan.form) == 1
    # Music for sleep and concentration has no more and less.
    change = 0.0 if piece.style.data.steady else 0.1 if single else _ENERGY.get(label, 0.0)
    energy = plan.energy + change
    pace = piece.style.data.pace * (2 if halved(plan, piece.style) else 1)
    return Passage(
        label=label,
        bars=bars,
        meter=plan.meter,
        tonic=plan.tonic,
        mode=plan.mode,
        energy=max(0.0, min(1.0, energy)),
        changes=changes_of(progression, bars, pace, meter=plan.meter, tonic=plan.tonic, mode=plan.mode),
    )


# -- sections ---------------------------------------------------------------------------------------------------------


def _draft(passage: Passage, piece: _Piece) -> _Draft:
    style, ensemble = piece.style, piece.ensemble
    own = piece.dice.fork(f"section {passage.label} {piece.plan.development}")
    notes: dict[str, list[Note]] = {}
    if ensemble.drums is not None:
        groove = piece.material.grooves[turn_of(passage.label)]
        strokes = drumming.play(
            ensemble.drums,
            groove,
            passage,
            own.fork("drums"),
            fills=not style.data.steady,
            light=passage.label == "break",
            stop=piece.material.stop,
        )
        notes["drums"] = [note for note in strokes if note.pitch not in ensemble.silent]
    for player in ensemble.players:
        layer = player.layer
        if shape.plays(layer, passage, piece.plan.energy):
            written = _written(layer, passage, piece, own.fork(layer.name))
            notes[layer.name] = written if style.data.steady else shape.entering(written, layer, passage)
    if not style.data.steady:
        tacet = {player.layer.name for player in ensemble.players if player.layer.role in shape.ACCOMPANY}
        notes = shape.stopped(notes, tacet, piece.material.stop, passage)
    return _Draft(passage, notes)


def _written(layer: Layer, passage: Passage, piece: _Piece, dice: Dice) -> list[Note]:
    rng = dice.throw()
    turn = turn_of(passage.label)
    again = passage.label.endswith("'")
    chosen = piece.material.figures.get(layer.name)
    lines = (chosen.statement if turn == "statement" and not again else chosen.answer) if chosen else ()
    if layer.freely and chosen:
        lines = tuple(rng.choices(sorted({*chosen.statement, *chosen.answer}), k=passage.bars))
    notes: list[Note]
    match layer.role:
        case "bass":
            notes = bass.play(layer, lines, passage, rng)
        case "chords":
            # A and A' begin on the same inversion, so that bars can pass from one to the other; held chords, which
            # have nothing else to vary, may move to another.
            moved = " moved" if again and layer.manner == "hold" else ""
            place = piece.dice.fork(f"voicing {layer.name} {turn}{moved}").throw().random()
            notes = accompaniment.chords(layer, lines, passage, bpm=piece.plan.bpm, place=place, rng=rng)
        case "arp":
            notes = accompaniment.arpeggio(layer, lines, passage, rng)
        case "melody":
            theme = piece.material.themes[layer.name if turn == "statement" else f"{layer.name} {turn}"]
            notes = melody.play(layer, theme, passage, rng, ornament=0.8 if again else 0.0)
        case "line":
            notes = accompaniment.line(layer, lines, passage, rng)
        case "drone":
            notes = accompaniment.drone(layer, passage, rng)
        case "texture":
            notes = accompaniment.texture(layer, passage)
        case _:
            assert_never(layer.role)
    return notes


# -- performance ------------------------------------------------------------------------------------------------------


def _played(draft: _Draft, piece: _Piece) -> SectionScore:
    passage = draft.passage
    ensemble = piece.ensemble
    own = piece.dice.fork(f"performance {passage.label} {piece.plan.development}")
    data = piece.style.data
    parts = []
    layers = {player.layer.name: player for player in ensemble.players}
    for name, notes in draft.notes.items():
        player = layers.get(name)
        drums = ensemble.drums
        late = player.layer.late_ms if player else drums.late_ms if drums else 0.0
        texture = player is not None and player.layer.role in {"texture", "drone"}
        played = (
            notes
            if texture
            else perform(
                notes,
                passage,
                piece.plan.bpm,
                own.fork(name).throw(),
                swing=data.swing,
                swing_on=data.swing_on,
                human_ms=data.human_ms,
                late_ms=late,
                dynamics=data.dynamics,
                percussion=player is None,
            )
        )
        parts.append(_part(name, player, ensemble, tuple(sorted(played, key=attrgetter("start", "pitch")))))
    # Drums alone have no chords, whatever the drummer thinks of: none are claimed.
    sounding = any(player.layer.role != "texture" for player in ensemble.players)
    changes = passage.changes if sounding else ()
    chords = tuple(ChordAt(change.start, change.chord.symbol, change.chord.pitches) for change in changes)
    return SectionScore(passage.label, passage.bars, passage.energy, tuple(parts), chords)


def _part(name: str, player: Player | None, ensemble: Ensemble, notes: tuple[Note, ...]) -> Part:
    if player is None:
        drums = ensemble.drums
        assert drums is not None
        return Part(name, ensemble.kit, notes, level_db=drums.level_db, reverb=drums.reverb, percussion=True)
    layer = player.layer
    return Part(
        name,
        player.instrument,
        notes,
        level_db=layer.level_db,
        pan=layer.pan,
        reverb=layer.reverb,
        delay=layer.delay,
        sidechain=layer.sidechain,
    )


def _same_parts(sections: list[SectionScore]) -> list[SectionScore]:
    """Every section names every part, so that stems line up; a part that is silent there has no notes."""
    known: dict[str, Part] = {}
    for section in sections:
        for part in section.parts:
            known.setdefault(part.name, part)
    whole = []
    for section in sections:
        own = {part.name: part for part in section.parts}
        whole.append(
            replace(section, parts=tuple(own.get(name, replace(part, notes=())) for name, part in known.items()))
        )
    return whole


def _space(style: Style, plan: Plan) -> Space:
    own = style.data.space
    return msgspec.structs.replace(
        own,
        brightness_db=own.brightness_db + 2.5 * plan.brightness,
        lofi=max(0.0, min(1.0, own.lofi + plan.lofi)),
    )
