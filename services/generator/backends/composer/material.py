"""The materials of a piece, thrown once: two progressions and a third, the themes, the band's figures, its grooves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.generator.backends.composer import drumming, melody, meters, shape
from services.generator.backends.composer.dice import Dice
from services.generator.backends.composer.ensemble import Ensemble
from services.generator.backends.composer.plan import Plan
from services.generator.backends.composer.style import Style


@dataclass(frozen=True)
class Figures:
    """What one player has chosen for a piece: the lines of the statement and those of the answer."""

    statement: tuple[str, ...]
    answer: tuple[str, ...]


@dataclass(frozen=True)
class Material:
    """What all sections of a piece are made of, by turn: statement, answer and third."""

    progressions: dict[str, str]
    themes: dict[str, melody.Theme]
    figures: dict[str, Figures]
    grooves: dict[str, drumming.Groove]
    stop: float
    """Quarter notes at a section's end in which the band leaves the fill alone."""


def gather(plan: Plan, style: Style, ensemble: Ensemble, dice: Dice) -> Material:
    """Throw the dice for a piece. A development of it keeps the statement and answers it anew."""
    grown = f"development {plan.development}" if plan.development else ""
    rng = dice.fork("harmony").throw()
    first = rng.choice(style.progressions(plan.mode))
    answers = style.progressions(plan.mode, bridge=True)
    later = dice.fork("bridge" + grown).throw()
    second = later.choice([text for text in answers if text != first] or list(answers))
    third = later.choice([text for text in answers if text not in {first, second}] or [first])
    themes: dict[str, melody.Theme] = {}
    figures: dict[str, Figures] = {}
    written = {layer.name for layer in style.data.layers}
    for player in ensemble.players:
        layer = player.layer
        native = style.native if layer.name in written else meters.COMMON
        lines = layer.lines if layer.role == "arp" else meters.lines_in(layer.lines, native, plan.meter)
        if halved(plan, style):
            lines = tuple(meters.doubled(line) for line in lines)
        own = dice.fork(f"figures {layer.name}")
        if layer.role == "melody" and lines:
            themes[layer.name] = melody.invent(lines, plan.meter, own)
            # A development answers the theme in ever new ways, and keeps the theme.
            for turn in ("answer", "third"):
                themes[f"{layer.name} {turn}"] = melody.invent(
                    lines, plan.meter, own.fork(turn + grown), themes[layer.name]
                )
        elif lines:
            figures[layer.name] = Figures(lines, lines) if layer.freely else _figures(lines, own, grown)
    grooves: dict[str, drumming.Groove] = {}
    if ensemble.drums is not None:
        own = dice.fork("groove")
        slow = halved(plan, style)
        native = style.native if style.data.drums is not None else meters.COMMON
        grooves["statement"] = drumming.choose(ensemble.drums, native, plan.meter, own, halved=slow)
        for turn in ("answer", "third"):
            grooves[turn] = drumming.choose(
                ensemble.drums, native, plan.meter, own.fork(turn + grown), grooves["statement"], halved=slow
            )
    stop = shape.choose_stop(style, plan.meter, dice.fork("stop").throw()) if grooves else 0.0
    return Material({"statement": first, "answer": second, "third": third}, themes, figures, grooves, stop)


def halved(plan: Plan, style: Style) -> bool:
    """Far above its usual tempo a style is counted in halves: its lines take twice as many beats."""
    return plan.bpm > 1.45 * style.data.tempo[1]


def _figures(lines: Sequence[str], dice: Dice, grown: str) -> Figures:
    rng = dice.throw()
    order = list(lines)
    rng.shuffle(order)
    keep = 1 if len(order) < 3 or rng.random() < 0.4 else 2
    rest = order[keep:] or order
    some = 1 if rng.random() < 0.4 else 2
    if grown:
        dice.fork(grown).throw().shuffle(rest)
    return Figures(tuple(order[:keep]), tuple(rest[:some]))


def turn_of(label: str) -> str:
    """Which of the piece's materials a section is made of."""
    return {"B": "answer", "C": "third"}.get(label[0], "statement")
