"""The plan of a piece: what will be composed, decided before the first note and shown to the listener.

lo-fi · 78 bpm · D minor · 4/4 · 8 bars
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from services.generator.backends.composer import meters, theory
from services.generator.backends.composer.dice import Dice, seed_text
from services.generator.backends.composer.prompt.figures import TEMPO_RANGE
from services.generator.backends.composer.prompt.lexicon import lexicon, spoken
from services.generator.backends.composer.prompt.understand import Wishes, understand
from services.generator.backends.composer.score import Meter
from services.generator.backends.composer.style import Style
from shared.errors import UsageError

PIECE_SECONDS: Final = 72.0
"""A piece is at most this long where its length is its own to choose: two of them lie in the player's memory."""
MAX_SECONDS: Final = 600.0
MIN_SECONDS: Final = 1.0
UNKNOWN_STYLES: Final = ("lo-fi", "chill-out", "ambient", "calm-piano")
"""What words without any style become, when they are calm or say nothing."""
LIVELY_STYLES: Final = ("house", "synthwave", "funk", "electro")


@dataclass(frozen=True)
class Asked:
    """What a job fixes in figures, over anything that its words say."""

    bpm: float | None = None
    key: str | None = None
    meter: str | None = None
    bars: int | None = None
    seconds: float | None = None
    piece: bool = False


@dataclass(frozen=True)
class Plan:
    style: str
    style_name: str
    bpm: float
    tonic: int
    mode: str
    meter: Meter
    form: tuple[tuple[str, int], ...]
    """Sections in order: label and bars."""
    energy: float
    brightness: float
    lofi: float
    wanted: tuple[str, ...]
    unwanted: frozenset[str]
    only: tuple[str, ...]
    seed_text: str
    development: int = 0
    """How often the theme has been developed before: 0 states it."""

    @property
    def bars(self) -> int:
        return sum(bars for _, bars in self.form)

    @property
    def key(self) -> str:
        return theory.key_name(self.tonic, self.mode)

    @property
    def seconds(self) -> float:
        return self.bars * self.meter.quarters * 60 / self.bpm

    @property
    def line(self) -> str:
        """The plan as the listener reads it."""
        bars = self.form[0][1]
        length = f"{bars} bars" if bars != 1 else "1 bar"
        parts = [self.style_name, f"{self.bpm:g} bpm", self.shown_key, str(self.meter), length]
        if len(self.form) > 1:
            parts.append(" ".join(label for label, _ in self.form))
        if self.only:
            parts.append("only " + " and ".join(spoken(self.only)))
        elif self.wanted:
            called = (entry.removeprefix("kit-").removeprefix("role:").replace("-", " ") for entry in self.wanted)
            parts.append("with " + " and ".join(called))
        parts += ["no " + name for name in spoken(self.unwanted)]
        if self.development:
            parts.append("continued")
        return " · ".join(parts)

    @property
    def shown_key(self) -> str:
        """The key with its mode, as it can be asked for again."""
        plain = self.mode in {"major", "minor"}
        return self.key if plain else theory.mode_name(self.tonic, self.mode)


def make_plan(prompt: str, seed: int, styles: Mapping[str, Style], asked: Asked | None = None) -> Plan:
    """Decide what a prompt and a seed become; figures that are asked for are met exactly.

    Raises
    ------
    UsageError
        A figure that was asked for is out of range.
    """
    asked = asked or Asked()
    _check(asked)
    wishes = understand(prompt, styles)
    dice = Dice(seed_text(prompt, seed))
    style = styles[_style_key(wishes, styles, dice)]
    meter = (meters.parse_meter(asked.meter) if asked.meter else None) or wishes.meter or style.native
    tonic, mode = _key(wishes, style, asked, dice.fork("key").throw())
    drummed = style.data.drums is not None and not style.data.steady and _has_drums(wishes)
    bpm, form = _time(wishes, style, asked, meter, drummed=drummed, rng=dice.fork("tempo").throw())
    energy = max(0.05, min(1.0, style.data.energy + wishes.energy))
    return Plan(
        style=style.key,
        style_name=style.name,
        bpm=bpm,
        tonic=tonic,
        mode=mode,
        meter=meter,
        form=form,
        energy=energy,
        brightness=wishes.brightness,
        lofi=wishes.lofi,
        wanted=wishes.wanted,
        unwanted=wishes.unwanted - wishes.only,
        only=tuple(sorted(wishes.only)),
        seed_text=seed_text(prompt, seed),
    )


