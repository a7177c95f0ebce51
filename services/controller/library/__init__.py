"""The library: every loop that was ever accepted, with its recipe, its history and what the listener thinks of it.

Threads: a ``Library`` is used by one thread at a time; the controller's is opened and read in the main thread at the
start, from then on it belongs to the library's thread alone. Files are written and deleted by the disk thread.
"""

from services.controller.library.audio import Kept, keep_audio
from services.controller.library.entry import DISLIKED, LIKED, NEUTRAL, Entry, Extent
from services.controller.library.opening import library_file, open_library
from services.controller.library.search import Query
from services.controller.library.store import Library

__all__ = [
    "DISLIKED",
    "LIKED",
    "NEUTRAL",
    "Entry",
    "Extent",
    "Kept",
    "Library",
    "Query",
    "keep_audio",
    "library_file",
    "open_library",
]
