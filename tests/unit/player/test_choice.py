"""Which loop comes next: never one that is disliked, and as the queue says of it, not as it was when it was read."""

from __future__ import annotations

from services.player.choice import Shelf
from services.player.engine import Engine
from services.player.samples import Samples
from services.player.store import LoadedLoop
from shared.music import Loop
from tests.unit.player.material import loaded, loop, wanted


def _held(one: Loop) -> LoadedLoop:
    return LoadedLoop(one, Samples(1))


def _shelf(*loops: Loop) -> Shelf:
    shelf = Shelf(_held(loops[0]), wanted(queue=loops))
    for one in loops[1:]:
        shelf.add(_held(one))
    return shelf


def test_a_disliked_loop_is_neither_next_nor_gone_back_to() -> None:
    a, b, c = (loop(name) for name in "abc")
    shelf = _shelf(a, b, c)
    target = shelf.target(_held(a))
    assert target is not None
    shelf.entered(target, a)
    assert shelf.previous == a
    shelf.want(wanted(queue=(b,), unwanted=("a", "c")))
    assert shelf.previous is None
    assert shelf.names_ahead("b") == []
    assert shelf.target(_held(b)) is None


def test_a_loop_that_is_disliked_while_it_sounds_is_not_gone_back_to() -> None:
    a, b = loop("a"), loop("b")
    shelf = _shelf(a, b)
    shelf.want(wanted(queue=(b,), unwanted=("a",), skips=1))
    target = shelf.target(_held(a))
    assert target is not None
    assert (target.loaded.loop_id, target.why) == ("b", "skip")
    shelf.entered(target, a)
    assert shelf.previous is None


def test_a_held_loop_of_an_earlier_prompt_that_is_wanted_for_this_one_is_gone_to_at_once() -> None:
    old, sounding = loop("a", epoch=1), loop("b", epoch=2)
    shelf = _shelf(sounding, old)
    shelf.want(wanted(queue=(loop("a", epoch=3),), epoch=3))
    target = shelf.target(_held(sounding))
    assert target is not None
    assert (target.loaded.loop_id, target.why) == ("a", "prompt")


def test_a_loop_that_is_let_go_of_is_not_changed_to() -> None:
    first, at_hand, wished = (loaded(loop(name)) for name in "abc")
    engine = Engine(first, wanted(queue=(first.loop, wished.loop), min_duration_s=1.0), lambda _: None)
    engine.add(at_hand)
    assert engine.report().next_loop == at_hand.loop
    engine.keep({"a", "c"})
    assert engine.report().next_loop != at_hand.loop
    engine.add(wished)
    assert engine.report().next_loop == wished.loop
