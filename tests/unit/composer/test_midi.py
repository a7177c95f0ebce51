"""The MIDI file holds the score: read back by a reader of its own."""

from __future__ import annotations

import struct

import pytest

from services.generator.backends.composer.midi import TICKS, midi_bytes
from services.generator.backends.composer.plan import Asked
from services.generator.backends.composer.style import builtin
from tests.unit.composer.pieces import STYLES, piece


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    while True:
        byte = data[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at


def _tracks(data: bytes) -> list[list[tuple[int, bytes]]]:
    kind, length, form, count, ticks = struct.unpack(">4sIHHH", data[:14])
    assert (kind, length, form, ticks) == (b"MThd", 6, 1, TICKS)
    at, tracks = 14, []
    for _ in range(count):
        assert data[at : at + 4] == b"MTrk"
        end = at + 8 + struct.unpack(">I", data[at + 4 : at + 8])[0]
        at, tick, found = at + 8, 0, []
        while at < end:
            delta, at = _number(data, at)
            tick += delta
            status = data[at]
            if status == 0xFF:
                size, body = _number(data, at + 2)
                found.append((tick, data[at : at + 2] + data[body : body + size]))
                at = body + size
            else:
                size = 2 if status & 0xF0 == 0xC0 else 3
                found.append((tick, data[at : at + size]))
                at += size
        assert at == end
        assert found[-1][1] == b"\xff\x2f"
        tracks.append(found)
    assert at == len(data)
    return tracks


@pytest.mark.parametrize("style", STYLES[::3])
def test_every_note_is_written_and_let_go(style: str) -> None:
    score = piece(builtin()[style].name)
    tracks = _tracks(midi_bytes(score))
    parts = score.sections[0].parts
    assert len(tracks) == 1 + len(parts)
    for part, track in zip(parts, tracks[1:], strict=True):
        assert track[0][1] == b"\xff\x03" + part.name.encode()
        sounding: set[int] = set()
        for _, event in track:
            if event[0] & 0xF0 == 0x90:
                assert event[1] not in sounding
                sounding.add(event[1])
                assert (event[0] & 0x0F == 9) == part.percussion
            elif event[0] & 0xF0 == 0x80:
                sounding.remove(event[1])
        assert not sounding


def test_tempo_meter_key_and_sections_are_written() -> None:
    score = piece("lo-fi", 1, Asked(bpm=80, meter="6/8", key="D minor", bars=4, piece=True))
    events = [event for _, event in _tracks(midi_bytes(score))[0]]
    assert b"\xff\x51" + (750_000).to_bytes(3, "big") in events
    assert any(event[:4] == b"\xff\x58\x06\x03" for event in events)
    assert b"\xff\x59\xff\x01" in events
    markers = [(tick, event[2:]) for tick, event in _tracks(midi_bytes(score))[0] if event[:2] == b"\xff\x06"]
    assert markers[:3] == [(0, b"A"), (12 * TICKS, b"A'"), (24 * TICKS, b"B")]
