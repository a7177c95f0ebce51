"""The graphs in float32 say what transformers says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from services.generator.backends.musicgen import calibration
from services.generator.backends.musicgen.checkpoint import Checkpoint
from services.generator.backends.musicgen.codec_stream import CodecStream
from services.generator.backends.musicgen.conversion import Converted, Precision, convert
from services.generator.backends.musicgen.decoder import Decoder
from services.generator.backends.musicgen.runtime import open_session
from services.generator.backends.musicgen.sampling import DelayedSequence, guide
from services.generator.backends.musicgen.text import CrossStates, encode_prompt
from tests.golden.make_musicgen import EVERY, HEARD, IDS
from tests.models.conftest import Case


def cross_of(case: Case) -> CrossStates:
    return encode_prompt(open_session(case.converted.folder / "prompt.onnx", 1), IDS, case.converted.shape)


def decoder_of(converted: Converted) -> Decoder:
    return Decoder(open_session(converted.folder / "decoder.onnx", 1), converted.shape.decoder)


def codec_of(converted: Converted, rows: int, skip: int = 0) -> CodecStream:
    codes, sound = (open_session(converted.folder / f"{name}.onnx", 1) for name in ("codes", "sound"))
    return CodecStream(codes, sound, converted.shape.codec, rows, skip)


def test_the_text_encoder_gives_the_same_states(case: Case) -> None:
    states = cross_of(case).states
    assert states.shape == case.golden["states"].shape
    assert np.abs(states - case.golden["states"]).max() < 1e-4


def test_the_delay_pattern_is_the_same(case: Case) -> None:
    codes = case.golden["codes"].astype(np.int64)
    sequence = DelayedSequence(case.converted.shape.decoder, codes[:, :, :-1], 1)
    assert np.array_equal(sequence.prefix[0], case.golden["inputs"])
    pattern = case.golden["pattern"]
    assert sequence.length == pattern.shape[1]
    for position in range(sequence.context + 1, sequence.length):
        sequence.put(position, np.full(codes.shape[:2], 7))
        expected = np.where(pattern[:, position] == -1, 7, pattern[:, position])
        assert np.array_equal(sequence.at(position)[0], expected)


def test_logits_and_greedy_codes_are_the_same_over_200_steps(case: Case) -> None:
    inputs = case.golden["inputs"].astype(np.int64)[None]
    decoder = decoder_of(case.converted)
    decoder.begin(cross_of(case), 1, inputs.shape[2])
    clear = 0
    for position in range(inputs.shape[2]):
        logits = decoder.step(inputs[:, :, position])
        if position % EVERY == 0:
            assert np.abs(logits - case.golden["logits"][:, :, position // EVERY]).max() < 1e-4
        sure = case.golden["clear"][:, position]
        greedy = guide(logits, 3.0)[0].argmax(axis=-1)
        assert np.array_equal(greedy[sure], case.golden["greedy"][sure, position])
        clear += int(sure.sum())
    assert inputs.shape[2] == 200
    assert clear > 0.95 * case.golden["clear"].size


@pytest.mark.parametrize("length", [2, 37, 181])
def test_a_prefill_is_the_same_as_step_by_step(case: Case, length: int) -> None:
    inputs = case.golden["inputs"].astype(np.int64)[None]
    cross = cross_of(case)
    decoder = decoder_of(case.converted)
    decoder.begin(cross, 1, 200)
    for position in range(length + 10):
        stepped = decoder.step(inputs[:, :, position]).copy()
        if position == length - 1:
            at_length = stepped
    decoder.begin(cross, 1, 200)
    assert np.abs(decoder.prefill(inputs[:, :, :length]) - at_length).max() < 1e-4
    for position in range(length, length + 10):
        after = decoder.step(inputs[:, :, position])
    assert np.abs(after - stepped).max() < 1e-4


def test_rows_of_a_batch_do_not_hear_one_another(case: Case) -> None:
    inputs = case.golden["inputs"].astype(np.int64)[None]
    other = np.where(inputs == inputs.max(), inputs, (inputs * 5 + 3) % inputs.max())
    cross = cross_of(case)
    decoder = decoder_of(case.converted)
    decoder.begin(cross, 3, 64)
    for position in range(40):
        columns = [other[0, :, position], inputs[0, :, position], other[0, :, position]]
        together = decoder.step(np.stack(columns)).copy()
    decoder.begin(cross, 1, 64)
    for position in range(40):
        alone = decoder.step(inputs[:, :, position])
    assert np.abs(together[[1, 4]] - alone).max() < 1e-4


def test_the_sound_is_the_same(case: Case) -> None:
    shape = case.converted.shape.decoder
    codes = case.golden["codes"].astype(np.int64)[0, :, :HEARD]
    rows = np.stack([codes[side :: shape.channels] for side in range(shape.channels)])
    stream = codec_of(case.converted, shape.channels)
    stream.feed(rows)
    audio = stream.finish()
    assert audio.shape == case.golden["audio"].shape
    assert np.abs(audio).max() > 0.01
    assert np.abs(audio - case.golden["audio"]).max() < 1e-4


@pytest.mark.parametrize("cuts", [(50, 100), tuple(range(1, 120)), (1, 2, 118, 119), (25, 75)])
def test_sound_made_in_pieces_is_the_sound_made_at_once(case: Case, cuts: tuple[int, ...]) -> None:
    shape = case.converted.shape.decoder
    codes = case.golden["codes"].astype(np.int64)[0, :, :120]
    rows = np.stack([codes[side :: shape.channels] for side in range(shape.channels)])
    whole_stream = codec_of(case.converted, shape.channels)
    whole_stream.feed(rows)
    whole = whole_stream.finish()
    stream = codec_of(case.converted, shape.channels)
    pieces, before = [], 0
    for cut in (*cuts, 120):
        stream.feed(rows[:, :, before:cut])
        ready = stream.ready
        pieces.append(stream.take())
        assert pieces[-1].shape[1] == max(0, ready) * case.converted.shape.codec.hop
        before = cut
    pieces.append(stream.finish())
    together = np.concatenate(pieces, axis=1)
    assert together.shape == whole.shape
    assert np.abs(together - whole).max() < 1e-5


def test_what_was_only_heard_gives_no_sound_and_changes_none(case: Case) -> None:
    shape = case.converted.shape.decoder
    codes = case.golden["codes"].astype(np.int64)[0, :, :60]
    rows = np.stack([codes[side :: shape.channels] for side in range(shape.channels)])
    whole_stream, stream = codec_of(case.converted, shape.channels), codec_of(case.converted, shape.channels, skip=41)
    whole_stream.feed(rows)
    stream.feed(rows[:, :, :50])
    pieces = [stream.take()]
    stream.feed(rows[:, :, 50:])
    pieces.append(stream.finish())
    expected = whole_stream.finish()[:, 41 * case.converted.shape.codec.hop :]
    assert np.abs(np.concatenate(pieces, axis=1) - expected).max() < 1e-5


@pytest.mark.parametrize(("precision", "least"), [("int8", 0.999), ("int4", 0.9)])
def test_quantised_logits_point_the_same_way(
    converted: Callable[[str, Precision], Converted], case: Case, precision: Precision, least: float
) -> None:
    inputs = case.golden["inputs"].astype(np.int64)[None]
    quantised = dataclasses.replace(case, converted=converted(case.name, precision))
    decoder = decoder_of(quantised.converted)
    decoder.begin(cross_of(quantised), 1, 200)
    cosines = []
    for position in range(200):
        logits = decoder.step(inputs[:, :, position])
        if position % EVERY == 0:
            wanted = case.golden["logits"][:, :, position // EVERY]
            product = (logits * wanted).sum(axis=-1)
            cosines.append(product / np.linalg.norm(logits, axis=-1) / np.linalg.norm(wanted, axis=-1))
    assert np.mean(cosines) > least


def test_buffers_that_would_cost_too_much_stay_as_they_are(
    source: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {}
    for least in (-1.0, 1.1):
        monkeypatch.setattr(calibration, "LEAST_COSINE", least)
        made = convert(Checkpoint(source("mono")), tmp_path / str(least), "int8")
        session = open_session(made.folder / "decoder.onnx", 1)
        kept[least] = {each.name: each.type for each in session.get_inputs()}["past_k.0"]
    assert kept == {-1.0: "tensor(int8)", 1.1: "tensor(float)"}


def test_a_runtime_without_small_buffers_keeps_the_large_ones(
    source: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_path: Path, _scales: calibration.Scales) -> None:
        _path.write_bytes(b"an operator of tomorrow")

    monkeypatch.setattr(calibration, "_rewrite", unknown)
    made = convert(Checkpoint(source("mono")), tmp_path / "int8", "int8")
    session = open_session(made.folder / "decoder.onnx", 1)
    assert {each.name: each.type for each in session.get_inputs()}["past_k.0"] == "tensor(float)"
