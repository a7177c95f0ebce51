"""Songs, skips, pauses and timers: the whole of the player's sound as a function of frames."""

from __future__ import annotations

import tracemalloc

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.player.engine import Engine
from services.player.gains import PAUSE_FRAMES, STOP_FRAMES
from services.player.samples import Samples
from services.player.schedule import SKIP_FADE
from services.player.store import LoadedLoop, LoadedTransition
from shared.messages import Wanted, decode, encode
from shared.music import Jump, Section, Transition
from shared.units import STATION_RATE
from tests.unit.player.material import at_once, audio_of, loaded, loop, noise, render, sections, wanted

BAR = STATION_RATE // 2
A = loaded(loop("a"), 1)
B = loaded(loop("b"), 2)
C = loaded(loop("c"), 3)


def _engine(first: LoadedLoop = A, *others: LoadedLoop, block: int = 960, **fields: object) -> Engine:
    queue = tuple(held.loop for held in (first, *others))
    engine = Engine(first, wanted(**({"queue": queue} | fields)), at_once, block=block)
    for held in others:
        engine.add(held)
    return engine


def _begun(first: LoadedLoop = A, *others: LoadedLoop, **fields: object) -> Engine:
    """An engine after its fade-in."""
    engine = _engine(first, *others, **fields)
    render(engine, STOP_FRAMES)
    return engine


def _loops(held: LoadedLoop, start: int, frames: int) -> np.ndarray:
    """What the loop sounds like when it goes round."""
    return np.take(audio_of(held), np.arange(start, start + frames), axis=0, mode="wrap")


def test_it_fades_in_and_then_plays_the_loop_itself() -> None:
    tap, out = render(_engine(), 2 * STOP_FRAMES)
    assert np.abs(tap[:100]).max() < 1e-4
    assert np.array_equal(tap[STOP_FRAMES:], _loops(A, 0, STOP_FRAMES))
    assert np.array_equal(tap, out)


def test_the_loop_wraps_to_the_sample_for_as_long_as_it_plays() -> None:
    piece = loaded(loop("a", bars=1), 1)
    engine = _begun(piece, variation="off")
    frames = 9 * A.samples.frames
    assert np.array_equal(render(engine, frames)[0], _loops(A, 0, frames))


