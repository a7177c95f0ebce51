"""What words and figures in a prompt become."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.generator.backends.composer.percussion import DRUMS
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
    ("I don't want drums", "unwanted", {"role:drums"}),
    ("non voglio il pianoforte", "unwanted", {"piano", "piano-felt"}),
    ("techno senza cassa", "unwanted", {"kit:kick"}),
    ("hip hop, no bass drum", "unwanted", {"kit:kick"}),
    ("no hi-hats and no snare", "unwanted", {"kit:hi-hat", "kit:snare"}),
    ("less drums, more piano", "unwanted", set()),
    ("jazz without piano but with piano", "unwanted", set()),
    ("jazz with piano, no piano", "wanted", ()),
    ("only kick and hats", "only", {"role:drums"}),
    ("ambient with a soft beat", "wanted", ("role:drums",)),
    ("good vibes", "wanted", ()),
    ("trap beat 140 with hard 808s", "bpm", 140.0),
    ("orchestra", "style", "cinematic"),
    ("piano minimale", "style", "calm-piano"),
    ("elevator music", "style", "bossa"),
    ("afro house", "style", "deep-house"),
    ("sea shanty with accordion", "style", "celtic"),
    ("drop the bass", "unwanted", set()),
]


WORDS = ["no", "only", "solo", "with", "without", "senza", "and", ",", "not", "more", "of", "in"]
WORDS += ["piano", "drums", "bass", "dark", "slower", "80bpm", "7/8", "Am", "jazz"]


@pytest.mark.parametrize(("prompt", "field", "expected"), READ)
def test_reads(prompt: str, field: str, expected: object) -> None:
    assert getattr(understand(prompt, builtin()), field) == expected


@pytest.mark.parametrize("prompt", ["a night shift", "the graveyard hours", "some tinkering", "night-shift"])
def test_a_style_is_found_by_its_key_its_name_and_its_words(prompt: str) -> None:
    data = msgspec.structs.replace(builtin()["lo-fi"].data, name="Graveyard Hours", words=("tinkering",))
    own = replace(builtin()["lo-fi"], key="night-shift", data=data)
    assert understand(prompt, {**builtin(), own.key: own}).style == own.key


def test_relative_words_move_even_a_tempo_in_figures() -> None:
    assert planned("lo-fi 80 bpm, slower").bpm < 80 < planned("lo-fi 80 bpm, faster").bpm
    much = planned("lo-fi 80 bpm, much slower").bpm
    assert much < planned("lo-fi 80 bpm, slower").bpm < planned("lo-fi 80 bpm, a bit slower").bpm < 80
    assert planned("lo-fi 80 bpm, slow").bpm == 80


def test_slow_and_fast_reach_the_ends_of_the_style() -> None:
    low, high = builtin()["jazz-cafe"].data.tempo
    for seed in range(8):
        slow, plain, fast = (planned(f"{word}jazz café", seed).bpm for word in ("very slow ", "", "very fast "))
        assert slow == low
        assert low <= plain <= high
        assert fast == high


def test_the_plan_tells_what_was_understood() -> None:
    assert planned("only bass and drums").line.endswith(" · only bass and drums")
    assert planned("just piano and cello").line.endswith(" · only piano and cello")
    assert planned("bossa con flauto e chitarra").line.endswith(" · with flute and guitar")
    assert planned("hip hop, no hi hats, no sax").line.endswith(" · no hi hat · no sax")
    assert planned("house with 909").line.endswith(" · with 909")


def test_pieces_of_the_kit_can_be_refused() -> None:
    hats = {DRUMS["hat"], DRUMS["pedal"], DRUMS["open-hat"]}
    for seed in range(4):
        drums = [part for section in piece("house, no hi-hats", seed).sections for part in section.parts]
        played = {note.pitch for part in drums if part.percussion for note in part.notes}
        assert played
        assert not played & hats


def test_a_beat_joins_a_style_that_has_none() -> None:
    for prompt in ("ambient with a soft beat", "sleep music with drums", "string quartet con batteria, 5/4"):
        sections = piece(prompt).sections
        assert any(part.percussion and part.notes for part in sections[0].parts)
    assert {part.instrument for part in piece("calm piano with 808").sections[0].parts if part.percussion} == {
        "kit-808"
    }
    assert not any(part.percussion for part in piece("ambient").sections[0].parts)


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
    both = {part.name: part for part in piece("only bass and drums").sections[1].parts}
    assert both["drums"].notes
    assert any(part.notes for name, part in both.items() if "bass" in name)
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
