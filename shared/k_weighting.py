"""The K-weighting of ITU-R BS.1770-4 as a frequency response: the ground of every loudness in the station."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=4)
def k_response(size: int, rate: int) -> NDArray[np.float32]:
    """Magnitude of the K-weighting at the bins of an FFT of ``size``: the analogue prototypes of BS.1770-4, bilinear.

    The phase is left out: powers over 100 ms do not know it.
    """
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(size))
    response = np.ones(len(turn))
    shelf = (1681.974450955533, 0.7071752369554196, 10 ** (3.999843853973347 / 20))
    high_pass = (38.13547087602444, 0.5003270373238773, 0.0)
    for frequency, quality, gain in (shelf, high_pass):
        k = np.tan(np.pi * min(frequency, 0.499 * rate) / rate)
        bottom = np.array([1 + k / quality + k * k, 2 * (k * k - 1), 1 - k / quality + k * k])
        if gain:
            middle = gain**0.4996667741545416
            top = np.array(
                [gain + middle * k / quality + k * k, 2 * (k * k - gain), gain - middle * k / quality + k * k]
            )
            top /= bottom[0]
        else:
            top = np.array([1.0, -2.0, 1.0])
        bottom /= bottom[0]
        response *= np.abs((top[0] + turn * (top[1] + turn * top[2])) / (1 + turn * (bottom[1] + turn * bottom[2])))
    return response.astype(np.float32)
