"""Figures of past attempts, the estimate that follows for the chosen settings, and what it means in words. Pure."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from services.controller.statistics.ledger import Attempt

ENOUGH = 3
"""Attempts from which on an estimate is called one."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What one maker did at one length. Times are seconds; a figure that nobody knows is None."""

    backend: str
    model: str
    precision: str
    seconds: int
    count: int
    accepted: int
    generation_median_s: float | None = None
    generation_p90_s: float | None = None
    analysis_median_s: float | None = None
    analysis_p90_s: float | None = None
    real_time_factor: float | None = None
    """Seconds of music made in a second, download time left out."""
    rejections: dict[str, int] = {}
    failed: int = 0
    download_s: float = 0.0


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What the chosen settings will cost."""

    per_song_s: float
    """Work for one new song, rejections counted in."""
    share: float
    """Of a song's length that the machine works, 0–1 and beyond."""
    attempts: int


def summarise(attempts: Iterable[Attempt]) -> list[Row]:
    """One row for each backend, model, precision and length, models never mixed; the most used first."""
    groups: defaultdict[tuple[str, str, str, int], list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        groups[attempt.backend, attempt.model, attempt.precision, round(attempt.seconds)].append(attempt)
    rows = [_row(*key, members) for key, members in groups.items()]
    return sorted(rows, key=lambda row: -row.count)


def estimate(rows: Sequence[Row], backend: str, model: str, seconds: float, song_s: float) -> Estimate | None:
    """The cost of a song with these settings, from rows of this backend and model; None while nothing is known.

    Where this very length was never made, the nearest one is scaled by the length.
    """
    known = [r for r in rows if r.backend == backend and r.model in ("", model) and r.generation_median_s is not None]
    if not known:
        return None
    nearest = min(known, key=lambda row: (abs(row.seconds - seconds), -row.count))
    scale = seconds / nearest.seconds if nearest.seconds else 1.0
    once = (nearest.generation_median_s or 0.0) * scale + (nearest.analysis_median_s or 0.0)
    tries = nearest.count / max(nearest.accepted, 1)
    return Estimate(per_song_s=once * tries, share=once * tries / song_s, attempts=nearest.count)


def advice(found: Estimate | None, song_s: float) -> str:
    """The estimate in one sentence that a listener can act on."""
    if found is None:
        return "Nothing has been made with these settings yet; the estimate comes with the first loops."
    length = _spoken(song_s)
    certainty = "" if found.attempts >= ENOUGH else f" (from {found.attempts} so far)"
    if found.share >= 1.0:
        longer = _spoken(found.per_song_s * 1.25)
        return (
            f"A new song takes {_spoken(found.per_song_s)} to make{certainty}, longer than it plays ({length}): "
            f"set min_duration to {longer} or more, or a smaller model, and nothing has to be played twice."
        )
    rest = round((1 - found.share) * 100)
    return f"At songs of {length} this machine rests {rest} % of the time{certainty}."


def _row(backend: str, model: str, precision: str, seconds: int, members: Sequence[Attempt]) -> Row:
    made = [m for m in members if m.outcome != "failed" and m.generation_s > 0]
    analysed = [m.analysis_s for m in members if m.analysis_s > 0]
    generation = [m.generation_s for m in made]
    return Row(
        backend=backend,
        model=model,
        precision=precision,
        seconds=seconds,
        count=len(members),
        accepted=sum(m.outcome == "accepted" for m in members),
        generation_median_s=_median(generation),
        generation_p90_s=_p90(generation),
        analysis_median_s=_median(analysed),
        analysis_p90_s=_p90(analysed),
        real_time_factor=_median([m.seconds / m.generation_s for m in made]),
        rejections=dict(Counter(m.outcome for m in members if m.outcome not in ("accepted", "failed"))),
        failed=sum(m.outcome == "failed" for m in members),
        download_s=sum(m.download_s for m in members),
    )


def _median(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 3) if values else None


def _p90(values: Sequence[float]) -> float | None:
    """The value that nine in ten stay within (nearest rank)."""
    ranked = sorted(values)
    return round(ranked[max(0, -(-9 * len(ranked) // 10) - 1)], 3) if ranked else None


def _spoken(seconds: float) -> str:
    """``90`` → ``1 min 30 s``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min" + (f" {rest} s" if rest else "")
