"""The analyzer as a process: clips in, loops and receipts out.

Threads: the main thread owns every socket and all state here and never waits for music; one worker thread does the
analysis and hands each answer back through ``ServiceLoop.call_soon``. When nothing was asked for a while, a third one
describes the last loop that was found.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections import OrderedDict, deque
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from shared.bus import Link, Received
from shared.errors import AudioFileError
from shared.messages import (
    AnalyzerStatus,
    AnyMessage,
    Clip,
    ClipAccepted,
    ClipRejected,
    LoopReady,
    Prepare,
    SecondOpinion,
    TransitionReady,
)
from shared.music import Loop
from shared.paths import Paths
from shared.runtime import memory
from shared.runtime.door import Door
from shared.runtime.service import ServiceLoop, StatusReporter
from shared.settings.watch import SettingsWatch
from shared.topology import CLIPS, CLIPS_LAN, LOOPS, RECEIPTS, STATUS_IN

if TYPE_CHECKING:
    from shared.settings import Settings

log = logging.getLogger(__name__)

REMEMBERED: Final = 512
"""Answers kept, so that a clip that comes again is answered and not analysed again."""
OUTBOX: Final = 1_024
RETRY_S: Final = 0.1
IDLE_S: Final = 10.0
"""Without a clip for so long, there is time for a second opinion."""

Receipt: TypeAlias = ClipAccepted | ClipRejected


class Analyzer:
    """What has been asked, what has been answered, and what still waits to be sent."""

    def __init__(self, loop: ServiceLoop, paths: Paths, settings: Settings) -> None:
        self._loop, self._paths, self._target_lufs = loop, paths, settings.analyzer.loudness
        loop.on(loop.bus.bind(CLIPS), self._receive)
        watch = SettingsWatch(paths, settings)
        Door(loop, paths, CLIPS_LAN, lambda: watch.current().door, self._receive_guest)
        self._player = loop.bus.connect(LOOPS)
        self._controller = loop.bus.connect(RECEIPTS)
        self._status = loop.bus.connect(STATUS_IN)
        self._answered: OrderedDict[str, Receipt] = OrderedDict()
        self._waiting: dict[str, Clip] = {}
        """By job; the latest delivery of each, whose token the receipt carries."""
        self._work: queue.SimpleQueue[tuple[Clip, bytes | None] | Prepare | None] = queue.SimpleQueue()
        self._outbox: deque[tuple[Link, AnyMessage]] = deque(maxlen=OUTBOX)
        self._state = AnalyzerStatus()
        self._undescribed: Loop | None = None
        self._describing = False
        self._busy_at = time.monotonic()
        loop.every(RETRY_S, self._flush)
        loop.every(IDLE_S / 4, self._describe_when_idle)
        StatusReporter(loop, "analyzer", self._status.send, lambda: self._state)
        self._worker = threading.Thread(target=self._analyse, name="analysis", daemon=True)
        self._worker.start()

    def close(self) -> None:
        """End the worker after what it is doing."""
        self._work.put(None)

    # -- main thread --------------------------------------------------------------------------------------------------

    def _receive(self, received: Received) -> None:
        message = received.message
        if isinstance(message, Clip):
            self._take(message, received.attachment)
        elif isinstance(message, Prepare):
            self._work.put(message)
        else:
            log.warning("A %s is not for the analyzer and was dropped.", type(message).__name__)

    def _receive_guest(self, received: Received) -> None:
        """A generator on another machine sends clips and nothing else, and never a path."""
        message = received.message
        if isinstance(message, Clip) and received.attachment is not None:
            self._take(msgspec.structs.replace(message, path=None, codes_path=None), received.attachment)
        else:
            log.warning("A %s came from another machine and was dropped.", type(message).__name__)

    def _take(self, clip: Clip, attachment: bytes | None) -> None:
        if (receipt := self._answered.get(clip.job_id)) is not None:
            self._tell(msgspec.structs.replace(receipt, token=clip.token))
            return
        known = clip.job_id in self._waiting
        self._waiting[clip.job_id] = clip
        if not known:
            self._work.put((clip, attachment))
            self._show()

    def _finish(self, clip: Clip, receipt: Receipt | None, problem: str, seconds: float) -> None:
        latest = self._waiting.pop(clip.job_id, clip)
        if receipt is None:
            self._state = msgspec.structs.replace(self._state, last_rejection=problem)
        else:
            receipt = msgspec.structs.replace(receipt, token=latest.token, analysis_s=round(seconds, 3))
            if isinstance(receipt, ClipAccepted):
                # What was composed is known better than anyone could hear.
                self._undescribed = receipt.loop if receipt.loop.mode == "xfade" else self._undescribed
                self._state = msgspec.structs.replace(self._state, accepted=self._state.accepted + 1)
            else:
                self._state = msgspec.structs.replace(
                    self._state, rejected=self._state.rejected + 1, last_rejection=receipt.reason
                )
            self._answered[clip.job_id] = receipt
            while len(self._answered) > REMEMBERED:
                self._answered.popitem(last=False)
            self._tell(receipt)
        self._state = msgspec.structs.replace(self._state, last_analysis_s=round(seconds, 3))
        self._show()

    def _describe_when_idle(self) -> None:
        if self._waiting:
            self._busy_at = time.monotonic()
        if self._undescribed is None or self._describing or time.monotonic() - self._busy_at < IDLE_S:
            return
        found, self._undescribed, self._describing = self._undescribed, None, True
        threading.Thread(target=self._describe, args=(found,), name="description", daemon=True).start()

    def _described(self, opinion: SecondOpinion | None) -> None:
        self._describing = False
        if opinion is not None:
            self._state = msgspec.structs.replace(self._state, opinion=opinion)

    def _tell(self, receipt: Receipt) -> None:
        if isinstance(receipt, ClipAccepted):
            self._send(self._player, LoopReady(loop=receipt.loop))
        self._send(self._controller, receipt)

    def _send(self, link: Link, message: AnyMessage) -> None:
        self._outbox.append((link, message))
        self._flush()

    def _flush(self) -> None:
        """Send what waits; a peer that is away keeps only its own messages waiting."""
        kept = [(link, message) for link, message in self._outbox if not link.send(message)]
        self._outbox.clear()
        self._outbox.extend(kept)

    def _show(self) -> None:
        self._state = msgspec.structs.replace(self._state, job_id=next(iter(self._waiting), None))

    # -- worker thread ------------------------------------------------------------------------------------------------

    def _analyse(self) -> None:
        # Loaded here, so that the links are open at once and the first clip finds the imports done.
        from services.analyzer.transitions.work import handle_prepare
        from services.analyzer.work import Places, handle_clip

        places = Places(self._paths.cache, self._paths.loops)
        folders = (self._paths.cache, self._paths.library)
        while True:
            memory.give_back()
            if (task := self._work.get()) is None:
                return
            if isinstance(task, Prepare):
                change = handle_prepare(task, folders, self._paths.transitions)
                link = self._player if isinstance(change, TransitionReady) else self._controller
                self._loop.call_soon(partial(self._send, link, change))
                continue
            clip, attachment = task
            began = time.perf_counter()
            receipt: Receipt | None = None
            problem = ""
            try:
                receipt = handle_clip(clip, attachment, places, self._target_lufs)
            except AudioFileError as error:
                problem = str(error)
                log.warning("%s", problem)
            seconds = time.perf_counter() - began
            self._loop.call_soon(partial(self._finish, clip, receipt, problem, seconds))

    # -- description thread -------------------------------------------------------------------------------------------

    def _describe(self, found: Loop) -> None:
        from services.analyzer.second_opinion import compile_kernels, opinion_on

        opinion: SecondOpinion | None = None
        kernels = self._paths.cache / "kernels"
        try:
            compile_kernels(kernels)
            opinion = opinion_on(found, kernels)
        except AudioFileError:
            log.debug("Loop %s was gone before it was described.", found.loop_id)
        except Exception:
            # Nobody waits for an opinion: whatever keeps librosa from having one must not disturb the service.
            log.exception("Loop %s could not be described.", found.loop_id)
        self._loop.call_soon(partial(self._described, opinion))


def run(paths: Paths, settings: Settings) -> None:
    """Serve until told to stop."""
    # One clip at a time: more threads in the linear algebra would only take them from the player.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    loop = ServiceLoop(paths)
    analyzer = Analyzer(loop, paths, settings)
    try:
        loop.run()
    finally:
        analyzer.close()
