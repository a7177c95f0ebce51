"""librosa and the finder, who know nothing of each other, agree on what is certain."""

from __future__ import annotations

import warnings

from services.analyzer.second_opinion import describe_further
from tests.unit.analyzer.music import RATE, groove


def test_librosa_agrees_on_tempo_and_describes() -> None:
    with warnings.catch_warnings():
        # What librosa's own dependencies announce is theirs to mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        told = describe_further(groove(bpm=118.3, bars=8), RATE)
    assert told.same_tempo(118.3)
    assert not told.same_tempo(104.0)
    assert 0 < told.percussive_share < 1
    assert abs(told.tuning_cents) < 10
    assert told.brightness_hz > 100
