"""Keys of scales that were played, names that people write, and bars where they were put."""

from __future__ import annotations

import numpy as np
import pytest

from services.analyzer.finder import find_loop
from services.analyzer.harmony import pitch_classes
from services.analyzer.key import find_key, parse_key, related
from services.analyzer.length import LengthWish, parse_wish
from services.analyzer.opening import opening
from services.analyzer.records import FoundLoop
from services.analyzer.sound import Sound, listen
from shared.errors import UsageError
from tests.unit.analyzer.music import RATE, crossed, groove


def chords(roots: list[int], minor: list[bool]) -> np.ndarray:
    """Half a second of each triad."""
    t = np.arange(RATE // 2) / RATE
    out = []
    for root, sad in zip(roots, minor, strict=True):
        notes = [root, root + (3 if sad else 4), root + 7]
        out.append(sum(np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * t) for note in notes))
    return np.concatenate(out).astype(np.float32)


@pytest.mark.parametrize("tonic", range(12))
def test_a_cadence_has_its_key(tonic: int) -> None:
    root = 57 + tonic
    for minor, name in ((False, False), (True, True)):
        turn = [minor, minor, False, minor]
        audio = chords([root, root + 5, root + 7, root], turn)
        key = find_key(pitch_classes(audio, RATE, 0.0, RATE / 4, 8))
        assert key is not None
        assert parse_key(key.name) == ((root - 60) % 12, name)


def test_names_of_keys() -> None:
    assert parse_key("Am") == parse_key("A minor") == (9, True)
    assert parse_key("C# major") == parse_key("Db") == (1, False)
    assert parse_key("H dur") is None
    assert related("Am", "C")
    assert related("Am", "Em")
    assert not related("Am", "F#")


def test_wishes_for_length() -> None:
    assert parse_wish("auto") == LengthWish()
    assert parse_wish("8bars") == LengthWish(bars=8)
    assert parse_wish("6.5") == LengthWish(seconds=6.5)
    for bad in ("soon", "0", "99999", "0bars", "-3", "nan"):
        with pytest.raises(UsageError):
            parse_wish(bad)


@pytest.mark.parametrize(("bpm", "per_bar", "lead_in_s"), [(96.0, 4, 0.0), (126.3, 4, 0.7), (126.3, 3, 0.4)])
def test_downbeats_lie_on_the_bar_lines(bpm: float, per_bar: int, lead_in_s: float) -> None:
    music = groove(bpm=bpm, per_bar=per_bar, bars=16, pattern=4, seed=3)
    clip = np.concatenate([np.zeros((round(lead_in_s * RATE), 1), np.float32), music])
    loop = find_loop(clip, RATE, LengthWish(seconds=9.0))
    assert isinstance(loop, FoundLoop)
    assert loop.metre is not None
    assert loop.metre.beats_per_bar == per_bar
    bar = per_bar * 60 / bpm
    off = [(at / RATE - lead_in_s) / bar for at in loop.metre.downbeats]
    assert max(abs(bars - round(bars)) * bar for bars in off) <= 0.07


@pytest.mark.parametrize(("cut_s", "begins"), [(0.0, True), (0.3, False)])
def test_music_that_begins_is_told_from_an_excerpt(cut_s: float, begins: bool) -> None:
    # From 0.3 s on a chord sounds at full level: no clip begins like that.
    t = np.arange(RATE * 8) / RATE
    music = groove(bars=4)[:, 0] + 0.3 * np.sin(2 * np.pi * 220 * t + 1.0).astype(np.float32) * np.minimum(1, t / 0.1)
    sound = listen(music[round(cut_s * RATE) :, None].astype(np.float32), RATE)
    assert isinstance(sound, Sound)
    assert (opening(sound) is not None) == begins


def test_a_clip_that_begins_on_a_weak_downbeat_is_counted_from_there() -> None:
    # The loudest beats are the second and the fourth: only the beginning tells where the bar starts.
    beat, rng = RATE // 2, np.random.default_rng(3)
    clip = np.zeros((32 * beat, 1), np.float32)
    for number in range(32):
        burst = rng.standard_normal(RATE // 8) * np.hanning(RATE // 4)[RATE // 8 :]
        burst[:40] *= np.linspace(0, 1, 40)
        clip[number * beat : number * beat + len(burst), 0] += (0.4 if number % 2 else 0.15) * burst
    loop = find_loop(clip, RATE, LengthWish(seconds=7.5))
    assert isinstance(loop, FoundLoop)
    assert loop.metre is not None
    places = [at / beat % 4 for at in loop.metre.downbeats]
    assert all(min(place, 4 - place) < 0.1 for place in places)


@pytest.mark.parametrize("seed", [1, 2])
def test_strokes_in_threes_over_bars_of_four_are_not_taken_for_the_beat(seed: int) -> None:
    loop = find_loop(crossed(bpm=180.0, seed=seed), RATE, LengthWish(seconds=4.0))
    assert isinstance(loop, FoundLoop)
    assert loop.metre is not None
    assert min(abs(loop.metre.bpm / bpm - 1) for bpm in (90.0, 180.0)) < 0.005
