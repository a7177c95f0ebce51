"""The ensemble: which of a style's layers play in this piece, on which instruments, after the listener's wishes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from services.generator.backends.composer.dice import Dice
from services.generator.backends.composer.percussion import DRUMS
from services.generator.backends.composer.plan import Plan
from services.generator.backends.composer.prompt.lexicon import Instrument, lexicon
from services.generator.backends.composer.style import Drums, Layer, Role, Style

_HIGH: Final = frozenset(
    {"music-box", "celesta", "kalimba", "vibraphone", "marimba", "bell", "violin", "flute", "koto"}
)
"""Instruments that have no low notes to play a bass on."""
_SUBSTITUTES: Final = ("epiano", "guitar-nylon", "vibraphone", "harp", "pad-warm", "piano", "organ")
_DEFAULT_KIT: Final = "kit-acoustic"

_ADDED: Final[dict[str, Layer]] = {
    # Written in 4/4, whatever the style is written in.
    "melody": Layer(
        "guest melody",
        "melody",
        ("flute",),
        lines=("8---6-8-----....", "..8-6-8---6-----", "8-----6-8-------", "....8-6-8---6---"),
        range=(60, 81),
        notes="pentatonic",
        reverb=0.3,
        delay=0.12,
        pan=0.12,
        level_db=-1.0,
    ),
    "chords": Layer(
        "guest chords", "chords", ("epiano",), manner="hold", range=(50, 72), voicing="rootless", level_db=-3.0
    ),
    "line": Layer(
        "guest line", "chords", ("strings",), manner="hold", range=(52, 76), voicing="open", level_db=-5.0, reverb=0.4
    ),
    "arp": Layer(
        "guest arp",
        "arp",
        ("harp",),
        lines=("02132413", "01232123"),
        step=8,
        range=(52, 79),
        level_db=-4.0,
        pan=-0.25,
        reverb=0.35,
    ),
    "bass": Layer("guest bass", "bass", ("bass-synth",), lines=("1-----1---5---1-",), range=(31, 50)),
    "texture": Layer("guest texture", "texture", ("noise-rain",), level_db=-4.0, velocity=0.5),
}

GUEST_DRUMS: Final = Drums(
    ("kit-lofi",),
    {
        "kick": ("8.........6.....", "8.....4.7.......", "8.......7.....?."),
        "rim": ("....6.......6...", "....6.......6..?"),
        "hat": ("4.3.4.3.4.3.4.3.", "..4...4...4...4.", "3.433.4.3.433.4."),
        "shaker": ("................", "2.3.2.3.2.3.2.3."),
    },
    fill="brush",
    level_db=-3.0,
    reverb=0.2,
)
"""A soft beat in 4/4 for a style that has none of its own."""


@dataclass(frozen=True)
class Player:
    """A layer of the style with the instrument it is played on."""

    layer: Layer
    instrument: str


@dataclass(frozen=True)
class Ensemble:
    players: tuple[Player, ...]
    drums: Drums | None
    kit: str
    silent: frozenset[int] = frozenset()
    """Pieces of the kit that the listener refused, as percussion numbers."""


def assemble(style: Style, plan: Plan, dice: Dice) -> Ensemble:
    """Cast a piece: the seed chooses among a layer's instruments, and the listener's wishes come before that."""
    words = lexicon().instruments
    wanted = [words[name] for name in plan.wanted if name in words]
    rng = dice.throw()
    layers = [layer for layer in style.data.layers if rng.random() < layer.chance]
    players = _cast(layers, wanted, plan, dice)
    kits = [name for kind in wanted if kind.place == "drums" for name in kind.names]
    drums = style.data.drums or (GUEST_DRUMS if kits or "role:drums" in plan.wanted else None)
    if "role:drums" in plan.unwanted:
        drums = None
    own = [kit for kit in (drums.kits if drums else ()) if kit not in plan.unwanted]
    kit = kits[0] if kits else own[int(dice.fork("kit").throw().random() * len(own))] if own else _DEFAULT_KIT
    cast = _alone(players, drums, kit, plan) if plan.only else Ensemble(tuple(players), drums, kit)
    heard = [player for player in cast.players if player.layer.role != "texture"]
    if not heard and cast.drums is None:
        cast = replace(cast, players=(*cast.players, _substitute(style, plan)))
    return replace(cast, silent=_silent(plan))


def _silent(plan: Plan) -> frozenset[int]:
    refused = [piece for name, piece in lexicon().kit.items() if f"kit:{name}" in plan.unwanted]
    return frozenset(DRUMS[drum] for piece in refused for drum in piece.drums)


def _cast(layers: Iterable[Layer], wanted: list[Instrument], plan: Plan, dice: Dice) -> list[Player]:
    players: list[Player] = []
    waiting = list(wanted)
    given: dict[tuple[str, ...], Instrument] = {}
    for layer in layers:
        if f"role:{_role(layer)}" in plan.unwanted:
            continue
        low = "role:bass" in plan.unwanted
        allowed = [name for name in layer.instruments if name not in plan.unwanted and not (low and "bass-" in name)]
        asked = _asked(layer, allowed, waiting) or given.get(layer.instruments)
        if asked is not None:
            if asked in waiting:
                waiting.remove(asked)
            given[layer.instruments] = asked
            own = [name for name in allowed if name in asked.names]
            name = (
                _drawn(own, dice) if own else next((n for n in asked.names if n not in plan.unwanted), asked.names[0])
            )
            layer = msgspec.structs.replace(layer, from_energy=0.0, until_energy=1.0)  # noqa: PLW2901
        elif allowed:
            name = _drawn(allowed, dice)
        else:
            continue
        players.append(Player(layer, name))
    names = {player.layer.name for player in players}
    for kind in waiting:
        template = _ADDED.get(kind.place)
        if template is None or f"role:{kind.place}" in plan.unwanted or kind.names[0] in plan.unwanted:
            continue
        name = template.name if template.name not in names else f"{template.name} 2"
        names.add(name)
        players.append(Player(msgspec.structs.replace(template, name=name), kind.names[0]))
    return players


def _drawn(names: list[str], dice: Dice) -> str:
    """One of the instruments; layers that may choose among the same ones choose the same: two hands, one piano."""
    return names[int(dice.fork("/".join(names)).throw().random() * len(names))]


def _asked(layer: Layer, allowed: list[str], waiting: list[Instrument]) -> Instrument | None:
    """The wish that this layer fulfils: an instrument it knows, best in its own role, or one that takes its place."""
    known = [kind for kind in waiting if set(kind.names) & set(allowed)]
    same_role = [kind for kind in waiting if kind.place == layer.role != "texture"]
    own = [kind for kind in known if kind.place == layer.role]
    return next(iter(own or known or same_role), None)


def _role(layer: Layer) -> Role:
    """A layer's role as a listener would name it: an inner line is part of the harmony."""
    return "chords" if layer.role == "line" else layer.role


