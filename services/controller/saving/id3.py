"""An ID3v2.4 tag: what a file says of itself, for MP3 and inside WAV. Pure.

Source: M. Nilsson, "ID3 tag version 2.4.0 – main structure" and "– native frames", 2000.
"""

from __future__ import annotations

from services.controller.saving.tags import APPLICATION, Tags

_UTF8 = b"\x03"


def id3_tag(tags: Tags) -> bytes:
    """The whole tag, which stands before the sound."""
    frames = [
        _text("TIT2", tags.title),
        _text("TPE1", tags.artist),
        _text("TCON", tags.genre),
        _text("TBPM", f"{tags.bpm:.0f}" if tags.bpm else ""),
        _text("TKEY", tags.key),
        _text("TSSE", APPLICATION),
        _frame("COMM", _UTF8 + b"eng\0" + tags.comment.encode()) if tags.comment else b"",
        *(_more(name, value) for name, value in (*tags.facts, ("APPLICATION", APPLICATION))),
    ]
    if tags.bpm:
        frames.append(_more("BPM", f"{tags.bpm:g}"))
    body = b"".join(frames)
    return b"ID3\x04\x00\x00" + _seven_bits(len(body)) + body


def _text(name: str, value: str) -> bytes:
    return _frame(name, _UTF8 + value.encode()) if value else b""


def _more(name: str, value: str) -> bytes:
    """A field that ID3 has no name for."""
    return _frame("TXXX", _UTF8 + name.encode() + b"\0" + value.encode())


def _frame(name: str, body: bytes) -> bytes:
    return name.encode() + _seven_bits(len(body)) + b"\0\0" + body


def _seven_bits(count: int) -> bytes:
    """Four bytes of seven bits each."""
    return bytes((count >> shift) & 0x7F for shift in (21, 14, 7, 0))
