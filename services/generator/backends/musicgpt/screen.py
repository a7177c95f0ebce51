"""Reads what MusicGPT draws on its terminal: progress bars, log lines, and in the end what went wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass

COLUMNS = 200
"""A wide terminal makes a long bar, and a long bar tells the progress to half a per cent."""
_TAIL = 8_192
_AGAIN = 4_096
"""Bytes that are looked at together: a bar with its colours, twice over."""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-Z\\-_]")
_BAR = re.compile(r"Generating audio[^\[\r\n]*\[[0-9:]+\] \[([#>-]+)\]")
_BYTES = re.compile(r"([\d.]+) ?([KMGT]?i?B)/([\d.]+) ?([KMGT]?i?B)")
_DOWNLOAD = re.compile(r"need to be downloaded|[Dd]ownloading")
_DOWNLOADED = re.compile(r"downloaded (?:correctly|successfully)")
_LOADING = re.compile(r'Loading "([^"]+)"')
_LOG = re.compile(r"^.*\b(?:ERROR|WARN|INFO) +")
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_REAL_DOWNLOAD = 1 << 16
"""Bytes. A bar is made for each file, also for those that are there; only one that has a size is a download."""

BEGINNING = "starting MusicGPT"
DOWNLOADING = "downloading the model"
LOADING = "loading the model"
GENERATING = "generating"


@dataclass
class Screen:
    """The state of one run, as far as it was drawn."""

    stage: str = BEGINNING
    fraction: float = 0.0
    """Of the clip, or of the file that is being downloaded."""
    _drawn: bytes = b""

    def feed(self, data: bytes) -> bool:
        """Take in what was drawn; returns whether the run got on."""
        # A bar, and even an escape sequence, may arrive in two pieces: the end of what came before is looked at again.
        seen = (self._drawn + data)[-max(_AGAIN, _AGAIN // 2 + len(data)) :]
        self._drawn = (self._drawn + data)[-_TAIL:]
        before = (self.stage, self.fraction)
        self._look(_plain(seen))
        return (self.stage, self.fraction) != before

    def complaint(self) -> str:
        """The program's last words, an error line if there is one."""
        lines = [line for line in _plain(self._drawn).replace("\r", "\n").splitlines() if line.strip()]
        errors = [line for line in lines if "ERROR" in line or "error:" in line]
        words = (errors or lines or [""])[-1]
        return _LOG.sub("", words).strip()[:300].rstrip(".")

    def _look(self, text: str) -> None:
        bars = _BAR.findall(text)
        if bars:
            self.stage, self.fraction = GENERATING, _filled(bars[-1])
            return
        if self.stage == GENERATING:
            return
        loading = [found.start() for found in _LOADING.finditer(text)]
        downloads = [found for found in _BYTES.finditer(text) if _size(found[3], found[4]) >= _REAL_DOWNLOAD]
        announced = [found.start() for found in _DOWNLOAD.finditer(text)]
        ended = [found.start() for found in _DOWNLOADED.finditer(text)]
        last_download = max([*(found.start() for found in downloads), *announced], default=-1)
        if max([*loading, *ended], default=-1) > last_download:
            self.stage, self.fraction = LOADING, 0.0
        elif last_download >= 0:
            self.stage = DOWNLOADING
            if downloads:
                done, total = (_size(downloads[-1][n], downloads[-1][n + 1]) for n in (1, 3))
                self.fraction = min(1.0, done / total)


def _plain(drawn: bytes) -> str:
    return _ESCAPES.sub("", drawn.decode("utf-8", "replace"))


def _filled(bar: str) -> float:
    return bar.count("#") / len(bar)


def _size(number: str, unit: str) -> float:
    try:
        return float(number) * _UNITS.get(unit, 1)
    except ValueError:
        return 0.0