def _check(asked: Asked) -> None:
    low, high = TEMPO_RANGE
    if asked.bpm is not None and not low <= asked.bpm <= high:
        raise UsageError(f"{asked.bpm:g} bpm cannot be composed; ask for a tempo from {low:g} to {high:g} bpm.")
    if asked.key is not None and theory.parse_key(asked.key) is None:
        raise UsageError(f"“{asked.key}” is no key; write it like Am, F# minor, Bb or D dorian.")
    if asked.meter is not None and meters.parse_meter(asked.meter) is None:
        raise UsageError(f"The metre {asked.meter} cannot be composed; choose one of {', '.join(meters.METERS)}.")
    if asked.seconds is not None and not MIN_SECONDS <= asked.seconds <= MAX_SECONDS:
        raise UsageError(
            f"{asked.seconds:g} seconds cannot be composed; ask for {MIN_SECONDS:g} to {MAX_SECONDS:g} seconds."
        )
    if asked.bars is not None and not 1 <= asked.bars <= 256:
        raise UsageError(f"{asked.bars} bars cannot be composed; ask for 1 to 256 bars.")


def _style_key(wishes: Wishes, styles: Mapping[str, Style], dice: Dice) -> str:
    if wishes.style is not None:
        key = wishes.style
    elif wishes.only == {"role:drums"}:
        key = "drums-only"
    elif suggested := _suggested(wishes):
        key = suggested
    elif "kit-808" in wishes.only:
        key = "808"
    else:
        lively = wishes.energy > 0.1 or wishes.tempo_factor > 1.04 or "role:drums" in wishes.only
        choice = LIVELY_STYLES if lively else UNKNOWN_STYLES
        key = dice.fork("style").throw().choice(choice)
    if "role:drums" in wishes.only and key in styles and styles[key].data.drums is None:
        key = "drums-only"
    return key if key in styles else min(styles)


def _has_drums(wishes: Wishes) -> bool:
    return "role:drums" not in wishes.unwanted and (not wishes.only or "role:drums" in wishes.only)


def _suggested(wishes: Wishes) -> str | None:
    """The style that the first instrument with one suggests."""
    kinds = lexicon().instruments
    return next((kinds[entry].style for entry in wishes.wanted if entry in kinds and kinds[entry].style), None)


def _key(wishes: Wishes, style: Style, asked: Asked, rng: random.Random) -> tuple[int, str]:
    tonic = rng.randrange(12)
    colour = rng.random()
    own = style.data.modes
    named = theory.parse_key(asked.key) if asked.key else None
    mode: str | None
    if named is not None:
        tonic, mode = named
    else:
        tonic = wishes.tonic if wishes.tonic is not None else tonic
        mode = wishes.mode
    if mode is None:
        fitting = [name for name in own if not wishes.family or theory.is_minor(name) == (wishes.family == "minor")]
        pool = fitting or ([wishes.family] if wishes.family else list(own))
        mode = pool[int(colour * len(pool))]
    elif mode in {"major", "minor"} and mode not in style.data.chords:
        # "D minor" names a key; which minor it is may be the style's own.
        mode = next((name for name in own if theory.is_minor(name) == (mode == "minor")), mode)
    return tonic, mode


