"""One thing is one, and more of them are many."""

from __future__ import annotations

from services.controller.counting import number_of
from services.controller.library.repair import Repaired


def test_of_one_thing_there_is_one() -> None:
    assert [number_of(count, "song") for count in (0, 1, 2)] == ["0 songs", "1 song", "2 songs"]


def test_what_was_mended_is_said_with_its_numbers() -> None:
    assert Repaired(missing=1, found=2, swept=1).sentence() == (
        "The library was mended: the audio of 1 loop had gone, 2 loops taken in again, 1 unfinished file deleted."
    )
