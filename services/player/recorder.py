"""Records the programme to a file while it plays: every frame of it, untouched by volume, pause and sleep timer.

Threads: ``take`` is the writer's and never waits; ``choose`` and ``stop`` are the main thread's; files are opened,
written and closed by a thread of the recording's own. Whatever happens to a file, the music goes on.
"""

from __future__ import annotations

import logging
import queue
import threading
from dataclasses import dataclass, field
from pathlib import Path

from services.player.outputs.file import FileOutput
from shared.errors import OutputError
from shared.units import Audio

log = logging.getLogger(__name__)

ROOM = 500
"""Blocks that wait for the disk at most: 10 s."""


@dataclass(frozen=True, slots=True)
class _Block:
    audio: Audio
    song: int
    """Number of the song that sounds at the block's end."""
    begins: int
    """The frame of the block at which that song began, if it did so within the block."""


@dataclass
class _Recording:
    """One wish to record and the thread that fulfils it."""

    path: str
    split: bool
    blocks: queue.SimpleQueue[_Block | None] = field(default_factory=queue.SimpleQueue)
    thread: threading.Thread | None = None
    running: bool = True
    said: str = ""


class Recorder:
    """Records where and while it is asked to; ``said`` tells of it in words.

    Parameters
    ----------
    room : blocks that may wait for the disk; beyond them the recording ends
    """

    def __init__(self, *, room: int = ROOM) -> None:
        self._room = room
        self._recording: _Recording | None = None

    @property
    def said(self) -> str:
        recording = self._recording
        return "" if recording is None else recording.said

    def choose(self, path: str, *, split: bool) -> None:
        """Record to ``path``, a file for each song where ``split``; nothing where it is empty. The same again changes
        nothing, so a recording that broke off is begun anew only after another wish."""
        recording = self._recording
        if recording is not None and (recording.path, recording.split) == (path, split):
            return
        self.stop()
        if path:
            begun = _Recording(path, split)
            begun.thread = threading.Thread(target=_record, args=(begun,), name="recorder", daemon=True)
            begun.thread.start()
            self._recording = begun

    def take(self, programme: Audio, song: int, song_frames: int) -> None:
        """The next frames of programme [shape=(n, 2)], which are copied; ``song_frames`` of this song have sounded."""
        recording = self._recording
        if recording is None or not recording.running or not len(programme):
            return
        if recording.blocks.qsize() >= self._room:
            recording.running = False
            recording.blocks.put(None)
            log.warning("The disk takes too long for the recording %s.", recording.path)
            return
        recording.blocks.put(_Block(programme.copy(), song, max(0, len(programme) - song_frames)))

    def stop(self, within_s: float = 5.0) -> None:
        """Finish the file."""
        recording, self._recording = self._recording, None
        if recording is not None and recording.thread is not None:
            recording.blocks.put(None)
            recording.thread.join(within_s)


def _record(recording: _Recording) -> None:
    output: FileOutput | None = None
    try:
        output = FileOutput(Path(recording.path).expanduser(), split=recording.split)
        recording.said = f"Recording to {output.path}."
        song = 0
        while (block := recording.blocks.get()) is not None:
            begins = block.begins if song and block.song != song else 0
            output.write(block.audio[:begins])
            if song and block.song != song:
                output.next_song()
            output.write(block.audio[begins:])
            song = block.song
        if not recording.running:
            recording.said = f"The recording {output.path} broke off: the disk takes too long for it."
    except OutputError as error:
        _end(recording, str(error))
    except Exception:
        log.exception("The recording failed.")
        _end(recording, f"The recording {recording.path} broke off, as the player's log tells.")
    finally:
        recording.running = False
        _finish(recording, output)


def _finish(recording: _Recording, output: FileOutput | None) -> None:
    try:
        if output is not None:
            output.close()
    except OutputError as error:
        _end(recording, str(error))


def _end(recording: _Recording, why: str) -> None:
    log.warning("%s", why)
    recording.said = why