def _time(
    wishes: Wishes, style: Style, asked: Asked, meter: Meter, *, drummed: bool, rng: random.Random
) -> tuple[float, tuple[tuple[str, int], ...]]:
    low, high = style.data.tempo
    drawn = rng.uniform(low, high)
    floor, ceiling = TEMPO_RANGE
    if asked.bpm is not None:
        bpm, fixed = asked.bpm, True
    elif wishes.bpm is not None:
        bpm, fixed = round(max(floor, min(ceiling, wishes.bpm * wishes.relative_tempo)), 1), True
    else:
        shaped = _leaning(drawn, low, high, wishes.tempo_factor) * max(0.6, min(1.6, wishes.relative_tempo))
        bpm, fixed = float(round(max(floor, min(ceiling, shaped)))), False
    bars = asked.bars or (wishes.bars if asked.seconds is None else None)
    if bars is None and asked.seconds is not None:
        bpm, bars = _bars_for(asked.seconds, bpm, meter, None if fixed else (low, high))
        if asked.piece:
            return bpm, _divide(bars)
    bar_s = meter.quarters * 60 / bpm
    if not asked.piece:
        return bpm, (("A", bars or 8),)
    if bars is not None:
        return bpm, _song(bars, bars, drummed=drummed, broken=True)
    forms = (_song(8, 8, drummed=drummed, broken=True), _song(8, 4, drummed=drummed, broken=False))
    fitting = (form for form in forms if sum(bars for _, bars in form) * bar_s <= PIECE_SECONDS)
    return bpm, next(fitting, _song(4, 4, drummed=drummed, broken=True))


def _song(theme: int, answer: int, *, drummed: bool, broken: bool) -> tuple[tuple[str, int], ...]:
    """A, A' of ``theme`` bars and B of ``answer``, and what a drummer adds: a break, and a bar or two that lead on."""
    form: tuple[tuple[str, int], ...] = (("A", theme), ("A'", theme), ("B", answer))
    if drummed and broken:
        form += (("break", max(4, theme // 2) if theme >= 4 else theme),)
    return (*form, ("fill", max(1, answer // 4))) if drummed else form


def _leaning(drawn: float, low: float, high: float, factor: float) -> float:
    """A tempo of the style that words such as "slow" (a factor below 1) draw towards its slow or its fast end."""
    stay = max(0.0, 1.0 - 5.0 * abs(factor - 1.0))
    end = low if factor < 1.0 else high
    drawn = end + (drawn - end) * stay
    return max(low, min(high, drawn * factor))


def _bars_for(seconds: float, bpm: float, meter: Meter, free: tuple[float, float] | None) -> tuple[float, int]:
    """Whole bars that last ``seconds``: filled by a tempo of the style where one does."""
    nearest = max(1, round(seconds * bpm / (60 * meter.quarters)))
    if free is None:
        return bpm, nearest
    low, high = free
    best: tuple[float, float, int] | None = None
    for bars in range(max(1, nearest - 4), nearest + 5):
        tempo = bars * meter.quarters * 60 / seconds
        if low * 0.97 <= tempo <= high * 1.03:
            odd = 0.0 if bars % 4 == 0 else 0.08 if bars % 2 == 0 else 0.3
            cost = abs(tempo / bpm - 1) + odd
            if best is None or cost < best[0]:
                best = (cost, tempo, bars)
    return (round(best[1], 2), best[2]) if best else (bpm, nearest)


def _divide(bars: int) -> tuple[tuple[str, int], ...]:
    """Related sections that are ``bars`` long together."""
    if bars < 6:
        return (("A", bars),)
    if bars < 12:
        half = bars // 4 * 2
        return (("A", half), ("B", bars - half))
    third = bars // 12 * 4 if bars >= 24 else bars // 6 * 2
    return (("A", third), ("A'", third), ("B", bars - 2 * third))


def developed(plan: Plan) -> Plan:
    """The plan of a continuation: the same theme, one development further.

    A piece goes on with its theme varied, a new answer to it, and a second one; a single section with its theme varied.
    """
    onward = {"A": "A'", "A'": "B", "B": "C"} if len(plan.form) > 1 else {"A": "A'"}
    form = tuple((onward.get(label, label), bars) for label, bars in plan.form)
    return replace(plan, development=plan.development + 1, form=form)
