"""Messages survive the wire, and what is malformed is refused in words."""

import msgspec
import pytest

from shared import messages
from shared.errors import ProtocolError
from shared.messages import PROTOCOL, Clip, Job, LoopReady, Wanted, decode, encode
from shared.music import BeatGrid, Loop, Recipe, Section

LOOP = Loop(
    loop_id="l1",
    job_id="j1",
    epoch=3,
    path="/cache/l1.wav",
    frames=96_000,
    bpm=120.0,
    grid=BeatGrid(beats=(0, 24_000, 48_000, 72_000), downbeats=(0,)),
    sections=(Section(label="A'", start=0, end=96_000, bars=1),),
    recipe=Recipe(prompt="rain – 雨", backend="composer", options={"swing": 0.6, "drums": False}),
)


@pytest.mark.parametrize(
    "message",
    [
        Job(job_id="j1", token="t1", epoch=3, prompt="calm piano", bars=8),
        LoopReady(loop=LOOP),
        Wanted(number=7, playing=True, queue=(LOOP, LOOP)),
        Clip(
            job_id="j1",
            token="t1",
            epoch=3,
            recipe=Recipe(prompt="x", backend="composer"),
            sample_rate=48_000,
            frames=5,
            channels=2,
        ),
    ],
)
def test_what_is_encoded_is_decoded(message: messages.AnyMessage) -> None:
    assert decode(encode(message)) == message


def test_unknown_fields_are_ignored() -> None:
    body = {"type": "LoopLoaded", "loop_id": "l1", "colour": "blue"}
    assert decode(msgspec.msgpack.encode((PROTOCOL, body))) == messages.LoopLoaded(loop_id="l1")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "truncated"),
        (b"\xc1garbage", "understood"),
        (msgspec.msgpack.encode((PROTOCOL, {"type": "LoopLoaded"})), "loop_id"),
        (msgspec.msgpack.encode((PROTOCOL, {"type": "LoopLoaded", "loop_id": 5})), "str"),
        (msgspec.msgpack.encode((PROTOCOL, {"type": "LoopLoaded", "loop_id": "../../etc"})), "regex"),
        (msgspec.msgpack.encode((PROTOCOL, {"type": "NoSuch"})), "NoSuch"),
        (msgspec.msgpack.encode((PROTOCOL + 1, {"type": "LoopLoaded", "loop_id": "l1"})), "protocol"),
        (encode(LoopReady(loop=LOOP))[:-3], "truncated"),
    ],
)
def test_what_is_malformed_is_refused_in_words(data: bytes, word: str) -> None:
    with pytest.raises(ProtocolError, match=word):
        decode(data)
