"""Frames survive any cutting of the pipe, and what is not a frame is found out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.generator.frames import FrameReader, Halt, Make, Order, Survey, orders, pack
from shared.errors import ProtocolError
from shared.messages import Job

SENT: list[Order] = [
    Make(job=Job(job_id="j1", token="t", epoch=0, prompt="雨 " * 300), backend="composer", path="/c/j1.wav"),
    Halt(job_id="j1"),
    Survey(),
]


@settings(max_examples=40)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=30))
def test_frames_come_out_whole_however_the_pipe_cuts_them(cuts: list[int]) -> None:
    data, reader = b"".join(map(pack, SENT)), FrameReader(orders)
    got: list[Order] = []
    for cut in cuts:
        got += reader.feed(data[:cut])
        data = data[cut:]
    assert got + reader.feed(data) == SENT


@pytest.mark.parametrize("data", [b"\xff" * 8, b"\0\0\0\2\x00\x00", b"Traceback (most recent call last)"])
def test_what_is_not_a_frame_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        FrameReader(orders).feed(data)
