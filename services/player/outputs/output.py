"""The contract of all outputs; ``tests/contract/test_outputs.py`` holds every one of them to it."""

from __future__ import annotations

from typing import Protocol

from shared.errors import OutputError
from shared.units import Audio


class OutputSpent(OutputError):
    """The output is lost, and none of its kind can be had before the process begins anew."""


class Output(Protocol):
    """Takes the station's sound, block after block, from one thread."""

    driver: str
    """Its name among the settings: ``pulse``, ``alsa``, ``dsp``, ``jack``, ``null``, ``file``, ``snapcast``."""
    description: str
    """For the listener: what it is."""
    paced: bool
    """``write`` takes as long as the sound lasts."""

    @property
    def latency_s(self) -> float:
        """Seconds between a block's write and its sound; 0 where nothing waits."""
        ...

    def write(self, block: Audio) -> bool:
        """Take ``block`` [shape=(n, 2)], 48 kHz, which is not kept and not changed; waits for room where ``paced``.

        Returns whether all is well: False if the sound broke off since the last write (an underrun).

        Raises
        ------
        OutputError
            The output is lost or closed. Nothing but ``close`` may follow; after ``OutputSpent`` the process must end.
        """
        ...

    def close(self) -> None:
        """Let go; what was written may be cut off where the output is paced, and is kept where it is a file. Twice is
        once."""
        ...
