"""Sound into a file of each format, block by block: a file of hours takes no more memory than one of seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, BinaryIO

from services.controller.saving import riff, vorbis
from services.controller.saving.id3 import id3_tag
from services.controller.saving.tags import Tags
from shared.errors import AudioFileError, UsageError
from shared.units import STATION_CHANNELS, STATION_RATE, Audio

FORMATS = ("wav", "flac", "ogg", "mp3")
SUFFIXES: Mapping[str, str] = MappingProxyType(
    {".wav": "wav", ".flac": "flac", ".ogg": "ogg", ".oga": "ogg", ".mp3": "mp3"}
)
MP3_WARNING = "MP3 adds silence at both ends and cannot loop without a gap: use wav, flac or ogg for that."
_WAV_BYTES = 3
"""Of a sample."""


def check_length(form: str, frames: int, channels: int = STATION_CHANNELS) -> None:
    """See that so many frames fit into this format.

    Raises
    ------
    UsageError
        They do not; the sentence says what would hold them.
    """
    if form == "wav" and frames * channels * _WAV_BYTES > riff.MOST_BYTES:
        raise UsageError("A WAV holds at most 4 GiB, some four hours: save as flac.")


def encode(
    file: BinaryIO,
    form: str,
    tags: Tags,
    blocks: Iterable[Audio],
    *,
    rate: int = STATION_RATE,
    channels: int = STATION_CHANNELS,
) -> int:
    """Write these blocks and what the tags say; returns the number of frames.

    Parameters
    ----------
    file : empty, open for reading and writing
    form : one of ``FORMATS``
    blocks : float32 [shape=(n, channels)] each
    rate : hertz

    Raises
    ------
    OSError
        The disk is full.
    AudioFileError
        The encoder failed.
    """
    match form:
        case "wav":
            frames = _sound(file, rate, channels, blocks, format="WAV", subtype="PCM_24")
            _append(file, riff.chunks(tags, rate))
        case "flac":
            block = vorbis.comments(tags)
            words = vorbis.placeholder(block, "FLAC")
            frames = _sound(file, rate, channels, blocks, words, format="FLAC", subtype="PCM_24")
            vorbis.write_flac_comments(file, block)
        case "ogg":
            block = vorbis.comments(tags)
            words = vorbis.placeholder(block, "OGG")
            frames = _sound(
                file, rate, channels, blocks, words, format="OGG", subtype="VORBIS", compression_level=_OGG_LEVEL
            )
            vorbis.write_ogg_comments(file, block)
        case "mp3":
            file.write(id3_tag(tags))
            frames = _sound(
                file,
                rate,
                channels,
                blocks,
                format="MP3",
                subtype="MPEG_LAYER_III",
                bitrate_mode="VARIABLE",
                compression_level=_MP3_LEVEL,
            )
        case _:
            raise UsageError(f"{form} cannot be written: choose one of {', '.join(FORMATS)}.")
    return frames


_OGG_LEVEL = 0.2
"""libsndfile's scale from best to smallest: Vorbis quality 8, some 256 kbit/s."""
_MP3_LEVEL = 0.05
"""LAME's best variable bit rates, some 240 kbit/s."""


def _sound(file: BinaryIO, rate: int, channels: int, blocks: Iterable[Audio], comment: str = "", **how: Any) -> int:
    """Encode from the file's present position on."""
    import soundfile

    from shared.audio_files import Told

    told = Told(file)
    frames = 0
    try:
        with soundfile.SoundFile(told, "w", rate, channels, **how) as sound:
            if comment:
                sound.comment = comment
            for block in blocks:
                sound.write(block)
                frames += len(block)
                if told.error is not None:
                    raise told.error
    except AssertionError:  # the library asserts that all was written, and does not say why it was not
        if told.error is None:
            raise AudioFileError("The encoder did not take all of the sound: choose another format.") from None
        raise told.error from None
    except soundfile.SoundFileError as error:
        if told.error is not None:
            raise told.error from error
        raise AudioFileError(f"The file cannot be encoded ({error}): choose another format.") from error
    if told.error is not None:  # what was held back until the end
        raise told.error
    return frames


def _append(file: BinaryIO, chunks: bytes) -> None:
    """Put these behind the last chunk of a RIFF file, and its size right."""
    end = file.seek(0, 2)
    file.write(b"\0" * (end % 2) + chunks)
    size = file.tell()
    file.seek(4)
    file.write((size - 8).to_bytes(4, "little"))