def _alone(players: list[Player], drums: Drums | None, kit: str, plan: Plan) -> Ensemble:
    """Only what was asked for: roles as they are, and instruments that take over the music."""
    roles = {name.removeprefix("role:") for name in plan.only if name.startswith("role:")}
    kinds = _kinds({name for name in plan.only if not name.startswith("role:")})
    kits = [name for kind in kinds if kind.place == "drums" for name in kind.names]
    carriers = [kind for kind in kinds if kind.alone]
    soloists = [kind for kind in kinds if not kind.alone and kind.place != "drums"]
    kept: list[Player] = []
    taken: set[str] = set()
    for player in players:
        layer = player.layer
        place = "harmony" if layer.role in {"chords", "arp"} else layer.role
        if _role(layer) in roles:
            kept.append(Player(msgspec.structs.replace(layer, from_energy=0.0, until_energy=1.0), player.instrument))
            continue
        kind = _carrier(place, carriers, soloists)
        if kind is None or place in taken or (place == "bass" and kind.names[0] in _HIGH):
            continue
        taken.add(place)
        own = player.instrument if player.instrument in kind.names else kind.names[0]
        free = msgspec.structs.replace(layer, from_energy=0.0, until_energy=1.0, sidechain=0.0)
        kept.append(Player(free, own))
    missing = roles - {_role(player.layer) for player in kept} - {"drums"}
    kept += [Player(_ADDED[role], _ADDED[role].instruments[0]) for role in sorted(missing) if role in _ADDED]
    if carriers and "harmony" not in taken and "chords" not in roles:
        kept.append(Player(_ADDED["arp"], carriers[0].names[0]))
    for number, kind in enumerate(soloists):
        if not any(player.instrument in kind.names for player in kept):
            template = _ADDED["bass" if kind.place == "bass" else "melody"]
            name = f"{template.name} {number + 1}"
            kept.append(Player(msgspec.structs.replace(template, name=name, from_energy=0.0), kind.names[0]))
    alone = drums
    if drums is not None and not any(drums.from_energy.get(drum, 0.0) < plan.energy - 0.1 for drum in drums.lines):
        # A drummer alone plays, however calm the style.
        alone = msgspec.structs.replace(drums, from_energy={})
    return Ensemble(tuple(kept), alone if "drums" in roles or kits else None, kits[0] if kits else kit)


def _kinds(names: set[str]) -> list[Instrument]:
    """The instruments that were named, without those that another one includes."""
    found = [kind for kind in lexicon().instruments.values() if set(kind.names) <= names]
    return [kind for kind in found if not any(set(kind.names) < set(other.names) for other in found)]


def _carrier(place: str, carriers: list[Instrument], soloists: list[Instrument]) -> Instrument | None:
    """Who plays a place of the music when only these are there."""
    if place in {"texture", "drone", "line"}:
        return None
    if place == "melody" and soloists:
        return next((kind for kind in soloists if kind.place != "bass"), None)
    if place == "bass" and (basses := [kind for kind in soloists if kind.place == "bass"]):
        return basses[0]
    return carriers[0] if carriers else None


def _substitute(style: Style, plan: Plan) -> Player:
    """Everything the style has was refused: its first layer is played on something else."""
    free = [name for name in _SUBSTITUTES if name not in plan.unwanted]
    layers = [layer for layer in style.data.layers if f"role:{_role(layer)}" not in plan.unwanted]
    layer = msgspec.structs.replace(layers[0] if layers else _ADDED["chords"], from_energy=0.0, until_energy=1.0)
    return Player(layer, free[0] if free else "bell")
