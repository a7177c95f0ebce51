"""Every listener gets the same stream; the newcomer a burst, the one who does not read its leave."""

import asyncio

import pytest

from services.dashboard.audience import MOST_LISTENERS, QUEUE_BYTES, Audience, Listener
from services.dashboard.transmitter import BURST_BYTES, Chunk

FRAME = 480


def chunk(number: int, run: int = 1) -> Chunk:
    return Chunk(run, number.to_bytes(4, "big") * (FRAME // 4), f"title {number}")


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def audience(calls: list[str]) -> Audience:
    return Audience(lambda run: calls.append(f"begin {run}"), lambda: calls.append("end"))


def heard(listener: Listener, count: int) -> list[Chunk]:
    async def read() -> list[Chunk]:
        return [await asyncio.wait_for(listener.next(), 1.0) for _ in range(count)]

    return asyncio.run(read())


def test_the_encoder_runs_from_the_first_listener_to_the_last(audience: Audience, calls: list[str]) -> None:
    first, second = audience.join(), audience.join()
    audience.leave(first)
    audience.leave(first)  # leaving twice changes nothing
    assert calls == ["begin 1"]
    assert audience.count == 1
    audience.leave(second)
    assert calls == ["begin 1", "end"]
    audience.join()
    assert calls == ["begin 1", "end", "begin 2"]


def test_all_hear_the_same_in_order(audience: Audience) -> None:
    listeners = [audience.join() for _ in range(3)]
    sent = [chunk(number) for number in range(20)]
    for each in sent:
        audience.publish(each)
    for listener in listeners:
        assert heard(listener, 20) == sent


def test_a_newcomer_gets_the_last_seconds_at_once_in_whole_chunks(audience: Audience) -> None:
    audience.join()
    total = 3 * BURST_BYTES // FRAME
    for number in range(total):
        audience.publish(chunk(number))
        if number % 100 == 0:
            audience.join()  # readers come and go meanwhile
    late = audience.join()
    burst = -(-BURST_BYTES // FRAME)
    assert heard(late, burst) == [chunk(number) for number in range(total - burst, total)]


def test_who_does_not_read_is_let_go_and_the_others_stay(audience: Audience) -> None:
    slow, quick = audience.join(), audience.join()
    sent = [chunk(number) for number in range(QUEUE_BYTES // FRAME + 2)]

    async def read() -> list[Chunk]:
        read = []
        for each in sent:
            audience.publish(each)
            read.append(await asyncio.wait_for(quick.next(), 1.0))
        return read

    assert asyncio.run(read()) == sent
    assert slow.gone.is_set()
    assert not quick.gone.is_set()
    assert (audience.count, audience.dropped) == (1, 1)


def test_what_an_earlier_run_left_is_not_heard(audience: Audience) -> None:
    audience.leave(audience.join())
    listener = audience.join()
    audience.publish(chunk(1, run=1))
    audience.publish(chunk(2, run=2))
    assert heard(listener, 1) == [chunk(2, run=2)]


def test_the_audience_is_bounded_and_let_go_at_the_end(audience: Audience, calls: list[str]) -> None:
    listeners = [audience.join() for _ in range(MOST_LISTENERS)]
    assert audience.full
    audience.dismiss()
    assert all(listener.gone.is_set() for listener in listeners)
    assert calls[-1] == "end"
