"""Sampled instruments: found, played, and done without when they are broken."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.generator.backends.composer.score import Note
from services.generator.backends.composer.sound import find_library, find_soundfont, render_piece, soundfont_fault
from services.generator.backends.composer.sound import render as rendering
from services.generator.backends.composer.sound.soundfont import Patch, open_player
from services.generator.backends.composer.sound.tone import Tone
from tests.unit.sound.scores import part, score, section

PIECE = score(section(part("guitar-nylon", Note(0, 2, 57, 0.7), Note(2, 2, 60, 0.7)), bars=1))


@pytest.fixture(autouse=True)
def _fresh_player() -> Iterator[None]:
    rendering._player.cache_clear()
    yield
    rendering._player.cache_clear()


def test_a_broken_soundfont_is_said_once_and_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert find_library() is not None, "needs FluidSynth: sudo apt install libfluidsynth3"
    broken = tmp_path / "broken.sf2"
    broken.write_bytes(b"RIFF" + bytes(range(256)) * 40)
    monkeypatch.setenv("INFINILOOP_SOUNDFONT", str(broken))
    with caplog.at_level(logging.WARNING):
        first, second = (render_piece(PIECE, 24_000) for _ in range(2))
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1
    assert "broken.sf2 cannot be read" in warnings[0]
    assert "fluid-soundfont-gm" in warnings[0]
    assert soundfont_fault(str(find_library()), broken) == warnings[0]
    alone = render_piece(PIECE, 24_000, samples=False)
    assert first.samples.tobytes() == second.samples.tobytes() == alone.samples.tobytes()


def test_a_named_soundfont_that_is_not_there_means_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFINILOOP_SOUNDFONT", str(tmp_path / "gone.sf2"))
    assert find_soundfont() is None
    assert open_player() is None


def test_samples_sound_other_than_synthesis_and_the_same_again() -> None:
    assert find_soundfont() is not None, "needs a SoundFont: sudo apt install fluid-soundfont-gm"
    sampled, again, alone = (render_piece(PIECE, 24_000, samples=samples) for samples in (True, True, False))
    assert sampled.samples.tobytes() == again.samples.tobytes()
    assert not np.allclose(sampled.samples, alone.samples, atol=1e-2)


def test_a_sample_sounds_the_same_whatever_was_played_before() -> None:
    player = open_player()
    assert player is not None, "needs FluidSynth and a SoundFont: sudo apt install libfluidsynth3 fluid-soundfont-gm"
    tone = Tone(60, 0.6, 12_000, 24_000)
    for patch in (Patch(0), Patch(48), Patch(40, drums=True)):
        first = player.tone(patch, tone)
        player.tone(Patch(73), Tone(77, 0.9, 5001, 24_000))
        assert np.array_equal(player.tone(patch, tone), first)


def test_a_bend_moves_the_pitch() -> None:
    player = open_player()
    assert player is not None, "needs FluidSynth and a SoundFont: sudo apt install libfluidsynth3 fluid-soundfont-gm"
    tone = Tone(69, 0.7, 24_000, 24_000)
    peaks = []
    for cents in (0.0, 50.0):
        sound = player.tone(Patch(73), tone, cents)[:, 0] * np.hanning(24_000)
        peaks.append(int(np.argmax(np.abs(np.fft.rfft(sound, 1 << 19))[8000:12000])) + 8000)
    assert 1200 * np.log2(peaks[1] / peaks[0]) == pytest.approx(50.0, abs=4.0)
