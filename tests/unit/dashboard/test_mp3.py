"""What goes in as PCM comes out of any MP3 decoder, in frames of one length."""

import io

import numpy as np
import pytest
import soundfile

from services.dashboard.mp3 import BITRATES, Mp3Encoder, nearest_bitrate
from shared.units import STATION_RATE, TAP_BLOCK, Audio


def music(seconds: float) -> Audio:
    """Two tones that beat, so that every stretch differs from every other."""
    t = np.arange(round(seconds * STATION_RATE)) / STATION_RATE
    left = 0.3 * np.sin(2 * np.pi * 220.0 * t * (1 + 0.05 * t))
    right = 0.3 * np.sin(2 * np.pi * 331.0 * t)
    return np.stack([left, right], axis=1).astype(np.float32)


def encode(samples: Audio, bitrate: int) -> tuple[bytes, int]:
    encoder = Mp3Encoder(bitrate)
    parts = [encoder.encode(samples[at : at + TAP_BLOCK]) for at in range(0, len(samples), TAP_BLOCK)]
    return b"".join([*parts, encoder.close()]), encoder.frame_bytes


def test_what_is_encoded_as_it_goes_decodes_to_the_same_sound() -> None:
    samples = music(2.0)
    decoded, rate = soundfile.read(io.BytesIO(encode(samples, 160)[0]), dtype="float32")
    assert rate == STATION_RATE
    # The delay of encoder and decoder together is fixed; find it, then compare.
    delay = int(np.argmax(np.correlate(decoded[:20_000, 0], samples[:12_000, 0], "valid")))
    length = min(len(samples), len(decoded) - delay)
    assert length > len(samples) - 2_400
    error = decoded[delay : delay + length] - samples[:length]
    middle = slice(STATION_RATE // 10, length - STATION_RATE // 10)
    assert 10 * np.log10(np.mean(samples[middle] ** 2) / np.mean(error[middle] ** 2)) > 20.0


@pytest.mark.parametrize("bitrate", BITRATES)
def test_every_frame_has_the_length_of_its_rate(bitrate: int) -> None:
    made, frame_bytes = encode(music(0.2), bitrate)
    assert frame_bytes == 144 * bitrate * 1_000 // STATION_RATE
    assert len(made) % frame_bytes == 0
    assert len(made) >= 0.2 * bitrate * 125
    headers = {made[at : at + 2] for at in range(0, len(made), frame_bytes)}
    assert headers == {b"\xff\xfb"}


def test_no_empty_frame_stands_first() -> None:
    made, frame_bytes = encode(music(0.4), 160)
    assert any(made[4:frame_bytes])


def test_sound_leaves_within_a_tenth_of_a_second() -> None:
    encoder = Mp3Encoder(160)
    samples = music(0.1)
    made = b"".join(encoder.encode(samples[at : at + TAP_BLOCK]) for at in range(0, len(samples), TAP_BLOCK))
    encoder.close()
    assert made


@pytest.mark.parametrize(("wanted", "given"), [(64, 64), (160, 160), (170, 160), (177, 192), (300, 320), (88, 96)])
def test_a_wish_becomes_the_nearest_rate_of_the_format(wanted: int, given: int) -> None:
    assert nearest_bitrate(wanted) == given
