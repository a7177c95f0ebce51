"""Composing: from a plan and a style to a score.

A piece has one set of materials (two progressions, two themes, the band's figures), thrown once. Its sections are made
of them: A states, A' is A with some of its bars imagined anew, B answers with the other progression and a theme grown
out of the first. Every section is a turn of chords that leads back, so they follow one another in any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, assert_never

import msgspec

from services.generator.backends.composer import accompaniment, bass, drumming, melody, meters
from services.generator.backends.composer.dice import Dice
from services.generator.backends.composer.ensemble import Ensemble, Player, assemble
from services.generator.backends.composer.passage import Passage, changes_of
from services.generator.backends.composer.performance import perform
from services.generator.backends.composer.plan import Plan
from services.generator.backends.composer.relation import relation
from services.generator.backends.composer.score import ChordAt, Note, Part, Score, SectionScore, Space
from services.generator.backends.composer.style import Layer, Style
from shared.units import Bpm

KINSHIP: Final = (0.58, 0.84)
"""How much of A (of all notes that either has) A' keeps; aimed at inside 0.5–0.9."""

_SILENT: Final[dict[str, tuple[str, ...]]] = {"break": ("bass",), "fill": ("melody", "line")}
"""Roles that lay out: a break floats without its bass, a fill clears the way for what comes."""

_Voices = dict[tuple[str, int | None], list[Note]]
"""Part, and drum where the part is the kit, to its notes."""

_ENERGY: Final = {"A": -0.1, "A'": 0.04, "B": 0.14, "C": 0.1, "break": -0.25, "fill": 0.1}


@dataclass(frozen=True)
class _Figures:
    """What one player has chosen for a piece: the lines of the statement and those of the answer."""

    statement: tuple[str, ...]
    answer: tuple[str, ...]


@dataclass(frozen=True)
class _Material:
    progressions: dict[str, str]
    themes: dict[str, melody.Theme]
    figures: dict[str, _Figures]
    grooves: dict[str, drumming.Groove]


@dataclass(frozen=True)
class _Piece:
    """What all sections share."""

    plan: Plan
    style: Style
    ensemble: Ensemble
    material: _Material
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
    piece = _Piece(plan, style, ensemble, _material(plan, style, ensemble, dice), dice)
    drafts: dict[str, _Draft] = {}
    sections = []
    for label, bars in plan.form:
        draft = _draft(_passage(label, bars, piece), piece)
        if label.endswith("'") and (origin := drafts.get(label.rstrip("'"))):
            draft = _varied(origin, draft)
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


# -- materials --------------------------------------------------------------------------------------------------------


def _material(plan: Plan, style: Style, ensemble: Ensemble, dice: Dice) -> _Material:
    grown = f"development {plan.development}" if plan.development else ""
    rng = dice.fork("harmony").throw()
    first = rng.choice(style.progressions(plan.mode))
    answers = style.progressions(plan.mode, bridge=True)
    later = dice.fork("bridge" + grown).throw()
    second = later.choice([text for text in answers if text != first] or list(answers))
    third = later.choice([text for text in answers if text not in {first, second}] or [first])
    themes: dict[str, melody.Theme] = {}
    figures: dict[str, _Figures] = {}
    for player in ensemble.players:
        layer = player.layer
        lines = layer.lines if layer.role == "arp" else meters.lines_in(layer.lines, style.native, plan.meter)
        own = dice.fork(f"figures {layer.name}")
        if layer.role == "melody" and lines:
            themes[layer.name] = melody.invent(lines, plan.meter, own)
            # A development answers the theme in ever new ways, and keeps the theme.
            for turn in ("answer", "third"):
                themes[f"{layer.name} {turn}"] = melody.invent(
                    lines, plan.meter, own.fork(turn + grown), themes[layer.name]
                )
        elif lines:
            figures[layer.name] = _Figures(lines, lines) if layer.freely else _figures(lines, own)
    grooves: dict[str, drumming.Groove] = {}
    if ensemble.drums is not None:
        own = dice.fork("groove")
        grooves["statement"] = drumming.choose(ensemble.drums, style.native, plan.meter, own)
        for turn in ("answer", "third"):
            grooves[turn] = drumming.choose(
                ensemble.drums, style.native, plan.meter, own.fork(turn + grown), grooves["statement"]
            )
    return _Material({"statement": first, "answer": second, "third": third}, themes, figures, grooves)


