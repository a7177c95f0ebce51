"""The chunks of a WAV that say how it loops, how fast it is and what it is. Pure.

Sources: Microsoft's RIFF MCI reference (``smpl``, ``cue ``, ``LIST``), Sonic Foundry's ``acid`` chunk as other programs
read it; an ID3 tag in a chunk ``id3 `` is where taggers look in a WAV.
"""

from __future__ import annotations

import struct

from services.controller.saving.id3 import id3_tag
from services.controller.saving.tags import APPLICATION, Tags

MOST_BYTES = 2**32 - 2**20
"""A RIFF file counts its bytes in 32 bits; the chunks have their room."""
_MIDDLE_C = 60
_NOTES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ROOT_SET, _STRETCH = 0x02, 0x04
_FORWARD, _FOREVER = 0, 0


def chunks(tags: Tags, rate: int) -> bytes:
    """Everything that follows the samples.

    Parameters
    ----------
    rate : hertz
    """
    found: list[tuple[bytes, bytes]] = []
    if tags.loop_frames:
        found += [(b"smpl", _smpl(tags, rate)), (b"cue ", _cue(tags)), (b"LIST", _labels())]
    if tags.bpm and tags.quarters:
        found.append((b"acid", _acid(tags.bpm, tags.quarters, tags.meter, tags.key)))
    found += [(b"LIST", _info(tags)), (b"id3 ", id3_tag(tags))]
    return b"".join(_chunk(name, body) for name, body in found)


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _smpl(tags: Tags, rate: int) -> bytes:
    head = struct.pack("<9I", 0, 0, round(1e9 / rate), _MIDDLE_C, 0, 0, 0, 1, 0)
    return head + struct.pack("<6I", 1, _FORWARD, 0, tags.loop_frames - 1, 0, _FOREVER)  # the end is inclusive


def _cue(tags: Tags) -> bytes:
    points = [(1, 0), (2, tags.loop_frames - 1)]
    return struct.pack("<I", len(points)) + b"".join(
        struct.pack("<II4sIII", number, frame, b"data", 0, 0, frame) for number, frame in points
    )


def _labels() -> bytes:
    body = b"adtl"
    for number, words in ((1, b"Loop Start\0"), (2, b"Loop End\0")):
        body += _chunk(b"labl", struct.pack("<I", number) + words)
    return body


def _info(tags: Tags) -> bytes:
    body = b"INFO"
    fields = (
        (b"INAM", tags.title),
        (b"IART", tags.artist),
        (b"IGNR", tags.genre),
        (b"ICMT", tags.comment),
        (b"ISFT", APPLICATION),
    )
    for name, words in fields:
        if words:
            body += _chunk(name, words.encode() + b"\0")
    return body


def _acid(bpm: float, quarters: float, meter: tuple[int, int], key: str) -> bytes:
    flags, root = _STRETCH, _MIDDLE_C
    if key:
        flags |= _ROOT_SET
        root += _NOTES[key[0]] + key.count("#") - key.count("b")
    return struct.pack("<IHHfIHHf", flags, root, 0x8000, 0.0, round(quarters), meter[1], meter[0], bpm)
