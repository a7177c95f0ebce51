"""The book of presets: our catalogue is sound, changes are laid over it, nothing is lost."""

import json
from pathlib import Path

import pytest

from services.controller.presets import store
from services.controller.presets.store import CATEGORIES, MergeRule, Preset, PresetBook
from shared.errors import StoreError, UsageError
from shared.paths import Paths

MINE = Preset(name="Über mine", title="", prompt="  rain,\n soft piano ", settings={"volume": "30"})


@pytest.fixture
def book() -> PresetBook:
    return PresetBook(store.read_catalogue())


def test_the_catalogue_has_eighty_sound_presets(book: PresetBook) -> None:
    assert len(book.catalogue) >= 80
    for name, preset in book.catalogue.items():
        assert store.check(preset) == preset
        assert name == preset.name
    assert len({preset.title for preset in book.catalogue.values()}) == len(book.catalogue)
    assert {preset.category for preset in book.catalogue.values()} == set(CATEGORIES) - {"own"}


def test_what_is_added_is_brought_into_form(book: PresetBook) -> None:
    changed = book.add(MINE)
    found = changed.find("uber-mine")
    assert (found.prompt, found.title, found.settings) == ("rain, soft piano", "uber-mine", {"volume": 30})
    with pytest.raises(UsageError, match="exists"):
        changed.add(MINE)


def test_a_preset_is_found_by_name_or_title(book: PresetBook) -> None:
    assert book.find("Jazz Café") == book.find("jazz-cafe")
    with pytest.raises(UsageError, match="deep-focus"):
        book.find("deep fokus")


def test_ours_can_be_changed_removed_and_brought_back(book: PresetBook) -> None:
    changed = book.edit("deep-focus", prompt="whales").remove("trance")
    assert changed.find("deep-focus").prompt == "whales"
    assert "trance" not in changed.presets
    assert changed.reset("deep-focus").find("deep-focus") == book.find("deep-focus")
    assert changed.add(MINE).reset().presets.keys() == {*book.presets, "uber-mine"}
    with pytest.raises(UsageError, match="nothing to go back to"):
        changed.add(MINE).reset("uber-mine")


def test_a_listeners_own_comes_back_after_it_was_removed_or_replaced(paths: Paths, book: PresetBook) -> None:
    mine = book.add(MINE)
    other = Preset(name="other", title="Other", prompt="harp, flute, calm, 70 bpm")
    for without in (mine.remove("uber-mine"), mine.merge([other], MergeRule.REPLACE)):
        assert "uber-mine" not in without.presets
        store.save(paths, without)
        again, problem = store.open_book(paths)
        assert problem is None
        assert again.reset("uber-mine").find("uber-mine") == mine.find("uber-mine")
        assert again.reset("uber-mine").dropped == {}


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (Preset(name="!!", title="x", prompt="x"), "named"),
        (Preset(name="x", title="x", prompt=" "), "1 to 2000"),
        (Preset(name="x", title="x", prompt="y" * 2001), "1 to 2000"),
        (Preset(name="x", title="x", prompt="x", category="zzz"), "category"),
        (Preset(name="x", title="x", prompt="x", settings={"volume": 300}), "0 to 100"),
        (Preset(name="x", title="x", prompt="x", settings={"colour": 3}), "no setting"),
    ],
)
def test_what_is_not_allowed_is_refused_in_words(book: PresetBook, wrong: Preset, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        book.add(wrong)


def test_changes_survive_on_disk(paths: Paths, book: PresetBook) -> None:
    changed = book.add(MINE).remove("trance").edit("deep-focus", title="Deeper")
    store.save(paths, changed)
    again, problem = store.open_book(paths)
    assert problem is None
    assert again == changed


def test_a_broken_file_is_set_aside_and_named(paths: Paths) -> None:
    (paths.config / "presets.json").write_text("{nonsense")
    book, problem = store.open_book(paths)
    assert book.presets
    assert problem is not None
    assert "presets.json.broken-1" in problem
    assert (paths.config / "presets.json.broken-1").read_text() == "{nonsense"


def test_export_and_import(tmp_path: Path, book: PresetBook) -> None:
    file = tmp_path / "mine.json"
    assert store.export(book.add(MINE), file, own_only=True) == 1
    assert json.loads(file.read_text())["presets"][0]["name"] == "uber-mine"
    imported = store.load(file)
    here = book.add(Preset(name="uber-mine", title="Old", prompt="old"))
    assert here.merge(imported, MergeRule.NEW_ONLY).find("uber-mine").prompt == "old"
    assert here.merge(imported, MergeRule.MERGE).find("uber-mine").prompt == "rain, soft piano"
    assert list(here.merge(imported, MergeRule.REPLACE).presets) == ["uber-mine"]
    with pytest.raises(StoreError, match="cannot be read"):
        store.load(tmp_path / "missing.json")
