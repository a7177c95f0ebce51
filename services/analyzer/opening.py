"""Where the music of a clip begins, if it begins inside the clip and was not cut out of a longer piece.

What was made as a clip starts with a bar far more often than anywhere else in one; an excerpt starts anywhere. They are
told apart by the first sample: music that begins rises out of silence, an excerpt is there at once.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from services.analyzer.sound import Sound

QUIET: Final = 0.02
"""Of the clip's level (root mean square): what lies under it is silence."""
STEP_S: Final = 0.001
AT_ONCE: Final = 1_000
"""Steps that are listened to at a time, until there is music."""
ABRUPT: Final = 0.3
"""Of the clip's level: the first sample of an excerpt mostly exceeds it."""


def opening(sound: Sound) -> int | None:
    """The frame at which the music begins, or nothing where it has been going on before."""
    rate = sound.rate / sound.factor
    step = max(1, round(STEP_S * rate))
    rows = sound.low[: len(sound.low) // step * step].reshape(-1, step)
    quiet = step * (QUIET * sound.spread) ** 2
    for begin in range(0, len(rows), AT_ONCE):
        heard = np.einsum("ij,ij->i", rows[begin : begin + AT_ONCE], rows[begin : begin + AT_ONCE]) > quiet
        if heard.any():
            break
    else:
        return None
    first = begin + int(heard.argmax())
    if first == 0 and abs(float(sound.mono(0, 1)[0])) > ABRUPT * sound.spread:
        return None
    return first * step * sound.factor
