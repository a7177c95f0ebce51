"""What words and figures in a prompt become."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.generator.backends.composer.plan import Asked, make_plan
from services.generator.backends.composer.prompt import understand
from services.generator.backends.composer.score import Meter
from services.generator.backends.composer.style import builtin
from shared.errors import UsageError
from tests.unit.composer.pieces import piece, planned

READ = [
    ("lo-fi at 80 bpm", "bpm", 80.0),
    ("techno, 128.5 BPM", "bpm", 128.5),
    ("musica lenta a 72 battiti al minuto", "bpm", 72.0),
    ("jazz 1200 bpm", "bpm", None),
    ("ambient in F# minor", "tonic", 6),
    ("ambient in F# minor", "mode", "minor"),
    ("a sad song in Bb major", "tonic", 10),
    ("house in Am", "tonic", 9),
    ("pianoforte in la minore", "tonic", 9),
    ("in si bemolle maggiore", "tonic", 10),
    ("in a minor key", "tonic", None),
    ("in a minor key", "mode", "minor"),
    ("I am happy", "tonic", None),
    ("D dorian groove", "mode", "dorian"),
    ("a waltz", "meter", Meter(3, 4)),
    ("valzer triste", "meter", Meter(3, 4)),
    ("something in 7/8", "meter", Meter(7, 8)),
    ("6/8 feel", "meter", Meter(6, 8)),
    ("released on 13/4", "meter", None),
    ("16 bars of funk", "bars", 16),
    ("dark", "family", "minor"),
    ("qualcosa di felice", "family", "major"),
    ("lo-fi no drums", "unwanted", {"role:drums"}),
    ("lo-fi senza batteria", "unwanted", {"role:drums"}),
    ("lo-fi senza batteria né basso", "unwanted", {"role:drums", "role:bass"}),
    ("without any drums or bass, with piano", "unwanted", {"role:drums", "role:bass"}),
    ("jazz without a sax", "unwanted", {"sax"}),
    ("no electric piano, piano please", "unwanted", {"epiano", "epiano-fm"}),
    ("solo piano", "only", {"piano", "piano-felt"}),
    ("piano solo", "only", {"piano", "piano-felt"}),
    ("solo pianoforte", "only", {"piano", "piano-felt"}),
    ("only drums", "only", {"role:drums"}),
    ("jazz with a guitar solo", "only", set()),
    ("just piano and cello", "only", {"piano", "piano-felt", "cello"}),
    ("just chords and drums", "only", {"role:chords", "role:drums"}),
    ("acoustic guitar and drums only", "only", {"guitar-steel", "role:drums"}),
    ("drum loop 174", "bpm", 174.0),
    ("deep house at 122, warm", "bpm", 122.0),
    ("acid 303", "bpm", None),
    ("90s house", "bpm", None),
    ("In C", "tonic", 0),
    ("jazz with flute and vibraphone", "wanted", ("flute", "vibraphone")),
    ("bossa con flauto", "wanted", ("flute",)),
]


WORDS = ["no", "only", "solo", "with", "without", "senza", "and", ",", "not", "more", "of", "in"]
WORDS += ["piano", "drums", "bass", "dark", "slower", "80bpm", "7/8", "Am", "jazz"]


@pytest.mark.parametrize(("prompt", "field", "expected"), READ)
def test_reads(prompt: str, field: str, expected: object) -> None:
    assert getattr(understand(prompt, builtin()), field) == expected


def test_relative_words_move_even_a_tempo_in_figures() -> None:
    assert planned("lo-fi 80 bpm, slower").bpm < 80 < planned("lo-fi 80 bpm, faster").bpm
    much = planned("lo-fi 80 bpm, much slower").bpm
    assert much < planned("lo-fi 80 bpm, slower").bpm < planned("lo-fi 80 bpm, a bit slower").bpm < 80
    assert planned("lo-fi 80 bpm, slow").bpm == 80


def test_unknown_words_change_only_the_seed() -> None:
    plain, odd = planned("ambient"), planned("ambient xyzzy 东京 🎵 Ωμέγα")
    assert (odd.style, odd.unwanted, odd.only, odd.wanted) == (plain.style, plain.unwanted, plain.only, plain.wanted)


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=0, max_size=400))
def test_any_text_becomes_a_plan(text: str) -> None:
    plan = make_plan(text, 3, builtin())
    assert plan.style in builtin()
    assert 20 <= plan.bpm <= 400


@settings(max_examples=40, deadline=None)
@given(words=st.lists(st.sampled_from(WORDS), max_size=12))
def test_known_words_in_any_order_become_music(words: list[str]) -> None:
    score = piece(" ".join(words), 1, Asked(bars=2))
    assert any(part.notes for part in score.sections[0].parts)


def test_very_long_text_is_read_quickly_and_harmlessly() -> None:
    assert make_plan("dark ambient " + "no drums, " * 50_000, 1, builtin()).style == "ambient"


def test_refused_and_wanted_instruments_are_obeyed() -> None:
    names = {part.name for section in piece("lo-fi no drums, no bass").sections for part in section.parts}
    assert not names & {"drums", "bass"}
    instruments = {part.instrument for section in piece("jazz café with flute").sections for part in section.parts}
    assert "flute" in instruments
    alone = {part.instrument for section in piece("solo piano").sections for part in section.parts if part.notes}
    assert alone <= {"piano", "piano-felt"}
    flute = {part.instrument for section in piece("solo flute").sections for part in section.parts if part.notes}
    assert flute == {"flute"}
    guest = piece("waltz with sitar").sections[0]
    assert any(part.instrument == "sitar" and part.notes for part in guest.parts)
    assert any(part.notes for part in piece("calm folk, only drums").sections[0].parts)
    duo = {part.instrument for section in piece("just piano and cello").sections for part in section.parts}
    assert duo == {"piano", "cello"}


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        (Asked(bpm=5), "bpm"),
        (Asked(key="H"), "key"),
        (Asked(meter="13/16"), "metre"),
        (Asked(seconds=0.2), "seconds"),
        (Asked(seconds=9_999), "seconds"),
        (Asked(bars=0), "bars"),
    ],
)
def test_figures_out_of_range_are_refused_in_one_sentence(asked: Asked, word: str) -> None:
    with pytest.raises(UsageError, match=word) as refusal:
        make_plan("lo-fi", 1, builtin(), asked)
    assert str(refusal.value).endswith(".")
