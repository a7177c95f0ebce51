"""Units and shapes that every part of the station shares.

Conventions
-----------
- Audio is ``numpy.float32`` of shape ``(frames, channels)``, full scale ±1.0.
- A position is a count of *frames* at the sample rate of the audio it points into; an end is exclusive.
- Beats, downbeats, loop points and splices are frames; tempo is quarter notes a minute, in every metre.
- Levels are LUFS (ITU-R BS.1770-4), peaks are dBTP (true peak), gains are decibels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NewType, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Audio: TypeAlias = NDArray[np.float32]
    """Samples, float32 of shape ``(frames, channels)``."""
else:
    # Processes that never touch samples (the command line, the controller) do not pay for numpy.
    Audio = Any
Frames = NewType("Frames", int)
"""A count of sample frames, or a position in a clip."""
Seconds = NewType("Seconds", float)
Bpm = NewType("Bpm", float)
Lufs = NewType("Lufs", float)
Decibels = NewType("Decibels", float)
Epoch = NewType("Epoch", int)
"""The number of a prompt: it rises with each new prompt and survives restarts."""

STATION_RATE: Final = 48_000
"""The sample rate of everything the player touches, in hertz."""
STATION_CHANNELS: Final = 2
GRID_BITS: Final = 24
"""Loops lie on this integer grid, so that player, WAV and FLAC agree bit for bit."""
TAP_BLOCK: Final = 960
"""Frames in a block of the PCM tap: 20 ms."""
