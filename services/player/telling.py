"""What the player tells of itself: its status, new at every change and once a second."""

from __future__ import annotations

import time
from collections.abc import Callable

from services.player.engine import Report
from services.player.writer import Health, Writer
from shared.messages import PlayerStatus
from shared.music import Loop

REPORT_S = 1.0


class StatusBoard:
    """Puts the status together from what the writer last published.

    Parameters
    ----------
    because
        Why the player fell silent by itself; empty where it did not.
    recording
        The recording under way or what became of it, in words.
    troubles
        What the listener should know and nobody else says, in words.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        because: Callable[[], str],
        recording: Callable[[], str],
        troubles: Callable[[], str],
    ) -> None:
        self._writer = writer
        self._because, self._recording, self._troubles = because, recording, troubles
        self._status = PlayerStatus()
        self._status_at = 0.0
        self._told: tuple[object, ...] = ()
        self._processor = (0.0, 0.0)
        self._percent = 0.0
        self._named: Loop | None = None

    def state(self) -> PlayerStatus:
        """The state now: another one than the last only where something changed or a second is over."""
        now = time.monotonic()
        report, health = self._writer.report, self._writer.health
        said = (self._output(health.output), self._recording(), self._troubles())
        told = (
            report.loop.loop_id,
            report.note,
            report.pass_number,
            report.wanted.number,
            report.held,
            report.sounding,
            said,
        )
        if now - self._status_at < REPORT_S and told == self._told:
            return self._status
        self._told, self._status_at = told, now
        self._status = self._made(report, health, said, now)
        return self._status

    def _made(self, report: Report, health: Health, said: tuple[str, str, str], now: float) -> PlayerStatus:
        output, recording, note = said
        return PlayerStatus(
            playing=report.sounding,
            volume=report.wanted.volume,
            loop_id=report.loop.loop_id,
            loop=self._with_title(report),
            next_loop_id=report.next_loop.loop_id if report.next_loop is not None else None,
            frame=report.frame,
            section=report.section,
            pass_number=report.pass_number,
            song_frames=report.song_frames,
            song_length_frames=report.song_length,
            blocks=self._writer.blocks,
            driver=health.driver,
            output=output,
            output_ok=health.output_ok,
            latency_s=health.latency_s,
            underruns=health.underruns,
            worst_lateness_s=round(health.worst_lateness_s, 4),
            cpu_percent=self._cpu(now),
            held=report.held,
            skips_done=report.skips_done,
            backs_done=report.backs_done,
            wanted_number=report.wanted.number,
            loops_played=report.songs,
            transition=report.note,
            leave_frame=report.leave_frame,
            recording=recording,
            note=note,
        )

    def _with_title(self, report: Report) -> Loop:
        """What sounds, with the title that the controller gave it after the analyzer had sent it without one."""
        loop_id = report.loop.loop_id
        named = next((loop for loop in report.wanted.queue if loop.loop_id == loop_id), None)
        if named is not None:
            self._named = named
        elif self._named is None or self._named.loop_id != loop_id:  # a queue that moved on may name it no more
            self._named = report.loop
        return self._named

    def _output(self, sentence: str) -> str:
        because = self._because()
        return f"Paused, as {because}; resume plays on. {sentence}" if because else sentence

    def _cpu(self, now: float) -> float:
        """Processor time of this process as a share of the last second or more, in percent of one core."""
        then, used_then = self._processor
        used = time.process_time()
        if now - then >= REPORT_S:
            self._percent = round(100.0 * (used - used_then) / (now - then), 1) if then else 0.0
            self._processor = (now, used)
        return self._percent
