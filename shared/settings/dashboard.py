"""Settings of the dashboard and the live stream."""

from __future__ import annotations

from dataclasses import dataclass

from shared.settings.fields import number, text


@dataclass(frozen=True)
class DashboardSettings:
    host: str = text("127.0.0.1", help="address of the page and the stream", pattern=r"[0-9A-Za-z.:%_-]+")
    port: int = number(8420, 1024, 65_535, help="port of the page and the stream; the next free one if it is taken")
    bitrate: int = number(160, 64, 320, unit="kbit/s", help="quality of the live stream")
    heard_minutes: int = number(
        15, 0, 60, unit="min", help="so much of what was heard is kept for save --last, some 10 MB a minute; 0: nothing"
    )
