"""What a prompt names itself: tempi and keys in the words that people use, and words that only look like them."""

import pytest

from services.controller.named import named_key, named_tempo


@pytest.mark.parametrize(
    ("prompt", "bpm"),
    [
        ("techno 120 bpm", 120.0),
        ("Techno, 120BPM", 120.0),
        ("a 128-bpm groove", 128.0),
        ("lo-fi at 76 beats per minute", 76.0),
        ("lo-fi. bpm: 82.5", 82.5),
        ("tempo of 90, warm", 90.0),
        ("house, 90-100 bpm", 95.0),
        ("house, 120 to 130 bpm", 125.0),
        ("drone at 5 bpm", None),
        ("noise at 999 bpm", None),
        ("the 303 and the 808", None),
        ("calm rain", None),
        ("tempo rubato", None),
        ("up-tempo 80s pop", None),
    ],
)
def test_a_tempo_is_heard(prompt: str, bpm: float | None) -> None:
    assert named_tempo(prompt) == bpm


@pytest.mark.parametrize(
    ("prompt", "key"),
    [
        ("strings in D minor", "Dm"),
        ("strings in d minor", "Dm"),
        ("a waltz in a minor", "Am"),
        ("key: a minor", "Am"),
        ("C major, bright", "C"),
        ("E flat major", "Eb"),
        ("F-sharp minor", "F#m"),
        ("techno in F#m", "F#m"),
        ("pads, Bbm, slow", "Bbm"),
        ("B♭ maj", "Bb"),
        ("a minor chord that fades", None),
        ("in a minor mood", None),
        ("a major hit", None),
        ("I am calm", None),
        ("5 mm of rain", None),
        ("calm rain", None),
    ],
)
def test_a_key_is_heard(prompt: str, key: str | None) -> None:
    assert named_key(prompt) == key
