"""The page on parity names tests that exist, and every row names one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "parity.md").read_text("utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| promised")]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
NAMED = sorted(set(TEST.findall(PAGE)))


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_each_named_test_exists(file: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE)


def test_every_row_names_a_test() -> None:
    assert len(ROWS) > 30
    for row in ROWS:
        promised, here, shown = (cell.strip() for cell in row.strip("|").split(" | "))
        assert promised
        assert here
        assert TEST.search(shown), promised
        assert not TEST.sub("", shown).strip(), promised


@pytest.mark.parametrize(
    "word", ["start 'prompt'", "stop", "status", "save my_loop.wav", "debug on/off", "help", "quit"]
)
def test_every_word_of_the_public_shell_has_its_row(word: str) -> None:
    assert f"`{word}`" in PAGE
