"""A clip's codes learn where its loop lies, so that it can be continued from any frame of the loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from services.analyzer.work import Places, handle_clip
from shared.audio_files import write_wav
from shared.codes import KeptCodes
from shared.messages import Clip, ClipAccepted, ClipRejected, Insisted
from shared.music import Recipe
from tests.unit.analyzer.music import groove

RATE = 32_000


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places(tmp_path / "cache", tmp_path / "cache" / "loops")
    made.loops.mkdir(parents=True)
    return made


def answered(
    places: Places, codes: Path | None, asked_bpm: float | None = None, insists: tuple[Insisted, ...] = ()
) -> ClipAccepted | ClipRejected:
    music = groove(bpm=120.0, bars=6, rate=RATE)
    path = places.cache / "clip.wav"
    write_wav(path, music, RATE, subtype="FLOAT")
    clip = Clip(
        job_id="clip",
        token="t",
        epoch=1,
        recipe=Recipe(prompt="rain", backend="other"),
        path=str(path),
        sample_rate=RATE,
        frames=len(music),
        channels=1,
        asked_bpm=asked_bpm,
        insists=insists,
        min_loop="4",
        codes_path=str(codes) if codes else None,
    )
    return handle_clip(clip, None, places, -16.0)


def accepted(places: Places, codes: Path, asked_bpm: float | None = None) -> ClipAccepted:
    answer = answered(places, codes, asked_bpm)
    assert isinstance(answer, ClipAccepted), answer
    return answer


def test_a_tempo_is_refused_only_where_it_is_insisted_on(places: Places) -> None:
    refused = answered(places, None, 80.0, ("tempo",))
    assert isinstance(refused, ClipRejected)
    assert refused.code == "wrong-tempo"
    assert refused.figures["bpm"] == pytest.approx(120, rel=0.01)
    for insists in ((), ("key",)):
        assert isinstance(answered(places, None, 80.0, insists), ClipAccepted)


@pytest.mark.parametrize("asked_bpm", [None, 124.0])
def test_the_sample_map_tells_the_loop(places: Places, asked_bpm: float | None) -> None:
    codes = places.cache / "clip.npz"
    KeptCodes(np.zeros((4, 900), np.int64), "small", RATE, 640, RATE).save(codes)
    loop = accepted(places, codes, asked_bpm).loop
    kept = KeptCodes.load(codes)
    assert (kept.loop_start, kept.loop_end, kept.loop_frames) == (loop.source_start, loop.source_end, loop.frames)
    assert kept.second_of_loop(0) == pytest.approx(loop.source_start / RATE)
    half = (loop.source_start + loop.source_end) / 2 / RATE
    assert kept.second_of_loop(loop.frames // 2) == pytest.approx(half, abs=1e-4)


def test_codes_that_are_gone_or_lie_elsewhere_cost_no_loop(places: Places, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.npz"
    KeptCodes(np.zeros((4, 900), np.int64), "small", RATE, 640, RATE).save(elsewhere)
    before = elsewhere.read_bytes()
    for codes in (places.cache / "none.npz", elsewhere):
        accepted(places, codes)
    assert elsewhere.read_bytes() == before
