"""A wished change is read, rendered and written; where it cannot be, the player is told why."""

from __future__ import annotations

from pathlib import Path

import msgspec

from services.analyzer.transitions.work import handle_prepare
from shared.audio_files import read_audio, write_wav
from shared.messages import Prepare, TransitionFailed, TransitionReady
from shared.units import STATION_RATE
from tests.unit.analyzer.loops import clicks, looped


def test_a_wished_change_is_written_and_told_and_a_missing_loop_is_said(tmp_path: Path) -> None:
    first, second = looped("a", 225, 4), looped("b", 236, 4)
    records = []
    for record, pitch in ((first, 1_000.0), (second, 3_000.0)):
        path = tmp_path / f"{record.loop_id}.wav"
        write_wav(path, clicks(record, pitch), STATION_RATE)
        records.append(msgspec.structs.replace(record, path=str(path)))
    told = handle_prepare(Prepare(first=records[0], second=records[1]), (tmp_path,), tmp_path)
    assert isinstance(told, TransitionReady)
    done = told.transition
    audio, rate = read_audio(Path(done.path))
    assert (len(audio), rate) == (done.frames, STATION_RATE)
    assert (done.kind, done.from_loop, done.to_loop) == ("blend", "a", "b")
    Path(records[1].path).unlink()
    failed = handle_prepare(Prepare(first=records[0], second=records[1]), (tmp_path,), tmp_path)
    assert isinstance(failed, TransitionFailed)
    assert "does not exist" in failed.reason
    outside = handle_prepare(Prepare(first=records[0], second=records[1]), (tmp_path / "x",), tmp_path)
    assert isinstance(outside, TransitionFailed)
