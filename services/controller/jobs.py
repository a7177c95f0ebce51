"""How a job is put to a backend: each has its measure of length, and not every one takes a tempo or a key. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from services.controller.named import named_key, named_tempo
from shared.messages import Capabilities, Insisted, Job
from shared.settings import Settings

BRIDGE_BARS = 4
"""Eight are heard a good two seconds later (benchmarks/RESULTS.md)."""


def shaped(job: Job, offer: Capabilities, delivery: int, settings: Settings, model: str = "") -> Job:
    """``job`` as the backend of this offer takes it, with the token of its ``delivery``.

    A backend that writes its music down is asked for a song of related sections, or for four bars as a bridge; one
    that samples it for a clip in seconds, within what it can. What the prompt's own words name of tempo and key is left
    to a backend that reads them to the letter; of one that only hears them, the clip is measured, and refused where it
    has another.
    """
    if job.remade:
        return replace(job, token=f"{job.job_id}.{delivery}", device=settings.generator.device)
    composed = offer.exact_loops
    grown = job.parent_recipe is not None and job.parent_recipe.backend == offer.backend
    seconds = min(max(settings.generator.duration, offer.min_seconds), offer.max_seconds)
    bpm = named_tempo(job.prompt) if offer.tempo_control and not composed else None
    key = named_key(job.prompt) if offer.key_control and not composed else None
    insists: tuple[tuple[Insisted, object], ...] = (("tempo", bpm), ("key", key))
    return replace(
        job,
        token=f"{job.job_id}.{delivery}",
        backend=offer.backend,
        model=(model or settings.generator.model) if offer.models else None,
        device=settings.generator.device,
        bars=BRIDGE_BARS if composed and job.bridge else None,
        seconds=None if composed else seconds,
        piece=composed and not job.bridge,
        bpm=bpm or (job.bpm if offer.tempo_control else None),
        key=key or (job.key if offer.key_control else None),
        insists=tuple(what for what, named in insists if named is not None),
        min_loop=settings.analyzer.min_loop,
        parent_clip=job.parent_clip if grown else None,
        parent_recipe=job.parent_recipe if grown else None,
        splice_s=job.splice_s if grown else None,
        splice_frame=job.splice_frame if grown else None,
    )
