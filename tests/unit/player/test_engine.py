"""The player's sound as a function of frames: transport, volume, levels, the sleep timer."""

from __future__ import annotations

import tracemalloc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.player.engine import Engine
from services.player.gains import PAUSE_FRAMES, STOP_FRAMES
from shared.messages import Wanted, decode, encode
from shared.music import Jump
from shared.units import STATION_RATE
from tests.unit.player.material import at_once, audio_of, begun, engine_of, going_round, loaded, loop, render, wanted

BAR = STATION_RATE // 2
A = loaded(loop("a"), 1)
B = loaded(loop("b"), 2)
C = loaded(loop("c"), 3)


def test_it_fades_in_and_then_plays_the_loop_itself() -> None:
    tap, out = render(engine_of(A), 2 * STOP_FRAMES)
    assert np.abs(tap[:100]).max() < 1e-4
    assert np.array_equal(tap[STOP_FRAMES:], going_round(A, 0, STOP_FRAMES))
    assert np.array_equal(tap, out)


@settings(max_examples=10, deadline=None)
@given(blocks=st.lists(st.integers(1, 4_000), min_size=10, max_size=25), seed=st.integers(0, 100))
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
    engine = begun(A, variation="off")
    engine.want(wanted(2, queue=(A.loop,), playing=False, variation="off"))
    tap, _ = render(engine, 4 * PAUSE_FRAMES)
    assert np.abs(tap[PAUSE_FRAMES - 10 : PAUSE_FRAMES]).max() < 1e-3
    assert not tap[PAUSE_FRAMES:].any()
    engine.want(wanted(3, queue=(A.loop,), variation="off"))
    tap, _ = render(engine, 4 * PAUSE_FRAMES)
    assert np.array_equal(tap[PAUSE_FRAMES:], going_round(A, 2 * PAUSE_FRAMES, 3 * PAUSE_FRAMES))


def test_what_a_recording_gets_knows_nothing_of_pause_and_volume() -> None:
    engine = engine_of(A, volume=30, variation="off")
    tap, out = np.empty((960, 2), np.float32), np.empty((960, 2), np.float32)
    recorded = []
    for number in range(400):
        if number % 50 == 25:
            engine.want(wanted(number, queue=(A.loop,), playing=number % 100 == 75, volume=30, variation="off"))
        recorded.append(engine.programme[: engine.render(tap, out)].copy())
    programme = np.concatenate(recorded)
    assert STATION_RATE < len(programme) < 400 * 960
    assert np.array_equal(programme, going_round(A, 0, len(programme)))


def test_stop_fades_for_two_seconds_and_is_silent_from_the_start_when_it_was_said_yesterday() -> None:
    engine = begun(A)
    engine.want(wanted(2, playing=False, stopped=True))
    tap, _ = render(engine, STOP_FRAMES + 960)
    assert np.abs(tap[STOP_FRAMES // 2 : STOP_FRAMES // 2 + 960]).max() > 0.02
    assert not tap[STOP_FRAMES:].any()
    silent = Engine(A, wanted(playing=False, stopped=True), at_once)
    assert not render(silent, 9_600)[0].any()
    assert silent.report().frames == 0


def test_volume_touches_the_output_and_not_the_tap() -> None:
    engine = begun(A, variation="off")
    engine.want(wanted(2, queue=(A.loop,), volume=50, variation="off"))
    tap, out = render(engine, 9_600)
    assert np.array_equal(tap, going_round(A, 0, 9_600))
    assert np.array_equal(out[2_400:], tap[2_400:] * np.float32(0.125))
    assert np.abs(np.diff(out[:2_400, 0] / np.where(tap[:2_400, 0] == 0, 1, tap[:2_400, 0]))).max() < 0.01


def test_levels_are_matched_without_pushing_a_peak_over_the_limit() -> None:
    quiet = loaded(loop("q", lufs=-20.0, true_peak_dbtp=-9.0), 7)
    tap, _ = render(begun(quiet, variation="off"), 9_600)
    assert np.allclose(tap, audio_of(quiet)[:9_600] * 10 ** (4 / 20), rtol=1e-6)
    spiky = loaded(loop("q", lufs=-20.0, true_peak_dbtp=-3.0), 7)
    tap, _ = render(begun(spiky, variation="off"), 9_600)
    assert np.allclose(tap, audio_of(spiky)[:9_600] * 10 ** (2 / 20), rtol=1e-6)
    near = loaded(loop("q", lufs=-16.4), 7)
    assert np.array_equal(render(begun(near, variation="off"), 9_600)[0], audio_of(near)[:9_600])


def test_the_sleep_timer_is_silent_in_time_and_a_later_wish_wakes_the_same_song() -> None:
    engine = begun(A, variation="off")
    engine.want(wanted(2, queue=(A.loop,), fade_out_s=3.0, variation="off"))
    tap, _ = render(engine, 4 * STATION_RATE)
    assert np.abs(tap[: STATION_RATE // 2]).max() > 0.08
    assert not tap[3 * STATION_RATE :].any()
    heard = engine.report().frames
    render(engine, STATION_RATE)
    assert engine.report().frames == heard == STOP_FRAMES + 3 * STATION_RATE
    engine.want(wanted(3, queue=(A.loop,), variation="off"))
    tap, _ = render(engine, 9_600)
    assert np.array_equal(tap[960:], going_round(A, STATION_RATE + 960, 9_600 - 960))


def test_a_block_of_programme_tap_and_output_allocates_no_array_in_steady_state() -> None:
    engine = begun(A, volume=50, min_duration_s=300.0, variation="off")
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
    engine = begun(A, B, C)
    engine.keep({"c"})
    assert engine.report().held == ("a", "c")
    engine.keep(set())
    assert "a" in engine.report().held


def test_the_same_wanted_state_twice_changes_nothing() -> None:
    engine = begun(A, B, min_duration_s=300.0)
    state = wanted(2, queue=(A.loop, B.loop), fade_out_s=5.0, min_duration_s=300.0)
    engine.want(state)
    render(engine, 4 * STATION_RATE)
    again = decode(encode(state))
    assert isinstance(again, Wanted)
    engine.want(again)
    assert not render(engine, 2 * STATION_RATE)[0][STATION_RATE:].any()