def _figures(lines: Sequence[str], dice: Dice) -> _Figures:
    rng = dice.throw()
    order = list(lines)
    rng.shuffle(order)
    keep = 1 if len(order) < 3 or rng.random() < 0.4 else 2
    rest = order[keep:] or order
    return _Figures(tuple(order[:keep]), tuple(rest[: 1 if rng.random() < 0.4 else 2]))


def _turn(label: str) -> str:
    """Which of the piece's materials a section is made of."""
    return {"B": "answer", "C": "third"}.get(label[0], "statement")


def _passage(label: str, bars: int, piece: _Piece) -> Passage:
    plan = piece.plan
    progression = piece.material.progressions[_turn(label)]
    if label == "fill":
        progression = "|".join(progression.split("|")[-bars:])
    single = len(plan.form) == 1
    # Music for sleep and concentration has no more and less.
    change = 0.0 if piece.style.data.steady else 0.1 if single else _ENERGY.get(label, 0.0)
    energy = plan.energy + change
    return Passage(
        label=label,
        bars=bars,
        meter=plan.meter,
        tonic=plan.tonic,
        mode=plan.mode,
        energy=max(0.0, min(1.0, energy)),
        changes=changes_of(
            progression, bars, piece.style.data.pace, meter=plan.meter, tonic=plan.tonic, mode=plan.mode
        ),
    )


# -- sections ---------------------------------------------------------------------------------------------------------


def _draft(passage: Passage, piece: _Piece) -> _Draft:
    style, ensemble = piece.style, piece.ensemble
    own = piece.dice.fork(f"section {passage.label} {piece.plan.development}")
    notes: dict[str, list[Note]] = {}
    if ensemble.drums is not None:
        groove = piece.material.grooves[_turn(passage.label)]
        notes["drums"] = drumming.play(
            ensemble.drums,
            groove,
            passage,
            own.fork("drums"),
            fills=not style.data.steady,
            light=passage.label == "break",
        )
    for player in ensemble.players:
        layer = player.layer
        sung = passage.label == "break" and (layer.manner == "hold" or layer.role == "melody")
        energy = max(passage.energy, piece.plan.energy + 0.1) if sung else passage.energy
        if not layer.from_energy <= energy <= layer.until_energy:
            continue
        if layer.role in _SILENT.get(passage.label, ()):
            continue
        written = _written(layer, passage, piece, own.fork(layer.name))
        if not style.data.steady and _enters_late(layer.from_energy, passage):
            half = passage.bars // 2 * passage.bar
            written = [note for note in written if note.start >= half - 0.3]
        notes[layer.name] = written
    return _Draft(passage, notes)


def _enters_late(from_energy: float, passage: Passage) -> bool:
    """A layer that a section can only just bear waits for its second half: the section builds."""
    return passage.bars >= 8 and 0 < from_energy <= passage.energy < from_energy + 0.1


def _written(layer: Layer, passage: Passage, piece: _Piece, dice: Dice) -> list[Note]:
    rng = dice.throw()
    turn = _turn(passage.label)
    varied = passage.label.endswith("'")
    chosen = piece.material.figures.get(layer.name)
    lines = (chosen.statement if turn == "statement" and not varied else chosen.answer) if chosen else ()
    if layer.freely and chosen:
        lines = tuple(rng.choices(sorted({*chosen.statement, *chosen.answer}), k=passage.bars))
    notes: list[Note]
    match layer.role:
        case "bass":
            notes = bass.play(layer, lines, passage, rng)
        case "chords":
            # A and A' begin on the same inversion, so that bars can pass from one to the other; held chords, which
            # have nothing else to vary, may move to another.
            moved = " moved" if varied and layer.manner == "hold" else ""
            place = piece.dice.fork(f"voicing {layer.name} {turn}{moved}").throw().random()
            notes = accompaniment.chords(layer, lines, passage, bpm=piece.plan.bpm, place=place, rng=rng)
        case "arp":
            notes = accompaniment.arpeggio(layer, lines, passage, rng)
        case "melody":
            theme = piece.material.themes[layer.name if turn == "statement" else f"{layer.name} answer"]
            notes = melody.play(layer, theme, passage, rng, ornament=0.8 if varied else 0.0)
        case "line":
            notes = accompaniment.line(layer, lines, passage, rng)
        case "drone":
            notes = accompaniment.drone(layer, passage, rng)
        case "texture":
            notes = accompaniment.texture(layer, passage)
        case _:
            assert_never(layer.role)
    return notes


