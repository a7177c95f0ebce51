"""Stems are the mix taken apart."""

from __future__ import annotations

import numpy as np
import pytest

from services.generator.backends.composer.score import Space
from services.generator.backends.composer.sound import render as rendering
from services.generator.backends.composer.sound import render_piece
from shared.units import Audio
from tests.unit.sound.scores import band

RATE = 24_000


@pytest.mark.parametrize("fold", [True, False])
def test_stems_sum_to_the_mix_before_mastering(monkeypatch: pytest.MonkeyPatch, fold: bool) -> None:
    heard: list[Audio] = []
    whole = rendering.master

    def listening(mix: Audio, *rest: object, **more: object) -> Audio:
        heard.append(mix.copy())
        return whole(mix, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(rendering, "master", listening)
    piece = band(1, sections=1, space=Space("hall", 1.5, delay_feedback=0.5))
    rendered = render_piece(piece, RATE, stems=True, fold=fold)
    assert set(rendered.stems) == {"drums", "bass", "keys", "lead"}
    total = np.sum(list(rendered.stems.values()), axis=0)
    frames = len(rendered.samples) - (0 if fold else RATE // 5)
    assert total.shape == rendered.samples.shape
    error = total[:frames] - heard[0][:frames]
    assert 10 * np.log10(np.mean(error**2) / np.mean(heard[0] ** 2)) < -60


def test_no_stems_unless_asked() -> None:
    assert render_piece(band(1, sections=1), RATE).stems == {}
