"""Passes of a loop one after the other, cut and faded, in blocks of any length."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import settings as bounds
from hypothesis import strategies as some
from msgspec.structs import replace

from services.controller.saving.music import cut, faded, one_pass, repeated, section_of
from shared.music import BeatGrid, Section
from tests.unit.controller.conftest import a_loop
from tests.unit.player.material import noise

FRAMES = 96_000
LOOP = a_loop("l1", frames=FRAMES, grid=BeatGrid(beats=(3_001, 51_001), downbeats=(3_001,)))


def test_passes_follow_one_another_and_fades_begin_and_end_in_silence() -> None:
    one = one_pass(noise(FRAMES), LOOP)
    passes = np.concatenate(list(repeated(one, 3)))
    np.testing.assert_array_equal(passes, np.tile(one, (3, 1)))
    frames = 2 * FRAMES
    ended = np.concatenate(list(faded(cut(repeated(one, 3), frames), frames, 4_800, 9_600)))
    assert len(ended) == frames
    np.testing.assert_array_equal(ended[4_800 : frames - 9_600], passes[4_800 : frames - 9_600])
    gain = np.abs(ended) / np.maximum(np.abs(passes[:frames]), 1e-9)
    assert gain[:10].max() < 1e-4 > gain[-10:].max()
    assert np.abs(np.diff(gain[:4_800, 0])).max() < 1e-3


@bounds(max_examples=20, deadline=None)
@given(some.integers(1, 40), some.lists(some.integers(1, 30), min_size=1, max_size=6), some.integers(0, 30))
def test_fades_do_not_depend_on_how_the_sound_is_cut(fade: int, cuts: list[int], more: int) -> None:
    whole = np.ones((sum(cuts) + more, 2), np.float32)
    edges = np.cumsum(cuts)[:-1] if not more else np.cumsum(cuts)
    parts = list(faded(np.split(whole, edges), len(whole), fade, fade))
    (once,) = faded([whole], len(whole), fade, fade)
    np.testing.assert_allclose(np.concatenate(parts), once, atol=1e-7)


def test_the_first_section_that_is_more_than_a_fill() -> None:
    assert section_of(LOOP) is None
    only = replace(LOOP, sections=(Section(label="fill", start=0, end=100, bars=1),))
    assert section_of(only) == only.sections[0]
