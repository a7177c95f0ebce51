"""Damaged, foreign and missing files: one sentence each, and nothing half-made."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from services.generator.backends.musicgen import conversion
from services.generator.backends.musicgen.checkpoint import Checkpoint
from services.generator.backends.musicgen.conversion import convert, open_converted
from services.generator.backends.musicgen.engine import Engine
from services.generator.backends.musicgen.shape import CheckpointError
from shared.codes import KeptCodes
from shared.errors import BackendError, JobRefused
from tests.golden.musicgen_checkpoint import CASES, Plan, write_checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "checkpoint", CASES["mono"])


def change_config(folder: Path, change: Callable[[dict], None]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def truncate(path: Path, size: int) -> None:
    os.truncate(path, size)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "config.json is missing"),
    "config is not JSON": (lambda f: (f / "config.json").write_text("{"), "cannot be read"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), "not a model's configuration"),
    "another model": (lambda f: change_config(f, lambda c: c.update(model_type="llama")), "'llama', not MusicGen"),
    "melody": (lambda f: change_config(f, lambda c: c.update(model_type="musicgen_melody")), "not MusicGen"),
    "another text encoder": (
        lambda f: change_config(f, lambda c: c["text_encoder"].update(feed_forward_proj="gated-gelu")),
        "text encoder has feed_forward_proj",
    ),
    "a causal codec": (
        lambda f: change_config(f, lambda c: c["audio_encoder"].update(use_causal_conv=True)),
        "audio codec has use_causal_conv",
    ),
    "no width": (lambda f: change_config(f, lambda c: c["decoder"].pop("hidden_size")), "hidden_size"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "No model.safetensors"),
    "empty weights": (lambda f: truncate(f / "model.safetensors", 0), "not a whole safetensors file"),
    "truncated header": (lambda f: truncate(f / "model.safetensors", 700), "not a whole safetensors file"),
    "truncated weights": (lambda f: truncate(f / "model.safetensors", 60_000), "cut short"),
    "not safetensors": (lambda f: (f / "model.safetensors").write_bytes(b"PK\3\4" * 100), "not a whole safetensors"),
    "other sizes": (
        lambda f: change_config(f, lambda c: c["decoder"].update(hidden_size=64)),
        "the files are of different models",
    ),
    "more layers than weights": (
        lambda f: change_config(f, lambda c: c["decoder"].update(num_hidden_layers=9)),
        "has no tensor",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_checkpoint_is_named_and_nothing_is_left(folder: Path, kind: str, tmp_path: Path) -> None:
    spoil, sentence = BROKEN[kind]
    spoil(folder)
    with pytest.raises(CheckpointError, match=sentence) as caught:
        convert(Checkpoint(folder), tmp_path / "models" / "int8", "int8")
    assert "\n" not in str(caught.value)
    left = tmp_path / "models"
    assert not left.exists() or [path for path in left.iterdir() if path.is_dir()] == []


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "deep", CASES["deep"])
    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(CheckpointError, match="model-00002-of-00003"):
        Checkpoint(folder)


def test_an_index_cannot_point_outside_its_folder(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "deep", CASES["deep"])
    outside = tmp_path / "outside.safetensors"
    shutil.copyfile(folder / "model-00001-of-00003.safetensors", outside)
    index = {"weight_map": {"a": "../outside.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="missing"):
        Checkpoint(folder)


def test_a_full_disk_is_said_before_anything_is_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(conversion.shutil, "disk_usage", lambda _path: usage._replace(free=1 << 20))
    with pytest.raises(BackendError, match="are free"):
        convert(Checkpoint(folder), tmp_path / "models" / "int8", "int8")
    assert [path for path in (tmp_path / "models").iterdir() if path.is_dir()] == []


def test_a_disk_that_fills_up_leaves_the_old_conversion(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "models" / "int8"
    before = convert(Checkpoint(folder), target, "int8")

    def full(_folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(conversion, "_sync", full)
    with pytest.raises(BackendError, match="No space left on device"):
        convert(Checkpoint(write_checkpoint(tmp_path / "other", Plan(seed=5))), target, "int8")
    after = open_converted(target)
    assert after is not None
    assert after.manifest == before.manifest
    assert [path.name for path in target.parent.iterdir() if path.is_dir()] == ["int8"]


def test_a_conversion_that_lost_a_byte_is_not_taken_for_one(folder: Path, tmp_path: Path) -> None:
    made = convert(Checkpoint(folder), tmp_path / "int8", "int8")
    assert open_converted(made.folder) is not None
    data = made.folder / "decoder.data"
    truncate(data, data.stat().st_size - 1)
    assert open_converted(made.folder) is None


def test_the_same_checkpoint_converts_to_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    one = convert(Checkpoint(folder), tmp_path / "one", "int8")
    other = convert(Checkpoint(folder), tmp_path / "other", "int8")
    for name in one.manifest.files:
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes(), name
    assert one.manifest.source_hash == other.manifest.source_hash


def test_a_graph_that_is_none_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    made = convert(Checkpoint(folder), tmp_path / "int8", "int8")
    (made.folder / "decoder.onnx").write_bytes(b"nonsense")
    with pytest.raises(BackendError, match="cannot be loaded") as caught:
        Engine(made, 1)
    assert "\n" not in str(caught.value)


def test_a_tokenizer_of_another_model_is_recognised(folder: Path, tmp_path: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["piano"] = 31_000
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(CheckpointError, match="belongs to another model"):
        convert(Checkpoint(folder), tmp_path / "int8", "int8")


def test_a_file_that_is_no_tokenizer_is_recognised(folder: Path, tmp_path: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match="not a tokenizer"):
        convert(Checkpoint(folder), tmp_path / "int8", "int8")


def test_the_sample_map_leads_from_loop_to_clip_to_code(tmp_path: Path) -> None:
    codes = np.arange(4 * 500).reshape(4, 500) % 64
    kept = KeptCodes(codes, "small", 32_000, 640, clip_rate=44_100, start=6_400)
    with pytest.raises(JobRefused, match="has no loop yet"):
        kept.second_of_loop(0)
    # Two seconds of the clip became a loop of 2.5 s: it was slowed down, and lies at another rate.
    kept.cut(44_100, 3 * 44_100, 120_000).save(tmp_path / "clip.npz")
    read = KeptCodes.load(tmp_path / "clip.npz")
    assert np.array_equal(read.codes, codes)
    second = read.second_of_loop(30_000)
    assert second == pytest.approx(1.5)
    assert read.second_of_loop(30_000 + 120_000) == pytest.approx(1.5)
    assert read.frame_at(second) == (6_400 + 48_000) // 640
    assert read.second_of(read.frame_at(second)) == pytest.approx(second)
    assert np.array_equal(read.before(second), codes[:, :85])
    for beyond in (-0.5, 9.9):
        with pytest.raises(JobRefused, match="choose a point between"):
            read.before(beyond)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 half a zip", b"\x93NUMPY nonsense"])
def test_damaged_codes_are_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.npz"
    path.write_bytes(content)
    with pytest.raises(BackendError, match=r"codes of the clip in clip\.npz cannot be read"):
        KeptCodes.load(path)
