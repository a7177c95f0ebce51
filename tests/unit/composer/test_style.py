"""Style files are checked strictly, and a mistake is explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.generator.backends.composer.backend import ComposerBackend
from services.generator.backends.composer.midi import PROGRAMS
from services.generator.backends.composer.prompt.lexicon import lexicon
from services.generator.backends.composer.sound.instruments import INSTRUMENTS
from services.generator.backends.composer.style import builtin, parse, with_folder
from shared.errors import BackendError

SMALL = """
name = "Small"
family = "test"
words = ["tiny"]
tempo = [100, 110]
modes = ["major"]
without_soundfont = "well"
[chords]
major = ["I | V"]
[[layers]]
name = "keys"
role = "chords"
instruments = ["piano"]
lines = ["8--- 8--- 8--- 8---"]
"""


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("tempo = [100, 110]", "tempo = [110, 100]", "tempo"),
        ('"I | V"', '"I | Q7"', "Q7"),
        ('"I | V"', '"I | Vwide"', "quality"),
        ('modes = ["major"]', 'modes = ["minor"]', "minor"),
        ("8--- 8--- 8--- 8---", "8--- 8---", "8 steps"),
        ("8--- 8--- 8--- 8---", "8--- 8--- 8--- 8--z", "z"),
        ('role = "chords"', 'role = "chord"', "role"),
        ('name = "Small"', 'nome = "Small"', "nome"),
        ('name = "Small"', "name = ", "small.toml"),
    ],
)
def test_mistakes_are_named(before: str, after: str, says: str) -> None:
    assert before in SMALL
    with pytest.raises(BackendError, match=says):
        parse(SMALL.replace(before, after, 1), "small")


def test_a_listeners_style_joins_the_others_and_replaces_one_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL, "utf-8")
    (tmp_path / "lo-fi.toml").write_text(SMALL, "utf-8")
    styles = with_folder(tmp_path).styles
    assert styles["small"].name == styles["lo-fi"].name == "Small"
    assert set(builtin()) | {"small"} == set(styles)


def test_a_style_with_a_mistake_silences_no_other(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(SMALL, "utf-8")
    (tmp_path / "bad.toml").write_text(SMALL.replace("chords", "cords"), "utf-8")
    (tmp_path / "odd.toml").write_text(SMALL.replace('"piano"', '"pianola"'), "utf-8")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    shelf = with_folder(tmp_path)
    assert set(shelf.styles) == {*builtin(), "good"}
    assert [complaint.split()[2] for complaint in shelf.complaints] == ["bad.toml", "binary.toml", "odd.toml"]
    assert ComposerBackend(styles_folder=tmp_path).capabilities().reason == " ".join(shelf.complaints)


def test_every_instrument_can_sound_and_has_a_midi_program() -> None:
    names = {name for style in builtin().values() for layer in style.data.layers for name in layer.instruments}
    names |= {name for kind in lexicon().instruments.values() for name in kind.names if not name.startswith("kit-")}
    assert names <= set(INSTRUMENTS)
    assert names <= set(PROGRAMS)
    kits = {kit for style in builtin().values() if style.data.drums for kit in style.data.drums.kits}
    assert kits <= set(INSTRUMENTS)


def test_the_book_of_styles_has_a_row_for_each() -> None:
    book = (Path(__file__).parents[3] / "docs" / "styles.md").read_text("utf-8")
    for key, style in builtin().items():
        row = next(line for line in book.splitlines() if line.startswith(f"| {key} |"))
        assert f"| {style.data.without_soundfont} |" in row
        assert f"| {', '.join(style.data.meters)} |" in row
        assert f"| {style.data.tempo[0]:g}–{style.data.tempo[1]:g} |" in row
    for name in INSTRUMENTS:
        assert f"`{name}`" in book
