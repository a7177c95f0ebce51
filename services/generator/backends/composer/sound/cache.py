"""A cache with a cap in bytes: wave tables, impulse responses and rendered notes, the oldest dropped first.

What is cached is a pure function of its key, so a warm worker and a cold one make the same bytes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray


class ArrayCache:
    """Read-only arrays by key, at most ``cap_bytes`` of them; one larger than a quarter of that is not kept."""

    def __init__(self, cap_bytes: int) -> None:
        self.cap_bytes = cap_bytes
        self.held_bytes = 0
        self._arrays: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """The array of this key, made now if it is not held."""
        with self._lock:
            held = self._arrays.get(key)
            if held is not None:
                self._arrays.move_to_end(key)
                return held
        made = np.ascontiguousarray(make())
        made.flags.writeable = False
        if made.nbytes > self.cap_bytes // 4:
            return made
        with self._lock:
            if key not in self._arrays:
                self._arrays[key] = made
                self.held_bytes += made.nbytes
            while self.held_bytes > self.cap_bytes:
                _, dropped = self._arrays.popitem(last=False)
                self.held_bytes -= dropped.nbytes
        return made

    def clear(self) -> None:
        """Give all memory back."""
        with self._lock:
            self._arrays.clear()
            self.held_bytes = 0


TABLES: Final = ArrayCache(24 << 20)
"""What the next piece finds again: rooms, beds, levels of instruments."""
NOTES: Final = ArrayCache(96 << 20)
"""What belongs to the pitches of one piece: rendered notes, and the wave tables that they are read from."""
