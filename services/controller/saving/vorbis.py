"""The comments of FLAC and Ogg Vorbis, put in the place of those that the encoder wrote.

libsndfile writes a comment of any length before the sound, but not the loop's own fields. So a comment exactly as long
as ours is asked of it, and ours is written over it: nothing behind it moves, and a long file is never copied.

Sources: RFC 9639 (FLAC) section 8.6, the Vorbis I specification section 5, RFC 3533 (Ogg) section 6.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from services.controller.saving.tags import APPLICATION, Tags
from shared.errors import AudioFileError

_FLAC_COMMENT = 4
_OGG_COMMENT = b"\x03vorbis"
_OGG_FRAMING = len(_OGG_COMMENT) + 1
_HEADERS = 3
"""Packets before the sound of an Ogg Vorbis stream: identification, comment, setup."""
_PAGE_HEAD = 27
_VENDOR = f"{APPLICATION}: tags by the station, sound by libsndfile, libFLAC and libvorbis"
"""Longer than what these write of themselves, so that there is always room for it."""


def comments(tags: Tags) -> bytes:
    """The comment block; the loop's own fields come first."""
    fields: list[tuple[str, str]] = []
    if tags.loop_frames:
        fields += [("LOOPSTART", "0"), ("LOOPLENGTH", str(tags.loop_frames))]
    fields += [
        ("TITLE", tags.title),
        ("ARTIST", tags.artist),
        ("GENRE", tags.genre),
        ("COMMENT", tags.comment),
        ("BPM", f"{tags.bpm:g}" if tags.bpm else ""),
        ("INITIALKEY", tags.key),
        *tags.facts,
        ("APPLICATION", APPLICATION),
        ("ENCODER", APPLICATION),
    ]
    lines = [f"{name}={value}".encode() for name, value in fields if value]
    vendor = _VENDOR.encode()
    body = struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(lines))
    return body + b"".join(struct.pack("<I", len(line)) + line for line in lines)


def placeholder(block: bytes, container: str) -> str:
    """The comment to be asked of libsndfile, so that what it writes has the length of ``block``."""
    import io

    import numpy as np
    import soundfile

    trial = io.BytesIO()
    with soundfile.SoundFile(trial, "w", 48_000, 2, format=container) as sound:
        sound.comment = "-"
        sound.write(np.zeros((1, 2), np.float32))
    written = _find_in_flac(trial)[1] if container == "FLAC" else len(_packets(_header_pages(trial))[1]) - _OGG_FRAMING
    return "-" * (1 + len(block) - written)


def write_flac_comments(file: BinaryIO, block: bytes) -> None:
    """Put ``block`` over the comments of the FLAC in ``file``."""
    at, length = _find_in_flac(file)
    if length != len(block):
        raise AudioFileError("The encoder wrote other comments than it was asked for: save as wav.")
    file.seek(at)
    file.write(block)


def _find_in_flac(file: BinaryIO) -> tuple[int, int]:
    at = 4
    while True:
        file.seek(at)
        head = file.read(4)
        if len(head) < 4:
            raise AudioFileError("The encoder wrote no comments: save as wav.")
        length = int.from_bytes(head[1:], "big")
        if head[0] & 0x7F == _FLAC_COMMENT:
            return at + 4, length
        if head[0] & 0x80:
            raise AudioFileError("The encoder wrote no comments: save as wav.")
        at += 4 + length


def write_ogg_comments(file: BinaryIO, block: bytes) -> None:
    """Put ``block`` over the comments of the Ogg Vorbis in ``file``, and the checksums of its first pages right."""
    pages = _header_pages(file)
    identification, comment, setup = _packets(pages)
    new = _OGG_COMMENT + block + b"\x01"
    if len(new) != len(comment):
        raise AudioFileError("The encoder wrote other comments than it was asked for: save as wav.")
    packets = identification + new + setup
    at = 0
    file.seek(0)
    for head, body in pages:
        part = packets[at : at + len(body)]
        at += len(body)
        clean = head[:22] + b"\0\0\0\0" + head[26:]
        file.write(head[:22] + struct.pack("<I", _checksum(clean + part)) + head[26:] + part)


def _header_pages(file: BinaryIO) -> list[tuple[bytes, bytes]]:
    """Head and body of each page up to the end of the headers, where Vorbis ends a page."""
    pages: list[tuple[bytes, bytes]] = []
    file.seek(0)
    ended = 0
    while ended < _HEADERS:
        head = file.read(_PAGE_HEAD)
        if head[:4] != b"OggS":
            raise AudioFileError("The encoder wrote no Vorbis headers: save as wav or flac.")
        table = file.read(head[26])
        pages.append((head + table, file.read(sum(table))))
        ended += sum(segment < 255 for segment in table)
    return pages


def _packets(pages: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes, bytes]:
    found, rest = [], b""
    for head, body in pages:
        at = 0
        for segment in head[_PAGE_HEAD:]:
            rest += body[at : at + segment]
            at += segment
            if segment < 255:
                found.append(rest)
                rest = b""
    identification, comment, setup = found
    return identification, comment, setup


def _checksum(data: bytes) -> int:
    """RFC 3533: CRC-32, polynomial 0x04c11db7, neither reflected nor inverted."""
    value = 0
    for byte in data:
        value = ((value << 8) & 0xFFFFFFFF) ^ _CRC[(value >> 24) ^ byte]
    return value


def _crc_of(byte: int) -> int:
    value = byte << 24
    for _ in range(8):
        value = ((value << 1) ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value


_CRC = tuple(_crc_of(byte) for byte in range(256))
