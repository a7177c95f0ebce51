"""Styles: what a kind of music is made of, read from ``styles/*.toml``.

A style is data that a musician can read and write (``docs/styles.md`` explains every field). Reading is strict: an
unknown field or a bar of the wrong length is refused with one sentence that names the file, the field and the reason.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from services.generator.backends.composer import meters, theory
from services.generator.backends.composer.percussion import DRUMS
from services.generator.backends.composer.score import Meter, Space
from shared.errors import BackendError

Role = Literal["bass", "chords", "arp", "melody", "line", "drone", "texture"]
Line = Annotated[str, Meta(min_length=1)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]

_HITS: Final = frozenset(".-? 123456789")
_TONES: Final = frozenset(".-?x13578ab")
_LADDER: Final = frozenset(".-?0123456789")


class Layer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One instrument's part: what it plays and where it stands in the mix."""

    name: str
    role: Role
    instruments: Annotated[tuple[str, ...], Meta(min_length=1)]
    lines: tuple[Line, ...] = ()
    """Rhythm lines: hits for chords, melody and line; tones for the bass; steps of the chord for an arp."""
    manner: Literal["", "hold", "walk"] = ""
    """``hold`` plays each chord for its length; ``walk`` is a walking bass."""
    range: tuple[int, int] = (48, 72)
    """Lowest and highest MIDI note."""
    voicing: Literal["close", "open", "rootless", "shell", "power", "triad"] = "close"
    notes: Literal["scale", "pentatonic", "chord"] = "scale"
    """What a melody may use between chord tones."""
    velocity: Share = 0.66
    level_db: float = 0.0
    pan: Annotated[float, Meta(ge=-1.0, le=1.0)] = 0.0
    reverb: Share = 0.2
    delay: Share = 0.0
    sidechain: Share = 0.0
    from_energy: Share = 0.0
    """The layer joins in sections at least this lively."""
    until_energy: Share = 1.0
    chance: Share = 1.0
    """How often a piece of this style has the layer at all."""
    strum_ms: float = 0.0
    late_ms: float = 0.0
    """Behind the beat (negative: ahead of it)."""
    legato: Annotated[float, Meta(gt=0.0, le=2.0)] = 0.95
    """Share of the written length that is held."""
    leap: Annotated[float, Meta(ge=0.5, le=4.0)] = 1.6
    """How far a melody moves from note to note, in steps of the scale."""
    freely: bool = False
    """Every bar takes any of the lines, as a player who listens does; otherwise one or two lines are the figure."""
    step: Literal[16, 8, 4] = 16
    """For an arp: the note value of one character of its lines."""


