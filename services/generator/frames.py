"""What the generator's service and its inference child say to each other over two pipes, and how it is framed.

A frame is four bytes of length, big-endian, and that many bytes of msgpack.

==================  ============================
direction           frames
==================  ============================
service → child     Begin, Make, MakeMany, Halt, Survey
child → service     Up, Step, Made, Missed
==================  ============================
"""

from __future__ import annotations

from typing import Generic, TypeAlias, TypeVar

import msgspec

from shared.errors import ProtocolError
from shared.messages import Capabilities, Job
from shared.music import Recipe, Truth
from shared.settings.generator import GeneratorSettings

LIMIT = 8 << 20
"""Bytes of the largest frame: the beat grid of a long piece has room in it many times over."""
_LENGTH = 4


class Frame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """Base of all frames; the tag is the class's name."""


class Begin(Frame, frozen=True, kw_only=True):
    """The first frame: where things lie and how the listener wants them."""

    config: str
    data: str
    cache: str
    state: str
    runtime: str
    settings: GeneratorSettings


class Make(Frame, frozen=True, kw_only=True):
    """Make this clip with this backend and write it to ``path``, as WAV or FLAC by its suffix."""

    job: Job
    backend: str
    path: str


class MakeMany(Frame, frozen=True, kw_only=True):
    """Make these clips of one prompt, at once where the backend can; answered for each, in their order."""

    orders: tuple[Make, ...]


class Halt(Frame, frozen=True, kw_only=True):
    """Give the job up; answered by ``Missed(cancelled=True)``."""

    job_id: str


class Survey(Frame, frozen=True, kw_only=True):
    """Look again what the backends can do; answered by ``Up``."""


class Up(Frame, frozen=True, kw_only=True):
    """The child is ready for a job."""

    capabilities: tuple[Capabilities, ...]


class Step(Frame, frozen=True, kw_only=True):
    job_id: str
    fraction: float
    stage: str = ""


class Made(Frame, frozen=True, kw_only=True):
    """The clip is on the disk, whole."""

    job_id: str
    path: str
    sample_rate: int
    frames: int
    channels: int
    recipe: Recipe
    truth: Truth | None = None
    codes_path: str | None = None
    midi: bytes | None = None
    generation_s: float
    download_s: float = 0.0
    cpu_s: float = 0.0
    """Seconds of processor, all of the child's threads together."""


class Missed(Frame, frozen=True, kw_only=True):
    """There is no clip, and one sentence why."""

    job_id: str
    reason: str
    retry: bool = True
    cancelled: bool = False
    refused: bool = False
    """The job, not the machine, is at fault."""


Order: TypeAlias = Begin | Make | MakeMany | Halt | Survey
Report: TypeAlias = Up | Step | Made | Missed
FrameT = TypeVar("FrameT")

_encoder = msgspec.msgpack.Encoder()
orders: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)
reports: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)


def pack(frame: Order | Report) -> bytes:
    """One frame with its length before it."""
    body = _encoder.encode(frame)
    return len(body).to_bytes(_LENGTH, "big") + body


class FrameReader(Generic[FrameT]):
    """Puts frames together again from whatever pieces a pipe hands over."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[FrameT]) -> None:
        self._decoder = decoder
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[FrameT]:
        """The frames that are complete now.

        Raises
        ------
        ProtocolError
            Not frames of ours: something else writes into the pipe.
        """
        self._buffer += data
        complete: list[FrameT] = []
        while len(self._buffer) >= _LENGTH:
            length = int.from_bytes(self._buffer[:_LENGTH], "big")
            if length > LIMIT:
                raise ProtocolError(f"A frame of {length} bytes came through a pipe that carries up to {LIMIT}.")
            if len(self._buffer) < _LENGTH + length:
                break
            body = bytes(self._buffer[_LENGTH : _LENGTH + length])
            del self._buffer[: _LENGTH + length]
            try:
                complete.append(self._decoder.decode(body))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ProtocolError(f"A frame could not be understood: {error}.") from error
        return complete
