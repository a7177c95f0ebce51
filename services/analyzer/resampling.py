"""To the station's format: 48 kHz and two channels."""

from __future__ import annotations

import numpy as np

from shared.units import STATION_CHANNELS, Audio


def to_stereo(audio: Audio) -> Audio:
    """Two channels of any number: one is doubled; of more, the even and the odd ones are averaged."""
    channels = audio.shape[1]
    if channels == STATION_CHANNELS:
        return audio
    if channels == 1:
        return np.repeat(audio, STATION_CHANNELS, axis=1)
    sides = [audio[:, side::STATION_CHANNELS].mean(axis=1) for side in range(STATION_CHANNELS)]
    return np.stack(sides, axis=1).astype(np.float32)


def resample_loop(body: Audio, frames: int) -> Audio:
    """A loop stretched from its own rate to exactly ``frames`` frames, continuous across its wrap.

    The ratio is that of the two lengths rather than of the two rates: no fraction of a sample is left over at the seam,
    and the pitch is off by less than a millionth. The filter finds sound on both sides of every sample: a loop's
    neighbour is its own other end.
    """
    if frames == len(body):
        return body
    import soxr

    reach = min(len(body), 4_800)
    margin = np.take(body, np.arange(-reach, len(body) + reach), axis=0, mode="wrap")
    wide = np.asarray(soxr.resample(margin, float(len(body)), float(frames), quality="VHQ"), np.float32)
    first = round(reach * frames / len(body))
    return wide[first : first + frames]