def test_without_moves_the_second_half_comes_once_more_in_every_third_pass_and_then_the_beginning() -> None:
    engine = _begun(variation="off", min_duration_s=300.0)
    frames = A.samples.frames
    tap, _ = render(engine, 4 * frames)  # after one pass: A, A' (one and a half), A …
    assert np.array_equal(tap[: 2 * frames - 960], _loops(A, 0, 2 * frames - 960))
    assert np.array_equal(tap[2 * frames : 2 * frames + frames // 2], _loops(A, frames // 2, frames // 2))
    assert np.array_equal(tap[2 * frames + frames // 2 :], _loops(A, 0, frames + frames // 2))


@settings(max_examples=15, deadline=None)
@given(blocks=st.lists(st.integers(1, 4_000), min_size=10, max_size=40), seed=st.integers(0, 100))
def test_the_same_messages_at_the_same_frames_give_the_same_bits(blocks: list[int], seed: int) -> None:
    drawn = np.random.default_rng(seed)
    jump = Jump(source=3 * BAR, target=BAR, crossfade=480)
    first = loaded(loop("a", jumps=(jump,)), 1)
    queue = (first.loop, B.loop, C.loop)
    engines = [Engine(first, wanted(queue=queue, min_duration_s=1.0), at_once, block=4_000) for _ in range(2)]
    for engine in engines:
        engine.add(B)
        engine.add(C)
    for number, count in enumerate(blocks):
        change = wanted(
            number + 2,
            queue=queue,
            playing=bool(drawn.integers(0, 4)),
            volume=int(drawn.integers(0, 101)),
            skips=int(drawn.integers(0, number + 1)),
            min_duration_s=1.0,
            hold=bool(drawn.integers(0, 2)),
        )
        whole = [np.empty((count, 2), np.float32) for _ in range(2)]
        for engine in engines:
            engine.want(change)
        engines[0].render(*whole)
        tap, out = render(engines[1], count, block=int(drawn.integers(1, 1_000)))
        assert np.array_equal(whole[0], tap)
        assert np.array_equal(whole[1], out)


def test_a_pause_is_silent_after_20_ms_and_goes_on_at_the_next_sample() -> None:
    engine = _begun(variation="off")
    engine.want(wanted(2, queue=(A.loop,), playing=False, variation="off"))
    tap, _ = render(engine, 4 * PAUSE_FRAMES)
    assert np.abs(tap[PAUSE_FRAMES - 10 : PAUSE_FRAMES]).max() < 1e-3
    assert not tap[PAUSE_FRAMES:].any()
    engine.want(wanted(3, queue=(A.loop,), variation="off"))
    tap, _ = render(engine, 4 * PAUSE_FRAMES)
    assert np.array_equal(tap[PAUSE_FRAMES:], _loops(A, 2 * PAUSE_FRAMES, 3 * PAUSE_FRAMES))


def test_what_a_recording_gets_knows_nothing_of_pause_and_volume() -> None:
    engine = _engine(volume=30, variation="off")
    tap, out = np.empty((960, 2), np.float32), np.empty((960, 2), np.float32)
    recorded = []
    for number in range(400):
        if number % 50 == 25:
            engine.want(wanted(number, queue=(A.loop,), playing=number % 100 == 75, volume=30, variation="off"))
        recorded.append(engine.programme[: engine.render(tap, out)].copy())
    programme = np.concatenate(recorded)
    assert STATION_RATE < len(programme) < 400 * 960
    assert np.array_equal(programme, _loops(A, 0, len(programme)))


def test_stop_fades_for_two_seconds_and_is_silent_from_the_start_when_it_was_said_yesterday() -> None:
    engine = _begun()
    engine.want(wanted(2, playing=False, stopped=True))
    tap, _ = render(engine, STOP_FRAMES + 960)
    assert np.abs(tap[STOP_FRAMES // 2 : STOP_FRAMES // 2 + 960]).max() > 0.02
    assert not tap[STOP_FRAMES:].any()
    silent = Engine(A, wanted(playing=False, stopped=True), at_once)
    assert not render(silent, 48_000)[0].any()
    assert silent.report().frames == 0


def test_volume_touches_the_output_and_not_the_tap() -> None:
    engine = _begun(variation="off")
    engine.want(wanted(2, queue=(A.loop,), volume=50, variation="off"))
    tap, out = render(engine, 9_600)
    assert np.array_equal(tap, _loops(A, 0, 9_600))
    assert np.array_equal(out[2_400:], tap[2_400:] * np.float32(0.125))
    assert np.abs(np.diff(out[:2_400, 0] / np.where(tap[:2_400, 0] == 0, 1, tap[:2_400, 0]))).max() < 0.01


def test_a_song_lasts_its_time_and_then_fades_at_the_phrase_into_the_first_downbeat_of_the_next() -> None:
    engine = _begun(A, B, variation="light", min_duration_s=5.0)
    render(engine, 6 * STATION_RATE - STOP_FRAMES - 960)  # phrases of this loop end every 2 s: at 6 s
    assert engine.report().loop.loop_id == "a"
    assert engine.report().next_loop == B.loop
    tap, _ = render(engine, 4 * STATION_RATE + 960)
    assert engine.report().loop.loop_id == "b"
    assert engine.report().song_frames == 4 * STATION_RATE
    fade = 2 * BAR
    assert np.array_equal(tap[:960], _loops(A, A.samples.frames - 960, 960))
    assert not np.array_equal(tap[960 : 960 + fade], _loops(B, 0, fade))
    assert np.array_equal(tap[960 + fade :], _loops(B, fade, 4 * STATION_RATE - fade))


def test_hold_stays_until_it_is_let_go() -> None:
    engine = _begun(A, B, min_duration_s=3.0, hold=True)
    render(engine, 20 * STATION_RATE)
    assert engine.report().loop.loop_id == "a"
    engine.want(wanted(2, queue=(A.loop, B.loop), min_duration_s=3.0))
    render(engine, 3 * STATION_RATE)
    assert engine.report().loop.loop_id == "b"


def test_the_queue_can_be_seen_put_into_another_order_and_cleared() -> None:
    engine = _begun(A, B, C, min_duration_s=300.0)
    assert engine.report().ahead == ("b", "c")
    engine.want(wanted(2, queue=(A.loop, C.loop, B.loop), min_duration_s=300.0))
    report = engine.report()
    assert (report.next_loop, report.ahead) == (C.loop, ("c", "b"))
    engine.want(wanted(3, queue=(), min_duration_s=3.0))
    engine.keep({"a"})
    render(engine, 20 * STATION_RATE)
    report = engine.report()
    assert (report.loop.loop_id, report.songs, report.ahead, report.next_loop) == ("a", 1, (), None)
    engine.add(B)
    engine.want(wanted(4, queue=(A.loop, B.loop), min_duration_s=3.0))
    render(engine, 3 * STATION_RATE)
    assert engine.report().loop.loop_id == "b"


def test_skip_changes_at_the_next_bar_once_for_each_time_it_was_said() -> None:
    engine = _begun(A, B, C, variation="off", min_duration_s=300.0)
    render(engine, 1_000)
    ask = wanted(2, queue=(A.loop, B.loop, C.loop), skips=1, variation="off", min_duration_s=300.0)
    engine.want(ask)
    engine.want(ask)
    tap, _ = render(engine, 3 * STATION_RATE)
    assert np.array_equal(tap[: BAR - 1_000], _loops(A, 1_000, BAR - 1_000))
    after = BAR - 1_000 + SKIP_FADE
    assert np.array_equal(tap[after:], _loops(B, SKIP_FADE, len(tap) - after))
    assert engine.report().skips_done == 1


def test_five_skips_at_once_are_not_five_changes() -> None:
    engine = _begun(A, B, C, min_duration_s=300.0)
    engine.want(wanted(2, queue=(A.loop, B.loop, C.loop), skips=5, min_duration_s=300.0))
    render(engine, 6 * STATION_RATE)
    report = engine.report()
    assert (report.loop.loop_id, report.songs, report.skips_done) == ("c", 2, 5)


def test_a_skip_with_nothing_to_skip_to_waits_for_the_next_loop() -> None:
    engine = _begun(A, min_duration_s=300.0)
    engine.want(wanted(2, queue=(A.loop,), skips=1, min_duration_s=300.0))
    render(engine, 3 * STATION_RATE)
    engine.add(B)
    render(engine, STATION_RATE)
    assert engine.report().loop.loop_id == "b"


def test_counters_that_were_there_before_the_player_are_not_acted_on() -> None:
    engine = _engine(A, B, skips=7, backs=3, min_duration_s=300.0)
    render(engine, 5 * STATION_RATE)
    assert engine.report().loop.loop_id == "a"


def test_back_returns_to_the_song_before() -> None:
    engine = _begun(A, B, C, min_duration_s=300.0)
    queue = (A.loop, B.loop, C.loop)
    engine.want(wanted(2, queue=queue, skips=2, min_duration_s=300.0))
    render(engine, 3 * STATION_RATE)
    engine.want(wanted(3, queue=queue, skips=2, backs=1, min_duration_s=300.0))
    render(engine, 3 * STATION_RATE)
    assert engine.report().loop.loop_id == "a"
    assert engine.report().backs_done == 1


def test_back_in_the_first_song_stays_and_is_not_remembered() -> None:
    engine = _begun(A, B, min_duration_s=300.0)
    queue = (A.loop, B.loop)
    engine.want(wanted(2, queue=queue, backs=1, min_duration_s=300.0))
    engine.want(wanted(3, queue=queue, backs=1, skips=1, min_duration_s=300.0))
    render(engine, 6 * STATION_RATE)
    assert engine.report().loop.loop_id == "b"


def test_a_start_up_loop_hands_over_at_the_next_bar_whatever_the_length_of_a_song() -> None:
    startup = loaded(loop("s", startup=True), 4)
    engine = _engine(startup, min_duration_s=300.0, queue=())
    render(engine, 1_000)
    engine.add(B)
    render(engine, BAR)
    assert engine.report().loop.loop_id == "b"


def test_a_bridge_ends_at_the_phrase_when_what_was_asked_for_is_there() -> None:
    bridge = loaded(loop("bridge", bridge=True, epoch=2), 4)
    fresh = loaded(loop("fresh", epoch=2), 5)
    engine = _engine(bridge, min_duration_s=300.0, queue=(bridge.loop, fresh.loop))
    render(engine, 1_000)
    engine.add(fresh)
    render(engine, 4 * BAR - 2_000)
    assert engine.report().loop.loop_id == "bridge"
    render(engine, 2_000)
    assert engine.report().loop.loop_id == "fresh"


def test_a_new_prompt_is_heard_at_the_next_bar() -> None:
    fresh = loaded(loop("fresh", epoch=2), 5)
    engine = _begun(A, B, min_duration_s=300.0)
    engine.add(fresh)
    engine.want(wanted(2, queue=(fresh.loop,), epoch=2, min_duration_s=300.0))
    render(engine, BAR + 960)
    assert engine.report().loop.loop_id == "fresh"


def test_a_loop_of_an_earlier_prompt_is_heard_at_the_next_bar_where_the_queue_names_it_for_the_new_one() -> None:
    engine = _begun(A, B, min_duration_s=300.0)
    engine.want(wanted(2, queue=(msgspec.structs.replace(B.loop, epoch=2),), epoch=2, min_duration_s=300.0))
    render(engine, BAR + 960)
    assert engine.report().loop.loop_id == "b"


def test_with_the_controller_gone_it_goes_round_the_loops_it_holds() -> None:
    engine = _begun(A, B, C, min_duration_s=3.0)
    heard = []
    for _ in range(30):
        render(engine, STATION_RATE)
        name = engine.report().loop.loop_id
        heard += [name] if heard[-1:] != [name] else []
    assert heard[:7] == ["a", "b", "c", "a", "b", "c", "a"]


def test_sections_are_played_as_a_song() -> None:
    piece = loaded(loop("p", 12 * BAR, bars=12, sections=sections("A", "A'", "B", frames=4 * BAR)), 6)
    engine = _begun(piece, variation="off", min_duration_s=300.0)
    render(engine, 16 * BAR - STOP_FRAMES)
    tap, _ = render(engine, 16 * BAR)
    audio, part = audio_of(piece), 4 * BAR
    expected = [audio[:part], audio[part : 2 * part], audio[2 * part :], audio[:part]]
    assert np.array_equal(tap, np.concatenate(expected))


def test_a_stretch_of_a_stream_is_played_once_in_its_order_and_then_left() -> None:
    piece = loaded(loop("p", 10 * BAR, bars=None, sections=_piece()), 6)
    engine = _begun(piece, A, once=True, min_duration_s=300.0)
    assert engine.report().song_length == 10 * BAR
    assert engine.report().leave_frame == 10 * BAR
    tap, _ = render(engine, 10 * BAR - STOP_FRAMES)
    assert np.array_equal(tap, audio_of(piece)[STOP_FRAMES:])
    render(engine, 960)
    assert engine.report().loop.loop_id == "a"


def test_a_stream_that_ran_dry_repeats_its_last_long_section_in_time_until_more_is_there() -> None:
    piece = loaded(loop("p", 10 * BAR, bars=None, sections=_piece()), 6)
    engine = _begun(piece, once=True, min_duration_s=300.0)
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
    engine = _begun(piece, variation="off", min_duration_s=300.0)
    render(engine, 16 * BAR - STOP_FRAMES)
    tap, _ = render(engine, 10 * BAR)
    audio = audio_of(piece)
    assert np.array_equal(tap[: 4 * BAR - cross], audio[: 4 * BAR - cross])
    assert np.array_equal(tap[4 * BAR :], audio[2 * BAR :])
    joined = tap[4 * BAR - cross : 4 * BAR]
    assert np.abs(joined).max() <= 0.1
    assert not np.array_equal(joined, audio[4 * BAR - cross : 4 * BAR])


def test_a_move_changes_the_last_bars_of_a_pass_and_nothing_else() -> None:
    engine = _begun(loaded(loop("p", 8 * BAR, bars=8), 6), min_duration_s=300.0, hold=True)
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
    engine = _begun(A, B, variation="off", min_duration_s=4.0)
    engine.add_transition(LoadedTransition(done, Samples.of(audio)))
    tap, _ = render(engine, 8 * STATION_RATE - STOP_FRAMES)
    exit_at = 5 * STATION_RATE - STOP_FRAMES  # the first time after 4 s that the loop comes past frame 1 s
    assert np.array_equal(tap[:exit_at], _loops(A, 0, exit_at))
    assert np.array_equal(tap[exit_at : exit_at + 3 * BAR], audio)
    rest = tap[exit_at + 3 * BAR :]
    assert np.array_equal(rest, _loops(B, BAR, len(rest)))


def test_a_rendered_transition_never_leaves_out_of_the_middle_of_a_move() -> None:
    piece = loaded(loop("p", 8 * BAR, bars=8), 6)
    done = Transition(
        from_loop="p", to_loop="b", kind="blend", path="x.wav", frames=3 * BAR, exit_frame=7 * BAR, entry_frame=0
    )
    engine = _engine(piece, min_duration_s=10.0)
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
        engine = _engine(piece, B, min_duration_s=seconds)
        assert engine.report().leave_frame == frame
        render(engine, STATION_RATE // 2)
        assert engine.report().leave_frame == frame


def test_a_transition_of_another_kind_than_wanted_is_left_alone() -> None:
    done = Transition(
        from_loop="a", to_loop="b", kind="blend", path="x.wav", frames=3 * BAR, exit_frame=2 * BAR, entry_frame=0
    )
    engine = _engine(A, B, min_duration_s=4.0, transition="fade")
    engine.add_transition(LoadedTransition(done, Samples.of(noise(3 * BAR, 9))))
    render(engine, 6 * STATION_RATE)
    assert engine.report().entered.startswith("fade on the bar")


def test_levels_are_matched_without_pushing_a_peak_over_the_limit() -> None:
    quiet = loaded(loop("q", lufs=-20.0, true_peak_dbtp=-9.0), 7)
    tap, _ = render(_begun(quiet, variation="off"), 9_600)
    assert np.allclose(tap, audio_of(quiet)[:9_600] * 10 ** (4 / 20), rtol=1e-6)
    spiky = loaded(loop("q", lufs=-20.0, true_peak_dbtp=-3.0), 7)
    tap, _ = render(_begun(spiky, variation="off"), 9_600)
    assert np.allclose(tap, audio_of(spiky)[:9_600] * 10 ** (2 / 20), rtol=1e-6)
    near = loaded(loop("q", lufs=-16.4), 7)
    assert np.array_equal(render(_begun(near, variation="off"), 9_600)[0], audio_of(near)[:9_600])


def test_the_sleep_timer_is_silent_in_time_and_a_later_wish_wakes_the_same_song() -> None:
    engine = _begun(variation="off")
    engine.want(wanted(2, queue=(A.loop,), fade_out_s=3.0, variation="off"))
    tap, _ = render(engine, 4 * STATION_RATE)
    assert np.abs(tap[: STATION_RATE // 2]).max() > 0.08
    assert not tap[3 * STATION_RATE :].any()
    heard = engine.report().frames
    render(engine, STATION_RATE)
    assert engine.report().frames == heard == STOP_FRAMES + 3 * STATION_RATE
    engine.want(wanted(3, queue=(A.loop,), variation="off"))
    tap, _ = render(engine, 9_600)
    assert np.array_equal(tap[960:], _loops(A, STATION_RATE + 960, 9_600 - 960))


def test_a_block_of_programme_tap_and_output_allocates_no_array_in_steady_state() -> None:
    engine = _begun(A, volume=50, min_duration_s=300.0, variation="off")
    tap, out = np.empty((960, 2), np.float32), np.empty((960, 2), np.float32)
    for _ in range(60):
        engine.render(tap, out)
    taken = []
    tracemalloc.start()
    try:
        for _ in range(5):  # the test runner's own thread may take something during one of them
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            for _ in range(30):
                engine.render(tap, out)
            taken.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    assert min(taken) < tap.nbytes // 4


def test_it_lets_go_of_loops_but_never_of_the_one_that_sounds() -> None:
    engine = _begun(A, B, C)
    engine.keep({"c"})
    assert engine.report().held == ("a", "c") or set(engine.report().held) == {"a", "b", "c"}
    engine.keep(set())
    assert "a" in engine.report().held


@pytest.mark.parametrize("overlap", ["off", "cut"])
def test_without_fades_the_change_is_a_cut_on_the_bar(overlap: str) -> None:
    engine = _begun(A, B, transition=overlap, variation="off", min_duration_s=3.0)
    tap, _ = render(engine, 4 * STATION_RATE)
    at = 4 * STATION_RATE - STOP_FRAMES
    assert np.array_equal(tap[at + 960 :], _loops(B, 960, len(tap) - at - 960))


def test_the_same_wanted_state_twice_changes_nothing() -> None:
    engine = _begun(A, B, min_duration_s=300.0)
    state = wanted(2, queue=(A.loop, B.loop), fade_out_s=5.0, min_duration_s=300.0)
    engine.want(state)
    render(engine, 4 * STATION_RATE)
    again = decode(encode(state))
    assert isinstance(again, Wanted)
    engine.want(again)
    assert not render(engine, 2 * STATION_RATE)[0][STATION_RATE:].any()
