"""Audio files that say how they loop: chunks of a WAV, tags of FLAC and Ogg, written around libsndfile's data.

Sources: Microsoft's RIFF MCI reference (``smpl``, ``cue ``, ``LIST``), Sonic Foundry's ``acid`` chunk as other programs
read it, RFC 9639 (FLAC) section 8, the Vorbis I specification section 5, RFC 3533 (Ogg).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from shared import __version__
from shared.errors import AudioFileError
from shared.units import Audio

_MIDDLE_C = 60
_ACID_STRETCH = 0x04
_FORWARD = 0
_FOREVER = 0
_VENDOR = f"INFINI LOOP {__version__}"


@dataclass(frozen=True)
class Tags:
    """What a file says of itself. The loop is the whole file."""

    title: str
    artist: str
    genre: str
    comment: str
    frames: int
    sample_rate: int
    bpm: float | None
    beats_per_bar: int | None
    beats: int | None


def write_wav(path: Path, samples: Audio, rate: int, tags: Tags) -> None:
    """24-bit PCM with ``smpl``, ``cue ``, ``LIST`` and, where the tempo is known, ``acid``."""
    _write(path, samples, rate, "WAV", "PCM_24")
    chunks = [("smpl", _smpl(tags)), ("cue ", _cue(tags)), ("LIST", _labels()), ("LIST", _info(tags))]
    if tags.bpm and tags.beats:
        chunks.append(("acid", _acid(tags.bpm, tags.beats, tags.beats_per_bar or 4)))
    with path.open("r+b") as file:
        file.seek(0, 2)
        if file.tell() % 2:
            file.write(b"\0")
        for name, body in chunks:
            file.write(name.encode() + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2))
        size = file.tell()
        file.seek(4)
        file.write(struct.pack("<I", size - 8))


def write_flac(path: Path, samples: Audio, rate: int, tags: Tags) -> None:
    """24-bit FLAC; the loop's tags come first in its comment block."""
    _write(path, samples, rate, "FLAC", "PCM_24")
    data = path.read_bytes()
    at, blocks = 4, []
    while True:
        kind, length = data[at] & 0x7F, int.from_bytes(data[at + 1 : at + 4], "big")
        last = data[at] & 0x80
        if kind not in (1, 4):  # padding and the encoder's own comment go
            blocks.append((kind, data[at + 4 : at + 4 + length]))
        at += 4 + length
        if last:
            break
    blocks.insert(1, (4, _comments(tags)))  # behind STREAMINFO
    head = b"".join(
        bytes([kind | (0x80 if number == len(blocks) - 1 else 0)]) + len(body).to_bytes(3, "big") + body
        for number, (kind, body) in enumerate(blocks)
    )
    path.write_bytes(data[:4] + head + data[at:])


def write_ogg(path: Path, samples: Audio, rate: int, tags: Tags) -> None:
    """Ogg Vorbis; the loop's tags come first in its comment packet."""
    _write(path, samples, rate, "OGG", "VORBIS")
    data = path.read_bytes()
    pages = _pages(data)
    identification, _, setup = _header_packets(data, pages)
    comment = b"\x03vorbis" + _comments(tags) + b"\x01"
    heads = 1 + _pages_of_packets(pages[1:], 2)
    serial = struct.unpack_from("<I", data, pages[0][0] + 14)[0]
    # As many header pages as before, so that the numbers of the pages after them stay true.
    new = _page(serial, 0, 0x02, [identification])
    if heads == 2:
        new += _page(serial, 1, 0, [comment, setup])
    else:
        new += _page(serial, 1, 0, [comment]) + _split(serial, 2, heads - 2, setup)
    path.write_bytes(new + data[pages[heads][0] :])


def write_mp3(path: Path, samples: Audio, rate: int, tags: Tags) -> None:
    """MP3 with title and artist; it cannot loop without a gap."""
    import soundfile

    encoded = io.BytesIO()
    try:
        with soundfile.SoundFile(encoded, "w", rate, samples.shape[1], format="MP3", subtype="MPEG_LAYER_III") as file:
            file.title, file.artist, file.genre, file.comment = tags.title, tags.artist, tags.genre, tags.comment
            file.write(samples)
    except soundfile.SoundFileError as error:
        raise AudioFileError(f"The MP3 encoder failed ({error}): save as wav or flac.") from error
    path.write_bytes(encoded.getbuffer())


WRITERS: Mapping[str, Callable[[Path, Audio, int, Tags], None]] = MappingProxyType(
    {"wav": write_wav, "flac": write_flac, "ogg": write_ogg, "mp3": write_mp3}
)


def _write(path: Path, samples: Audio, rate: int, format: str, subtype: str) -> None:
    import soundfile

    # Encoded first: where a disk is full, libsndfile tells less than the operating system does.
    encoded = io.BytesIO()
    try:
        soundfile.write(encoded, samples, rate, format=format, subtype=subtype)
    except soundfile.SoundFileError as error:
        raise AudioFileError(f"The file cannot be encoded ({error}): choose another format.") from error
    path.write_bytes(encoded.getbuffer())


