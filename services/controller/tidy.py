"""Keeping the cache within its budget. Only the controller deletes files, and only here.

A file that nobody has told of yet may be on its way from another process: it is left alone until it has grown old.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from shared.paths import Paths

ORPHAN_S = 300.0
"""A file of the cache that no message has named for so long is an orphan."""
ABANDONED_S = 86_400.0


@dataclass(frozen=True)
class CacheFile:
    path: Path
    bytes: int
    age_s: float


@dataclass(frozen=True)
class Needs:
    """What must not go."""

    needed: frozenset[str]
    """Loop files that are named to the player or will be."""
    kept: tuple[str, ...]
    """Loop files that may go when room is wanted, those first that may go first."""
    codes: frozenset[str]
    """Files beside clips that belong to a loop on the shelf."""
    jobs: frozenset[str]
    """Jobs without a receipt."""


@dataclass(frozen=True)
class Tidied:
    """What a round of tidying found and did."""

    cache_bytes: int
    loop_bytes: int
    """Of the loops among them."""
    disk_free: int
    gone: tuple[str, ...]
    """Loop files that were deleted."""


def plan(
    loops: Iterable[CacheFile],
    clips: Iterable[CacheFile],
    transitions: Iterable[CacheFile],
    needs: Needs,
    *,
    budget: int,
    short_of_disk: int,
) -> list[Path]:
    """Which files go. Pure.

    Parameters
    ----------
    budget : bytes for all of the cache.
    short_of_disk : bytes by which the free disk is below what the listener wants; 0 if it is not.
    """
    loops, clips, transitions = list(loops), list(clips), list(transitions)
    kept = dict.fromkeys(needs.kept)
    doomed = [f for f in loops if str(f.path) not in kept and str(f.path) not in needs.needed and f.age_s > ORPHAN_S]
    doomed += [f for f in clips if f.age_s > ORPHAN_S and str(f.path) not in needs.codes and not _of_job(f, needs.jobs)]
    doomed += [f for f in transitions if f.age_s > ORPHAN_S]
    total = sum(f.bytes for f in (*loops, *clips, *transitions)) - sum(f.bytes for f in doomed)
    over = max(total - budget, short_of_disk)
    by_path = {str(f.path): f for f in loops}
    for path in kept:
        if over <= 0:
            break
        if path in by_path and path not in needs.needed:
            doomed.append(by_path[path])
            over -= by_path[path].bytes
    return [f.path for f in doomed]


def tidy(paths: Paths, needs: Needs, *, budget: int, free_wanted: int) -> Tidied:
    """Look at the cache, delete what the plan says, and report."""
    loops, clips, transitions = (_scan(folder) for folder in (paths.loops, paths.clips, paths.transitions))
    free = shutil.disk_usage(paths.cache).free
    heard = sum(f.bytes for f in _scan(paths.heard))  # kept within its share by who writes it
    doomed = plan(loops, clips, transitions, needs, budget=budget - heard, short_of_disk=max(0, free_wanted - free))
    gone = set(doomed)
    for path in doomed:
        path.unlink(missing_ok=True)
    _sweep_folders(paths.clips)
    kept = sum(f.bytes for f in loops if f.path not in gone)
    left = kept + heard + sum(f.bytes for f in (*clips, *transitions) if f.path not in gone)
    return Tidied(
        left, kept, shutil.disk_usage(paths.cache).free, tuple(str(p) for p in doomed if p.parent == paths.loops)
    )


def forget_clip(paths: Paths, job_id: str, codes: frozenset[str]) -> None:
    """Delete the clip of a job that has got its receipt."""
    for path in paths.clips.glob(f"{job_id}*"):
        if str(path) not in codes:
            path.unlink(missing_ok=True)


def _of_job(file: CacheFile, jobs: frozenset[str]) -> bool:
    return any(file.path.name.startswith(job) for job in jobs)


def _sweep_folders(folder: Path) -> None:
    """A command that was killed leaves its folder of clips behind."""
    for path in folder.iterdir():
        if path.is_dir() and time.time() - path.stat().st_mtime > ABANDONED_S:
            shutil.rmtree(path, ignore_errors=True)


def _scan(folder: Path) -> list[CacheFile]:
    now = time.time()
    found = []
    for path in folder.iterdir():
        try:
            facts = path.stat()
        except FileNotFoundError:
            continue
        if path.is_file():
            found.append(CacheFile(path, facts.st_size, now - facts.st_mtime))
    return found
