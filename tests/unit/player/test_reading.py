"""What is read and let go as songs change."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services.player.librarian import ROOM_FRAMES
from services.player.reading import Reading
from services.player.samples import CHUNK, Pool
from tests.unit.player.material import loop, wanted

LONG = ROOM_FRAMES // 2 - 1


class _Engine:
    """Remembers what it was told to keep."""

    def __init__(self) -> None:
        self.kept: list[set[str]] = []

    def keep(self, loops: set[str]) -> None:
        self.kept.append(loops)


def _looked(backs: int, held: tuple[str, ...] = ("a", "b")) -> list[set[str]]:
    """What is kept where the song sounds that came after "a", with "c" next in the queue and room for two."""
    a, b, c = (loop(name, LONG) for name in "abc")
    asked = wanted(queue=(b, c, a), backs=backs)
    engine = _Engine()
    report: Any = SimpleNamespace(
        loop=b, next_loop=a, ahead=("c", "a"), previous=a, held=held, wanted=asked, backs_done=0
    )
    writer: Any = SimpleNamespace(report=report, call=lambda call: call(engine))
    with ThreadPoolExecutor(1) as reader:
        reading = Reading(
            writer, reader, folders=(Path("/nowhere"),), pool=Pool(), receipt=lambda _: None, call_soon=lambda _: None
        )
        reading.want(asked)
        reading.look()
    return engine.kept


def test_two_long_songs_do_not_keep_the_next_one_out() -> None:
    assert _looked(backs=0) == [{"b", "c"}]


def test_the_song_before_stays_for_a_back_that_was_asked_for() -> None:
    assert _looked(backs=1) == []


def test_the_song_before_comes_back_for_a_back_though_the_next_one_has_taken_its_room() -> None:
    assert _looked(backs=1, held=("b", "c")) == [{"a", "b"}]


@pytest.mark.parametrize(("seconds", "read"), [(8, ["tried"]), (9, [])])
def test_what_comes_is_read_at_once_where_there_is_room_and_else_when_its_turn_comes(
    seconds: int, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    monkeypatch.setattr("services.player.reading.load_loop", lambda *_: tried.append("tried"))
    held = loop("a", LONG)
    report: Any = SimpleNamespace(
        loop=held, next_loop=None, ahead=("b",), previous=None, held=("a",), wanted=wanted(), backs_done=0
    )
    writer: Any = SimpleNamespace(report=report, call=lambda _: None)
    with ThreadPoolExecutor(1) as reader:
        reading = Reading(
            writer, reader, folders=(), pool=Pool(8), receipt=lambda _: None, call_soon=lambda call: call()
        )
        reading.receive(loop("b", seconds * CHUNK))
        reader.submit(lambda: None).result()
        assert tried == read
        reading.look()
    assert "tried" in tried