class Drums(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The drummer: a kit, lines per drum, and how fills go."""

    kits: Annotated[tuple[str, ...], Meta(min_length=1)]
    lines: dict[str, tuple[Line, ...]]
    """Drum name → lines of one or two bars; a piece takes its own choice of them."""
    from_energy: dict[str, float] = {}
    """Drum name → how lively a section must be for it to play."""
    fill: Literal["none", "snare", "toms", "club", "brush", "break", "latin", "hats", "timpani"] = "snare"
    together: bool = False
    """Whether the first kick line belongs to the first snare line and so on."""
    level_db: float = 0.0
    reverb: Share = 0.1
    busy: Share = 0.5
    """How freely ghost notes are added and light strokes left out."""
    late_ms: float = 0.0


class StyleData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A style's file, field by field."""

    name: str
    """As the listener reads it in the plan."""
    family: str
    words: tuple[str, ...]
    """Words and phrases that ask for this style, in any language."""
    tempo: tuple[float, float]
    modes: Annotated[tuple[str, ...], Meta(min_length=1)]
    chords: dict[str, tuple[str, ...]]
    """Mode → progressions: ``|`` between bars, a space between chords within one."""
    without_soundfont: Literal["very well", "well", "fairly", "weakly"]
    hints: tuple[str, ...] = ()
    """Words that merely suggest it."""
    meters: Annotated[tuple[str, ...], Meta(min_length=1)] = ("4/4",)
    """Those its lines are written in, the usual one first; in others they are fitted."""
    bridge: dict[str, tuple[str, ...]] = {}
    """Progressions of the B section, where they differ."""
    energy: Share = 0.5
    pace: Annotated[int, Meta(ge=1, le=4)] = 1
    """How many bars one bar of a progression lasts."""
    swing: Annotated[float, Meta(ge=0.5, le=0.75)] = 0.5
    swing_on: Literal[8, 16] = 16
    human_ms: Annotated[float, Meta(ge=0.0, le=60.0)] = 5.0
    dynamics: Share = 0.4
    """How much the music swells and recedes within a section."""
    steady: bool = False
    """Nothing enters or leaves within a section: for sleep and concentration."""
    drums: Drums | None = None
    layers: tuple[Layer, ...] = ()
    space: Space = Space()


@dataclass(frozen=True)
class Style:
    """A checked style under the key of its file."""

    key: str
    data: StyleData
    native: Meter = field(default=meters.COMMON)
    """The metre its lines are written in."""

    @property
    def name(self) -> str:
        return self.data.name

    def progressions(self, mode: str, bridge: bool = False) -> tuple[str, ...]:
        """Those for a mode, or for the nearest mode that the style has chords for."""
        table = self.data.bridge if bridge and self.data.bridge else self.data.chords
        if mode in table:
            return table[mode]
        if mode in self.data.chords:
            return self.data.chords[mode]
        # Only a mode's own chords keep its colour; the common ones come from a table that every style shares.
        return _COMMON_CHORDS[mode]


_COMMON_CHORDS: Final[dict[str, tuple[str, ...]]] = {
    "major": ("I | vi | IV | V", "I | IV | vi | V", "vi | IV | I | V", "I | iii | IV | V"),
    "minor": ("i | bVI | bIII | bVII", "i | iv | bVI | v", "i | bVII | bVI | bVII", "iv | i | bVI | v"),
    "dorian": ("i7 | IV7 | i7 | bVII", "i7 | bIII | IV7 | bVII", "i7 | ii7 | bIII | IV7"),
    "phrygian": ("i | bII | i | bvii", "i | bVI | bII | bvii", "i | bII | bIII | bII"),
    "lydian": ("Imaj7 | II | Imaj7 | vi7", "I | II | vi7 | V", "Imaj7 | iii7 | II | V"),
    "mixolydian": ("I | bVII | IV | I", "I7 | v7 | bVII | IV", "I | IV | bVII | IV"),
    "harmonic-minor": ("i | iv | V7 | i", "i | bVI | iv | V7", "i | V7 | bVI | V7"),
    "blues": ("I7 | IV7 | I7 | V7", "I7 | I7 | IV7 | V7", "I7 | IV7 | V7 IV7 | I7"),
}


def parse(text: str, key: str) -> Style:
    """Read and check one style.

    Raises
    ------
    BackendError
        The text is no valid style; the sentence names the field and the reason.
    """
    try:
        data = msgspec.convert(_close_up(tomllib.loads(text)), StyleData)
        return _checked(key, data)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
        raise BackendError(f"The style {key}.toml cannot be used: {error}.") from error


def _close_up(value: Any) -> Any:
    """Rhythm lines may be spaced for the eye: ``9... 8... 9... 8...``; bars of chords may not."""
    if isinstance(value, dict):
        return {name: _joined(child) if name == "lines" else _close_up(child) for name, child in value.items()}
    return [_close_up(child) for child in value] if isinstance(value, list) else value


def _joined(lines: Any) -> Any:
    match lines:
        case str():
            return lines.replace(" ", "").replace("|", "")
        case list():
            return [_joined(line) for line in lines]
        case dict():
            return {name: _joined(child) for name, child in lines.items()}
        case _:
            return lines


def _checked(key: str, data: StyleData) -> Style:
    native = meters.parse_meter(data.meters[0])
    if native is None:
        raise ValueError(f"“{data.meters[0]}” is none of the metres {', '.join(meters.METERS)}")
    if not 20 <= data.tempo[0] <= data.tempo[1] <= 300:
        raise ValueError("tempo must be two figures between 20 and 300, the lower first")
    _check_chords(data)
    written = [meters.parse_meter(text) for text in data.meters]
    bars = {meters.steps(meter) for meter in written if meter is not None}
    for drum, lines in (data.drums.lines if data.drums else {}).items():
        if drum not in DRUMS:
            raise ValueError(f"“{drum}” is none of the drums {', '.join(DRUMS)}")
        for line in lines:
            _check_line(f"drums {drum}", line, _HITS, bars)
    for layer in data.layers:
        _check_layer(layer, bars)
    if len({layer.name for layer in data.layers} | {"drums"}) != len(data.layers) + 1:
        raise ValueError("two layers have the same name")
    return Style(key, data, native)


def _check_chords(data: StyleData) -> None:
    for mode in (*data.modes, *data.chords, *data.bridge):
        if mode not in theory.MODES:
            raise ValueError(f"“{mode}” is none of the modes {', '.join(theory.MODES)}")
    for mode in data.modes:
        if not data.chords.get(mode):
            raise ValueError(f"there are no chords for the mode {mode}")
    for table in (data.chords, data.bridge):
        for mode, progressions in table.items():
            for numeral in " ".join(progressions).replace("|", " ").split():
                theory.chord(numeral, 0, mode)


def _check_layer(layer: Layer, bars: set[int]) -> None:
    if layer.range[1] - layer.range[0] < 12:
        raise ValueError(f"the range of layer {layer.name} is narrower than an octave")
    allowed = {"bass": _TONES, "arp": _LADDER}.get(layer.role, _HITS)
    for line in layer.lines:
        _check_line(f"layer {layer.name}", line, allowed, set() if layer.role == "arp" else bars)
    if not layer.lines and not layer.manner and layer.role in {"bass", "chords", "arp", "melody"}:
        raise ValueError(f"layer {layer.name} has neither lines nor a manner")


def _check_line(where: str, line: str, allowed: frozenset[str], bars: set[int]) -> None:
    if strange := set(line) - allowed:
        raise ValueError(f"{where}: “{line}” holds “{min(strange)}”, which means nothing there")
    if bars and not any(len(line) in {bar, 2 * bar} for bar in bars):
        raise ValueError(f"{where}: “{line}” has {len(line)} steps, which is neither one bar nor two")


@cache
def builtin() -> dict[str, Style]:
    """The styles that come with the station, by key."""
    folder = resources.files("services.generator.backends.composer") / "styles"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda entry: entry.name)
    return {Path(entry.name).stem: parse(entry.read_text("utf-8"), Path(entry.name).stem) for entry in files}


