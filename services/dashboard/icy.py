"""Titles within a stream, as SHOUTcast does it: after every ``INTERVAL`` bytes of audio comes a block of metadata.

The block's first byte is its length in units of 16 bytes; 0 says that the title is as before. Only a client that sent
``Icy-MetaData: 1`` gets them.
"""

from __future__ import annotations

from typing import Final

INTERVAL: Final = 16_000
"""Bytes of audio between two blocks; sent to the client as ``icy-metaint``."""
_UNIT: Final = 16
_LONGEST: Final = 255 * _UNIT
_BEFORE, _AFTER = b"StreamTitle='", b"';"


def metadata_block(title: str) -> bytes:
    """The block that names this title, UTF-8; one that is too long is cut between characters."""
    # A quote followed by a semicolon would end the title for every client.
    text = " ".join(title.replace("'", "’").split()).encode()[: _LONGEST - len(_BEFORE) - len(_AFTER)]
    body = _BEFORE + text.decode(errors="ignore").encode() + _AFTER
    units = -(-len(body) // _UNIT)
    return bytes((units,)) + body.ljust(units * _UNIT, b"\0")


class TitleWeaver:
    """Weaves titles into the audio for one client."""

    def __init__(self) -> None:
        self._until_block = INTERVAL
        self._told: str | None = None

    def weave(self, audio: bytes, title: str) -> bytes:
        """The same audio with the blocks that fall into it; ``title`` is what sounds in it."""
        out = bytearray()
        start = 0
        while len(audio) - start >= self._until_block:
            out += audio[start : start + self._until_block]
            start += self._until_block
            self._until_block = INTERVAL
            out += b"\0" if title == self._told else metadata_block(title)
            self._told = title
        out += audio[start:]
        self._until_block -= len(audio) - start
        return bytes(out)
