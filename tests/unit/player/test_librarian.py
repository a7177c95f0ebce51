"""What lies in memory is what sounds, what comes next, and no more than there is room for."""

from __future__ import annotations

from services.player.librarian import ROOM_FRAMES, Librarian
from shared.music import Loop
from tests.unit.player.material import loop, wanted

BIG = ROOM_FRAMES // 2 + 1


def _loops(count: int, frames: int = 96_000, epoch: int = 0) -> list[Loop]:
    return [loop(f"l{number}", frames, epoch=epoch) for number in range(count)]


def _names(loops: tuple[Loop, ...]) -> list[str]:
    return [one.loop_id for one in loops]


def test_what_is_named_is_read_in_order_and_what_is_held_is_not_read_again() -> None:
    made = _loops(4)
    librarian = Librarian()
    librarian.want(wanted(queue=tuple(made)))
    plan = librarian.plan([made[0]], ["l1", "l2", "l3"], None, ["l0", "l2"])
    assert _names(plan.load) == ["l1", "l3"]
    assert plan.keep == {"l0", "l1", "l2", "l3"}


def test_big_loops_leave_room_for_the_one_that_sounds_and_the_next() -> None:
    made = _loops(4, BIG)
    librarian = Librarian()
    librarian.want(wanted(queue=tuple(made)))
    plan = librarian.plan([made[1]], ["l2", "l3", "l0"], made[0], ["l0", "l1"])
    assert plan.keep == {"l1", "l2"}
    assert _names(plan.load) == ["l2"]


def test_a_refused_loop_is_tried_again_only_when_it_is_named_again() -> None:
    made = _loops(2)
    librarian = Librarian()
    librarian.want(wanted(queue=tuple(made)))
    librarian.refuse(made[1])
    assert _names(librarian.plan([made[0]], ["l1"], None, ["l0"]).load) == []
    librarian.want(wanted(2, queue=tuple(made)))
    assert _names(librarian.plan([made[0]], ["l1"], None, ["l0"]).load) == ["l1"]


def test_what_was_made_for_an_older_prompt_is_neither_taken_nor_kept() -> None:
    old, new = loop("old", epoch=1), loop("new", epoch=2)
    librarian = Librarian()
    librarian.want(wanted(epoch=1))
    assert librarian.receive(old)
    librarian.want(wanted(2, epoch=2))
    assert not librarian.receive(loop("late", epoch=1))
    assert librarian.receive(new)
    plan = librarian.plan([loop("sounds", epoch=1)], ["new"], None, ["sounds", "old"])
    assert plan.keep == {"sounds", "new"}


def test_the_song_before_is_kept_for_back_where_there_is_room() -> None:
    made = _loops(3)
    librarian = Librarian()
    librarian.want(wanted(queue=tuple(made[1:])))
    plan = librarian.plan([made[1]], ["l2"], made[0], ["l1"])
    assert "l0" in plan.keep
    assert _names(plan.load) == ["l2", "l0"]


def test_what_was_merely_at_hand_makes_room_for_what_is_named_before_it() -> None:
    made = _loops(3, BIG)
    librarian = Librarian()
    librarian.want(wanted(queue=(made[0], made[2], made[1])))
    assert not librarian.may_keep(made[1], ["l2", "l1"])
    plan = librarian.plan([made[0]], ["l2", "l1"], None, ["l0", "l1"])
    assert (plan.keep, _names(plan.load)) == ({"l0", "l2"}, ["l2"])
    assert librarian.may_keep(made[2], ["l2", "l1"])
    librarian.refuse(made[2])
    assert librarian.may_keep(made[1], ["l2", "l1"])