def _check_instruments(style: Style) -> None:
    # Only a listener's file is checked here; the registry brings the synthesis along, which a plan does not need.
    from services.generator.backends.composer.sound.instruments import INSTRUMENTS

    named = {name for layer in style.data.layers for name in layer.instruments}
    named |= set(style.data.drums.kits) if style.data.drums else set()
    if unknown := sorted(named - set(INSTRUMENTS)):
        raise BackendError(f"The style {style.key}.toml cannot be used: there is no instrument “{unknown[0]}”.")


@dataclass(frozen=True)
class Shelf:
    """The styles at hand, and what is wrong with those of the listener's own that cannot be used."""

    styles: dict[str, Style]
    complaints: tuple[str, ...] = ()


def with_folder(folder: Path | None) -> Shelf:
    """The built-in styles and the listener's own from ``folder``; one of the same name replaces a built-in one.

    A file with a mistake is left out and complained of: one bad style must not silence the others.
    """
    styles = dict(builtin())
    complaints: list[str] = []
    paths = sorted(folder.glob("*.toml")) if folder is not None and folder.is_dir() else []
    for path in paths:
        try:
            style = parse(path.read_text("utf-8"), path.stem)
            _check_instruments(style)
            styles[path.stem] = style
        except (OSError, UnicodeDecodeError) as error:
            complaints.append(f"The style {path.name} cannot be read: {error}.")
        except BackendError as error:
            complaints.append(str(error))
    return Shelf(styles, tuple(complaints))
