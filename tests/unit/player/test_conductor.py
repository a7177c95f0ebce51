"""What sounds next and when: songs and their forms, skips and ways back, the changes between songs."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from services.player.engine import Engine
from services.player.gains import STOP_FRAMES
from services.player.samples import Samples
from services.player.schedule import SKIP_FADE
from services.player.store import LoadedTransition
from shared.music import Jump, Section, Transition
from shared.units import STATION_RATE
from tests.unit.player.material import (
    audio_of,
    begun,
    engine_of,
    going_round,
    loaded,
    loop,
    noise,
    render,
    sections,
    wanted,
)

BAR = STATION_RATE // 2
A = loaded(loop("a"), 1)
B = loaded(loop("b"), 2)
C = loaded(loop("c"), 3)


def test_the_loop_wraps_to_the_sample_for_as_long_as_it_plays() -> None:
    piece = loaded(loop("a", bars=1), 1)
    engine = begun(piece, variation="off")
    frames = 9 * A.samples.frames
    assert np.array_equal(render(engine, frames)[0], going_round(A, 0, frames))


def test_without_moves_the_second_half_comes_once_more_in_every_third_pass_and_then_the_beginning() -> None:
    engine = begun(A, variation="off", min_duration_s=300.0)
    frames = A.samples.frames
    tap, _ = render(engine, 4 * frames)  # after one pass: A, A' (one and a half), A …
    assert np.array_equal(tap[: 2 * frames - 960], going_round(A, 0, 2 * frames - 960))
    assert np.array_equal(tap[2 * frames : 2 * frames + frames // 2], going_round(A, frames // 2, frames // 2))
    assert np.array_equal(tap[2 * frames + frames // 2 :], going_round(A, 0, frames + frames // 2))


def test_a_song_lasts_its_time_and_then_fades_at_the_phrase_into_the_first_downbeat_of_the_next() -> None:
    engine = begun(A, B, variation="light", min_duration_s=5.0)
    render(engine, 6 * STATION_RATE - STOP_FRAMES - 960)  # phrases of this loop end every 2 s: at 6 s
    assert engine.report().loop.loop_id == "a"
    assert engine.report().next_loop == B.loop
    tap, _ = render(engine, 4 * STATION_RATE + 960)
    assert engine.report().loop.loop_id == "b"
    assert engine.report().song_frames == 4 * STATION_RATE
    fade = 2 * BAR
    assert np.array_equal(tap[:960], going_round(A, A.samples.frames - 960, 960))
    assert not np.array_equal(tap[960 : 960 + fade], going_round(B, 0, fade))
    assert np.array_equal(tap[960 + fade :], going_round(B, fade, 4 * STATION_RATE - fade))


def test_hold_stays_until_it_is_let_go() -> None:
    engine = begun(A, B, min_duration_s=3.0, hold=True)
    render(engine, 12 * STATION_RATE)
    assert engine.report().loop.loop_id == "a"
    engine.want(wanted(2, queue=(A.loop, B.loop), min_duration_s=3.0))
    render(engine, 3 * STATION_RATE)
    assert engine.report().loop.loop_id == "b"


def test_the_queue_can_be_seen_put_into_another_order_and_cleared() -> None:
    engine = begun(A, B, C, min_duration_s=300.0)
    assert engine.report().ahead == ("b", "c")
    engine.want(wanted(2, queue=(A.loop, C.loop, B.loop), min_duration_s=300.0))
    report = engine.report()
    assert (report.next_loop, report.ahead) == (C.loop, ("c", "b"))
    engine.want(wanted(3, queue=(), min_duration_s=3.0))
    engine.keep({"a"})
    render(engine, 8 * STATION_RATE)
    report = engine.report()
    assert (report.loop.loop_id, report.songs, report.ahead, report.next_loop) == ("a", 1, (), None)
    engine.add(B)
    engine.want(wanted(4, queue=(A.loop, B.loop), min_duration_s=3.0))
    render(engine, 3 * STATION_RATE)
    assert engine.report().loop.loop_id == "b"


def test_skip_changes_at_the_next_bar_once_for_each_time_it_was_said() -> None:
    engine = begun(A, B, C, variation="off", min_duration_s=300.0)
    render(engine, 1_000)
    ask = wanted(2, queue=(A.loop, B.loop, C.loop), skips=1, variation="off", min_duration_s=300.0)
    engine.want(ask)
    engine.want(ask)
    tap, _ = render(engine, 3 * STATION_RATE)
    assert np.array_equal(tap[: BAR - 1_000], going_round(A, 1_000, BAR - 1_000))
    after = BAR - 1_000 + SKIP_FADE
    assert np.array_equal(tap[after:], going_round(B, SKIP_FADE, len(tap) - after))
    assert engine.report().skips_done == 1


def test_five_skips_at_once_are_not_five_changes() -> None:
    engine = begun(A, B, C, min_duration_s=300.0)
    engine.want(wanted(2, queue=(A.loop, B.loop, C.loop), skips=5, min_duration_s=300.0))
    render(engine, 6 * STATION_RATE)
    report = engine.report()
    assert (report.loop.loop_id, report.songs, report.skips_done) == ("c", 2, 5)


def test_a_skip_with_nothing_to_skip_to_waits_for_the_next_loop() -> None:
    engine = begun(A, min_duration_s=300.0)
    engine.want(wanted(2, queue=(A.loop,), skips=1, min_duration_s=300.0))
    render(engine, 3 * STATION_RATE)
    engine.add(B)
    render(engine, STATION_RATE)
    assert engine.report().loop.loop_id == "b"


def test_counters_that_were_there_before_the_player_are_not_acted_on() -> None:
    engine = engine_of(A, B, skips=7, backs=3, min_duration_s=300.0)
    render(engine, 5 * STATION_RATE)
    assert engine.report().loop.loop_id == "a"


def test_back_returns_to_the_song_before() -> None:
    engine = begun(A, B, C, min_duration_s=300.0)
    queue = (A.loop, B.loop, C.loop)
    engine.want(wanted(2, queue=queue, skips=2, min_duration_s=300.0))
    render(engine, 3 * STATION_RATE)
    engine.want(wanted(3, queue=queue, skips=2, backs=1, min_duration_s=300.0))
    render(engine, 3 * STATION_RATE)
    assert engine.report().loop.loop_id == "a"
    assert engine.report().backs_done == 1


def test_back_in_the_first_song_stays_and_is_not_remembered() -> None:
    engine = begun(A, B, min_duration_s=300.0)
    queue = (A.loop, B.loop)
    engine.want(wanted(2, queue=queue, backs=1, min_duration_s=300.0))
    engine.want(wanted(3, queue=queue, backs=1, skips=1, min_duration_s=300.0))
    render(engine, 6 * STATION_RATE)
    assert engine.report().loop.loop_id == "b"


def test_a_start_up_loop_hands_over_at_the_next_bar_whatever_the_length_of_a_song() -> None:
    startup = loaded(loop("s", startup=True), 4)
    engine = engine_of(startup, min_duration_s=300.0, queue=())
    render(engine, 1_000)
    engine.add(B)
    render(engine, BAR)
    assert engine.report().loop.loop_id == "b"


def test_a_bridge_ends_at_the_phrase_when_what_was_asked_for_is_there() -> None:
    bridge = loaded(loop("bridge", bridge=True, epoch=2), 4)
    fresh = loaded(loop("fresh", epoch=2), 5)
    engine = engine_of(bridge, min_duration_s=300.0, queue=(bridge.loop, fresh.loop))
    render(engine, 1_000)
    engine.add(fresh)
    render(engine, 4 * BAR - 2_000)
    assert engine.report().loop.loop_id == "bridge"
    render(engine, 2_000)
    assert engine.report().loop.loop_id == "fresh"


def test_a_new_prompt_is_heard_at_the_next_bar() -> None:
    fresh = loaded(loop("fresh", epoch=2), 5)
    engine = begun(A, B, min_duration_s=300.0)
    engine.add(fresh)
    engine.want(wanted(2, queue=(fresh.loop,), epoch=2, min_duration_s=300.0))
    render(engine, BAR + 960)
    assert engine.report().loop.loop_id == "fresh"


def test_a_loop_of_an_earlier_prompt_is_heard_at_the_next_bar_where_the_queue_names_it_for_the_new_one() -> None:
    engine = begun(A, B, min_duration_s=300.0)
    engine.want(wanted(2, queue=(msgspec.structs.replace(B.loop, epoch=2),), epoch=2, min_duration_s=300.0))
    render(engine, BAR + 960)
    assert engine.report().loop.loop_id == "b"


def test_with_the_controller_gone_it_goes_round_the_loops_it_holds() -> None:
    engine = begun(A, B, C, min_duration_s=3.0)
    heard = []
    for _ in range(18):
        render(engine, STATION_RATE)
        name = engine.report().loop.loop_id
        heard += [name] if heard[-1:] != [name] else []
    assert heard == ["a", "b", "c", "a", "b"]


def test_sections_are_played_as_a_song() -> None:
    piece = loaded(loop("p", 12 * BAR, bars=12, sections=sections("A", "A'", "B", frames=4 * BAR)), 6)
    engine = begun(piece, variation="off", min_duration_s=300.0)
    render(engine, 16 * BAR - STOP_FRAMES)
    tap, _ = render(engine, 16 * BAR)
    audio, part = audio_of(piece), 4 * BAR
    expected = [audio[:part], audio[part : 2 * part], audio[2 * part :], audio[:part]]
    assert np.array_equal(tap, np.concatenate(expected))


def test_a_stretch_of_a_stream_is_played_once_in_its_order_and_then_left() -> None:
    piece = loaded(loop("p", 10 * BAR, bars=None, sections=_piece()), 6)
    engine = begun(piece, A, once=True, min_duration_s=300.0)
    assert engine.report().song_length == 10 * BAR
    assert engine.report().leave_frame == 10 * BAR
    tap, _ = render(engine, 10 * BAR - STOP_FRAMES)
    assert np.array_equal(tap, audio_of(piece)[STOP_FRAMES:])
    render(engine, 960)
    assert engine.report().loop.loop_id == "a"


def test_a_stream_that_ran_dry_repeats_its_last_long_section_in_time_until_more_is_there() -> None:
    piece = loaded(loop("p", 10 * BAR, bars=None, sections=_piece()), 6)
    engine = begun(piece, once=True, min_duration_s=300.0)
    render(engine, 10 * BAR - STOP_FRAMES)
    tap, _ = render(engine, 9 * BAR)
    assert np.array_equal(tap, np.tile(audio_of(piece)[4 * BAR : 8 * BAR], (3, 1))[: 9 * BAR])
    engine.add(A)
    engine.want(wanted(2, queue=(piece.loop, A.loop), once=True, min_duration_s=300.0))
    tap, _ = render(engine, 3 * BAR)
    assert np.array_equal(tap, audio_of(piece)[5 * BAR : 8 * BAR])
    render(engine, 960)
    assert engine.report().loop.loop_id == "a"


def _piece() -> tuple[Section, ...]:
    """Two sections of four bars and a fill of two."""
    ends = {"A": (0, 4), "B": (4, 8), "fill": (8, 10)}
    return tuple(
        Section(label=label, start=start * BAR, end=end * BAR, bars=end - start) for label, (start, end) in ends.items()
    )


def test_a_jump_is_joined_over_its_crossfade() -> None:
    cross = 2_400
    piece = loaded(loop("p", 8 * BAR, bars=8, jumps=(Jump(source=4 * BAR, target=2 * BAR, crossfade=cross),)), 6)
    engine = begun(piece, variation="off", min_duration_s=300.0)
    render(engine, 16 * BAR - STOP_FRAMES)
    tap, _ = render(engine, 10 * BAR)
    audio = audio_of(piece)
    assert np.array_equal(tap[: 4 * BAR - cross], audio[: 4 * BAR - cross])
    assert np.array_equal(tap[4 * BAR :], audio[2 * BAR :])
    joined = tap[4 * BAR - cross : 4 * BAR]
    assert np.abs(joined).max() <= 0.1
    assert not np.array_equal(joined, audio[4 * BAR - cross : 4 * BAR])


def test_a_move_changes_the_last_bars_of_a_pass_and_nothing_else() -> None:
    engine = begun(loaded(loop("p", 8 * BAR, bars=8), 6), min_duration_s=300.0, hold=True)
    piece = loaded(loop("p", 8 * BAR, bars=8), 6)
    render(engine, 16 * BAR - STOP_FRAMES)
    tap, _ = render(engine, 16 * BAR)
    moved, after = tap[: 8 * BAR], tap[8 * BAR :]
    plain = audio_of(piece)
    assert np.array_equal(moved[: 6 * BAR], plain[: 6 * BAR])
    assert np.abs(moved[6 * BAR :] - plain[6 * BAR :]).max() > 1e-3
    assert np.array_equal(after, plain)
    assert np.abs(np.diff(moved, axis=0)).max() <= 0.21


def test_a_move_that_is_not_ready_is_left_out() -> None:
    piece = loaded(loop("p", 8 * BAR, bars=8), 6)
    engine = Engine(piece, wanted(queue=(piece.loop,), min_duration_s=300.0), lambda _: None)
    render(engine, 16 * BAR)
    assert np.array_equal(render(engine, 8 * BAR)[0], audio_of(piece))


def test_a_rendered_transition_is_spliced_in_to_the_sample() -> None:
    audio = noise(3 * BAR, 9)
    done = Transition(
        from_loop="a", to_loop="b", kind="blend", path="x.wav", frames=3 * BAR, exit_frame=2 * BAR, entry_frame=BAR
    )
    engine = begun(A, B, variation="off", min_duration_s=4.0)
    engine.add_transition(LoadedTransition(done, Samples.of(audio)))
    tap, _ = render(engine, 8 * STATION_RATE - STOP_FRAMES)
    exit_at = 5 * STATION_RATE - STOP_FRAMES  # the first time after 4 s that the loop comes past frame 1 s
    assert np.array_equal(tap[:exit_at], going_round(A, 0, exit_at))
    assert np.array_equal(tap[exit_at : exit_at + 3 * BAR], audio)
    rest = tap[exit_at + 3 * BAR :]
    assert np.array_equal(rest, going_round(B, BAR, len(rest)))


def spliced(bars: int) -> Engine:
    """It is half a bar into a rendered transition of so many bars from A to B."""
    done = Transition(
        from_loop="a", to_loop="b", kind="blend", path="x.wav", frames=bars * BAR, exit_frame=2 * BAR, entry_frame=BAR
    )
    engine = begun(A, B, variation="off", min_duration_s=4.0)
    engine.add_transition(LoadedTransition(done, Samples.of(noise(bars * BAR, 9))))
    render(engine, 5 * STATION_RATE - STOP_FRAMES + BAR // 2)
    assert engine.report().loop.loop_id == "b"
    return engine


def test_a_new_prompt_leaves_a_rendered_transition_at_its_next_bar() -> None:
    engine = spliced(8)
    new = loaded(loop("new", epoch=1), 5)
    engine.add(new)
    engine.want(wanted(number=2, queue=(new.loop,), epoch=1, min_duration_s=4.0))
    tap, _ = render(engine, BAR // 2 + SKIP_FADE + BAR)
    assert engine.report().loop.loop_id == "new"
    assert np.array_equal(tap[: BAR // 2], noise(8 * BAR, 9)[BAR // 2 : BAR])
    after = tap[BAR // 2 + SKIP_FADE :]
    assert np.array_equal(after, going_round(new, SKIP_FADE, len(after)))


@pytest.mark.parametrize("bars", [1, 3])
def test_a_rendered_transition_that_nobody_interrupts_or_that_ends_with_this_bar_sounds_to_its_end(bars: int) -> None:
    engine = spliced(bars)
    if bars == 1:
        new = loaded(loop("new", epoch=1), 5)
        engine.add(new)
        engine.want(wanted(number=2, queue=(new.loop,), epoch=1, min_duration_s=4.0))
    else:
        engine.want(wanted(number=2, queue=(B.loop, A.loop), min_duration_s=4.0))
    tap, _ = render(engine, bars * BAR - BAR // 2)
    assert np.array_equal(tap, noise(bars * BAR, 9)[BAR // 2 :])


def test_a_rendered_transition_never_leaves_out_of_the_middle_of_a_move() -> None:
    piece = loaded(loop("p", 8 * BAR, bars=8), 6)
    done = Transition(
        from_loop="p", to_loop="b", kind="blend", path="x.wav", frames=3 * BAR, exit_frame=7 * BAR, entry_frame=0
    )
    engine = engine_of(piece, min_duration_s=10.0)
    render(engine, 22 * BAR + 960)  # in the last two bars of the third pass, where a single loop makes its move
    engine.add(B)
    engine.add_transition(LoadedTransition(done, Samples.of(noise(3 * BAR, 9))))
    tap, _ = render(engine, 16 * BAR)
    assert not np.array_equal(tap[:960], audio_of(piece)[6 * BAR + 960 : 6 * BAR + 1920])
    passed = tap[2 * BAR - 960 :]
    assert np.array_equal(passed[: 7 * BAR], audio_of(piece)[: 7 * BAR])
    assert np.array_equal(passed[7 * BAR : 10 * BAR], noise(3 * BAR, 9))


def test_it_foretells_where_a_song_will_have_lasted_its_time() -> None:
    piece = loaded(loop("p", 12 * BAR, bars=12, sections=sections("A", "A'", "B", frames=4 * BAR)), 6)
    for seconds, frame in ((1.0, 2 * BAR), (2.0, 4 * BAR), (5.0, 10 * BAR), (7.0, 2 * BAR), (12.5, 9 * BAR)):
        engine = engine_of(piece, B, min_duration_s=seconds)
        assert engine.report().leave_frame == frame
        render(engine, STATION_RATE // 2)
        assert engine.report().leave_frame == frame


def test_a_transition_of_another_kind_than_wanted_is_left_alone() -> None:
    done = Transition(
        from_loop="a", to_loop="b", kind="blend", path="x.wav", frames=3 * BAR, exit_frame=2 * BAR, entry_frame=0
    )
    engine = engine_of(A, B, min_duration_s=4.0, transition="fade")
    engine.add_transition(LoadedTransition(done, Samples.of(noise(3 * BAR, 9))))
    render(engine, 6 * STATION_RATE)
    assert engine.report().entered.startswith("fade on the bar")


@pytest.mark.parametrize("overlap", ["off", "cut"])
def test_without_fades_the_change_is_a_cut_on_the_bar(overlap: str) -> None:
    engine = begun(A, B, transition=overlap, variation="off", min_duration_s=3.0)
    tap, _ = render(engine, 4 * STATION_RATE)
    at = 4 * STATION_RATE - STOP_FRAMES
    assert np.array_equal(tap[at + 960 :], going_round(B, 960, len(tap) - at - 960))
