"""PCM to MP3 as it goes, by the LAME inside libsndfile: constant bit rate, so that every frame has the same length."""

from __future__ import annotations

from types import TracebackType
from typing import Final

from shared.units import STATION_CHANNELS, STATION_RATE, Audio

BITRATES: Final = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
"""The rates of MPEG-1 layer III that the station offers, in kbit/s."""
_HIGHEST, _LOWEST = 320, 32
"""libsndfile spreads its compression level 0 … 1 over these, in kbit/s."""
_FRAME: Final = 1_152
"""Samples in an MP3 frame."""


def nearest_bitrate(wanted: int) -> int:
    """The rate of the format, in kbit/s, that is closest to a listener's wish."""
    return min(BITRATES, key=lambda rate: (abs(rate - wanted), -rate))


class Mp3Encoder:
    """One stream of MP3: each call takes PCM and gives the bytes that it made ready.

    Attributes
    ----------
    bitrate : kbit/s
    frame_bytes : length of each frame; no frame is padded, since 48 kHz divides every rate
    """

    def __init__(self, bitrate: int) -> None:
        import soundfile

        self.bitrate = nearest_bitrate(bitrate)
        self.frame_bytes = _FRAME * self.bitrate * 1_000 // 8 // STATION_RATE
        self._sink = _Sink()
        self._file = soundfile.SoundFile(
            self._sink,
            "w",
            STATION_RATE,
            STATION_CHANNELS,
            format="MP3",
            subtype="MPEG_LAYER_III",
            bitrate_mode="CONSTANT",
            compression_level=(_HIGHEST - self.bitrate) / (_HIGHEST - _LOWEST),
        )
        # The first frame is an empty place for a table of the finished file. A live stream never finishes.
        self._to_skip = self.frame_bytes
        self._part = b""

    def encode(self, samples: Audio) -> bytes:
        """Encode some more.

        Parameters
        ----------
        samples : float32 [shape=(frames, 2)]

        Returns
        -------
        bytes : the frames that became whole, possibly none; the encoder holds some 60 ms back
        """
        self._file.write(samples)
        return self._whole_frames()

    def close(self) -> bytes:
        """End the stream; returns the frames that were held back."""
        self._file.close()
        return self._whole_frames()

    def _whole_frames(self) -> bytes:
        made = self._part + self._sink.take()
        if self._to_skip and len(made) >= self._to_skip:
            made, self._to_skip = made[self._to_skip :], 0
        whole = 0 if self._to_skip else len(made) - len(made) % self.frame_bytes
        self._part = made[whole:]
        return made[:whole]

    def __enter__(self) -> Mp3Encoder:
        return self

    def __exit__(self, *_exception: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._file.close()


class _Sink:
    """The file that libsndfile believes to write: bytes are only ever added and taken away."""

    def __init__(self) -> None:
        self._made = bytearray()
        self._position = 0
        self._end = 0

    def write(self, data: memoryview) -> int:
        # At its end libsndfile writes the finished file's table over the first frame: of no use to a stream.
        if self._position == self._end:
            self._made += data
            self._end += len(data)
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, self._end)[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, _count: int = -1) -> bytes:
        return b""

    def flush(self) -> None:
        """Nothing is kept back here."""

    def take(self) -> bytes:
        made = bytes(self._made)
        self._made.clear()
        return made