# -- RIFF -------------------------------------------------------------------------------------------------------------


def _smpl(tags: Tags) -> bytes:
    period = round(1e9 / tags.sample_rate)
    head = struct.pack("<9I", 0, 0, period, _MIDDLE_C, 0, 0, 0, 1, 0)
    return head + struct.pack("<6I", 1, _FORWARD, 0, tags.frames - 1, 0, _FOREVER)  # the end is inclusive


def _cue(tags: Tags) -> bytes:
    points = [(1, 0), (2, tags.frames - 1)]
    return struct.pack("<I", len(points)) + b"".join(
        struct.pack("<II4sIII", number, frame, b"data", 0, 0, frame) for number, frame in points
    )


def _labels() -> bytes:
    body = b"adtl"
    for number, words in ((1, b"Loop Start\0"), (2, b"Loop End\0")):
        body += b"labl" + struct.pack("<II", 4 + len(words), number) + words + b"\0" * (len(words) % 2)
    return body


def _info(tags: Tags) -> bytes:
    body = b"INFO"
    fields = (("INAM", tags.title), ("IART", tags.artist), ("IGNR", tags.genre), ("ICMT", tags.comment))
    for name, words in (*fields, ("ISFT", _VENDOR)):
        if words:
            text = words.encode() + b"\0"
            body += name.encode() + struct.pack("<I", len(text)) + text + b"\0" * (len(text) % 2)
    return body


def _acid(bpm: float, beats: int, meter: int) -> bytes:
    return struct.pack("<IHHfIHHf", _ACID_STRETCH, _MIDDLE_C, 0x8000, 0.0, beats, 4, meter, bpm)


# -- Vorbis comments and Ogg ------------------------------------------------------------------------------------------


def _comments(tags: Tags) -> bytes:
    fields = {
        "LOOPSTART": "0",
        "LOOPLENGTH": str(tags.frames),
        "TITLE": tags.title,
        "ARTIST": tags.artist,
        "GENRE": tags.genre,
        "COMMENT": tags.comment,
        "BPM": f"{tags.bpm:g}" if tags.bpm else "",
        "ENCODER": _VENDOR,
    }
    lines = [f"{name}={value}".encode() for name, value in fields.items() if value]
    vendor = _VENDOR.encode()
    body = struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(lines))
    return body + b"".join(struct.pack("<I", len(line)) + line for line in lines)


def _pages(data: bytes) -> list[tuple[int, int, bytes]]:
    """Each page's offset, the offset of its body, and its segment table; the first dozen hold every header."""
    found: list[tuple[int, int, bytes]] = []
    at = 0
    while at + 27 <= len(data) and len(found) < 16:
        if data[at : at + 4] != b"OggS":
            raise AudioFileError("The encoder wrote no Ogg pages: save as wav or flac.")
        count = data[at + 26]
        table = data[at + 27 : at + 27 + count]
        found.append((at, at + 27 + count, table))
        at += 27 + count + sum(table)
    return found


def _header_packets(data: bytes, pages: list[tuple[int, int, bytes]]) -> tuple[bytes, bytes, bytes]:
    packets, rest = [], b""
    for _, body, table in pages:
        at = body
        for segment in table:
            rest += data[at : at + segment]
            at += segment
            if segment < 255:
                packets.append(rest)
                rest = b""
    return packets[0], packets[1], packets[2]


def _pages_of_packets(pages: list[tuple[int, int, bytes]], packets: int) -> int:
    """How many pages the first so many packets take; Vorbis ends the page after its headers."""
    ended = 0
    for number, (_, _, table) in enumerate(pages, 1):
        ended += sum(segment < 255 for segment in table)
        if ended >= packets:
            return number
    raise AudioFileError("The encoder wrote no Vorbis headers: save as wav or flac.")


def _lacing(packet: bytes) -> bytes:
    return b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])


def _page(serial: int, number: int, flags: int, packets: list[bytes]) -> bytes:
    return _raw_page(serial, number, flags, b"".join(map(_lacing, packets)), b"".join(packets))


def _split(serial: int, first: int, pages: int, packet: bytes) -> bytes:
    """One packet over exactly so many pages."""
    table, made = _lacing(packet), b""
    share = -(-len(table) // pages)
    for number in range(pages):
        part = table[number * share : (number + 1) * share]
        body = packet[number * share * 255 :][: sum(part)]
        made += _raw_page(serial, first + number, 0x01 if number else 0, part, body)
    return made


def _raw_page(serial: int, number: int, flags: int, table: bytes, body: bytes) -> bytes:
    if len(table) > 255:
        raise AudioFileError("The file's tags are too long for Ogg: save as wav or flac.")
    head = b"OggS\0" + struct.pack("<BqIII", flags, 0, serial, number, 0) + bytes([len(table)]) + table
    checksum = _checksum(head + body)
    return head[:22] + struct.pack("<I", checksum) + head[26:] + body


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
