"""What a rendered piece promises: exact lengths, exact loops, one loudness, the same bytes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from services.generator.backends.composer.plan import Asked
from services.generator.backends.composer.score import Meter, Note, Space
from services.generator.backends.composer.sound import render_piece
from services.generator.backends.composer.sound.cache import NOTES, TABLES
from services.generator.backends.composer.sound.loudness import block_power, integrated_loudness, true_peak_db
from shared.errors import Cancelled, UsageError
from tests.unit.composer.pieces import piece as composed
from tests.unit.sound.scores import band, part, score, section

RATE = 24_000


@pytest.mark.parametrize(("bpm", "meter"), [(97.3, Meter(4, 4)), (171.0, Meter(7, 8)), (66.6, Meter(3, 4))])
def test_sections_end_at_the_exact_rounding_of_their_quarters(bpm: float, meter: Meter) -> None:
    piece = score(*(section(part("bass-sub", Note(0, 1, 40, 0.8)), bars=1) for _ in range(3)), bpm=bpm, meter=meter)
    rendered = render_piece(piece, RATE, samples=False)
    edges = [round(k * meter.quarters * 60 / bpm * RATE) for k in range(4)]
    assert rendered.bounds == tuple(pairwise(edges))
    assert rendered.samples.shape == (edges[-1], 2)
    assert rendered.samples.dtype == np.float32


def test_same_score_same_bytes() -> None:
    piece = band(1, sections=1, space=Space(lofi=0.5, saturation=0.3))
    first = render_piece(piece, RATE).samples.tobytes()
    assert render_piece(piece, RATE).samples.tobytes() == first
    NOTES.clear()
    TABLES.clear()
    assert render_piece(piece, RATE).samples.tobytes() == first, "a cold worker makes other bytes than a warm one"


@pytest.mark.parametrize("space", [Space(), Space("hall", 2.5, saturation=0.8, glue=1.0, lofi=0.6)])
def test_loudness_and_peak_are_as_promised(space: Space) -> None:
    rate = 48_000
    samples = render_piece(band(1, sections=1, space=space), rate).samples
    assert integrated_loudness(samples, rate) == pytest.approx(-16.0, abs=0.3)
    assert true_peak_db(np.concatenate([samples, samples[:1000]])) <= -1.0
    assert np.isfinite(samples).all()
    assert np.abs(samples.mean(axis=0)).max() < 1e-4


def test_a_section_is_a_loop_wherever_it_is_cut() -> None:
    """Rotating the score in time rotates the sound: there is no seam to hear."""
    notes = tuple(Note(k * 0.5, 0.7, 45 + 5 * (k % 4), 0.8) for k in range(8))
    moved = tuple(Note((n.start + 1.5) % 4, n.length, n.pitch, n.velocity) for n in notes)
    space = Space("hall", 2.0, saturation=0.5, glue=0.8)
    one = render_piece(score(section(part("pluck-synth", *notes, reverb=0.6, delay=0.5), bars=1), space=space), RATE)
    two = render_piece(score(section(part("pluck-synth", *moved, reverb=0.6, delay=0.5), bars=1), space=space), RATE)
    turned = np.roll(one.samples, round(1.5 * 0.5 * RATE), axis=0)
    error = turned - two.samples
    assert 10 * np.log10(np.mean(error**2) / np.mean(turned**2)) < -40


def test_sections_keep_their_levels() -> None:
    rendered = render_piece(band(1, sparse=0.5), RATE)
    loud, soft = (integrated_loudness(rendered.samples[start:end], RATE) for start, end in rendered.bounds)
    assert 3.0 < loud - soft < 14.0


@pytest.mark.parametrize("seed", [1, 3])
def test_music_for_concentration_has_no_steps_of_level(seed: int) -> None:
    samples = render_piece(composed("deep focus", seed, Asked(seconds=10.0)), RATE).samples
    seconds = np.convolve(block_power(np.concatenate([samples, samples]), RATE), np.full(7, 1 / 7), "valid")
    assert np.abs(10 * np.log10(seconds[10:] / seconds[:-10])).max() <= 1.5


def test_unfolded_music_rings_out_to_silence() -> None:
    rendered = render_piece(band(1, sections=1), RATE, fold=False)
    end = rendered.bounds[-1][1]
    assert len(rendered.samples) > end + RATE
    tail = rendered.samples[end : end + RATE // 2]
    assert np.sqrt(np.mean(tail**2)) > 1e-4
    assert np.abs(rendered.samples[-RATE // 10 :]).max() < 1e-3
    assert not rendered.samples[-1].any()


def test_a_job_can_be_called_back_and_says_how_far_it_is() -> None:
    said: list[float] = []
    render_piece(band(1), RATE, progress=said.append)
    assert said == sorted(set(said))
    assert 0.0 < said[0] < said[1] < said[-1] == 1.0
    with pytest.raises(Cancelled):
        render_piece(band(1, sections=1), RATE, cancelled=lambda: True)


def test_an_unknown_instrument_is_a_clear_error() -> None:
    with pytest.raises(UsageError, match="guitar-steel"):
        render_piece(score(section(part("guitar-steal", Note(0, 1, 60, 0.5)))), RATE)


def test_silence_stays_silence() -> None:
    rendered = render_piece(score(section(part("piano"))), RATE)
    assert not rendered.samples.any()
