"""A client that knows the interval gets the audio back untouched, and the titles where they change."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dashboard.icy import INTERVAL, TitleWeaver, metadata_block


def unweave(stream: bytes) -> tuple[bytes, list[bytes]]:
    """What a radio client does."""
    audio, blocks, at = b"", [], 0
    while at < len(stream):
        audio += stream[at : at + INTERVAL]
        at += INTERVAL
        if at < len(stream):
            length = stream[at] * 16
            blocks.append(stream[at + 1 : at + 1 + length])
            at += 1 + length
    return audio, blocks


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(0, 3 * INTERVAL), max_size=8), seed=st.integers(0, 9))
def test_the_audio_comes_back_untouched_however_it_is_cut(sizes: list[int], seed: int) -> None:
    audio = [os.urandom(size) for size in sizes]
    weaver = TitleWeaver()
    woven = b"".join(weaver.weave(part, f"title {seed}") for part in audio)
    got, blocks = unweave(woven)
    assert got == b"".join(audio)
    assert len(blocks) <= len(got) // INTERVAL
    assert len(blocks) >= (len(got) - 1) // INTERVAL if got else not blocks


def test_a_title_is_said_once_and_again_when_it_changes() -> None:
    weaver = TitleWeaver()
    piece = b"\0" * INTERVAL
    woven = b"".join(weaver.weave(piece, title) for title in ("Dusk", "Dusk", "Dawn", "Dawn")) + b"\0"
    _, blocks = unweave(woven)
    assert [block.rstrip(b"\0") for block in blocks] == [b"StreamTitle='Dusk';", b"", b"StreamTitle='Dawn';", b""]


@pytest.mark.parametrize("title", ["", "Ólafur – 雨", "it's; over';", "line\nbreak", "€" * 5_000])
def test_a_block_is_whole_units_of_clean_text(title: str) -> None:
    block = metadata_block(title)
    assert len(block) == 1 + block[0] * 16
    text = block[1:].rstrip(b"\0").decode()
    assert text.startswith("StreamTitle='")
    assert text.endswith("';")
    assert "'" not in text[len("StreamTitle='") : -2]
    assert "\n" not in text