def _varied(origin: _Draft, fresh: _Draft) -> _Draft:
    """A': what is new joins for the second half, then bars of A are imagined anew, the last of each phrase first.

    It goes on until A' is as near to A as ``KINSHIP`` says, and never further.
    """
    passage = fresh.passage
    old, new = _voices(origin.notes), _voices(fresh.notes)
    voices = dict(old)
    low, high = KINSHIP
    for key in [key for key in new if not old.get(key)]:
        half = passage.bars // 2 * passage.bar if passage.bars >= 4 else 0.0
        attempt = {**voices, key: [note for note in new[key] if note.start >= half - 0.3]}
        if relation(_parts(old), _parts(attempt)) >= (low + high) / 2:
            voices = attempt
    for bar in sorted(range(passage.bars), key=lambda bar: (bar % 4 != 3, bar % 4 != 1, -bar)):
        for key in old:
            # Drums change where phrases end; a time-keeper that changed in mid-phrase would be a mistake.
            if key[1] is not None and bar % 4 != 3:
                continue
            attempt = {**voices, key: _with_bar(voices[key], new.get(key, []), bar, passage.bar)}
            near = relation(_parts(old), _parts(attempt))
            if near >= low:
                voices = attempt
            if low <= near <= (low + high) / 2:
                return replace(fresh, notes=_parts(voices))
    if relation(_parts(old), _parts(voices)) > high:
        voices = _nearest(old, voices, new, passage)
    return replace(fresh, notes=_parts(voices))


def _nearest(old: _Voices, voices: _Voices, new: _Voices, passage: Passage) -> _Voices:
    """For a section of so few notes that a bar is too much: one voice's second half imagined anew, or left out."""
    half = passage.length / 2 - 1e-6
    aim = sum(KINSHIP) / 2
    attempts = [voices]
    for key, notes in old.items():
        first = [note for note in notes if note.start < half]
        attempts.append({**voices, key: first + [note for note in new.get(key, []) if note.start >= half]})
        attempts.append({**voices, key: first})
    return min(attempts, key=lambda attempt: abs(relation(_parts(old), _parts(attempt)) - aim))


def _voices(parts: Mapping[str, list[Note]]) -> _Voices:
    """Parts as they can be varied: each drum of the kit by itself."""
    found: _Voices = {}
    for name, notes in parts.items():
        for note in notes:
            found.setdefault((name, note.pitch if name == "drums" else None), []).append(note)
    return found


def _parts(voices: _Voices) -> dict[str, list[Note]]:
    found: dict[str, list[Note]] = {}
    for (name, _), notes in voices.items():
        found.setdefault(name, []).extend(notes)
    return found


def _with_bar(notes: list[Note], fresh: list[Note], bar: int, quarters: float) -> list[Note]:
    start, end = bar * quarters - 1e-6, (bar + 1) * quarters - 1e-6
    kept = [note for note in notes if not start <= note.start < end]
    return kept + [note for note in fresh if start <= note.start < end]


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
        parts.append(_part(name, player, ensemble, tuple(sorted(played, key=lambda note: (note.start, note.pitch)))))
    chords = tuple(ChordAt(change.start, change.chord.symbol, change.chord.pitches) for change in passage.changes)
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
    data = msgspec.structs.asdict(style.data.space)
    data["brightness_db"] += 2.5 * plan.brightness
    data["lofi"] = max(0.0, min(1.0, data["lofi"] + plan.lofi))
    return Space(**data)
