"""Models come, are found, and go: against a hub on this machine, with real bytes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.generator.backends.musicgen.checkpoint import Checkpoint
from services.generator.backends.musicgen.conversion import convert
from services.generator.backends.musicgen.shape import CheckpointError
from services.generator.models import download as module
from services.generator.models.catalogue import MODELS, base_name, find
from services.generator.models.consent import Consent
from services.generator.models.download import Hub, Offline, download, offline
from services.generator.models.store import ModelStore
from shared.errors import BackendError, Cancelled, StoreError, UsageError
from shared.settings.generator import MODELS as NAMES
from tests.golden.musicgen_checkpoint import CASES, write_checkpoint
from tests.models.hub import COMMIT, FakeHub, serve

SMALL = MODELS["small"]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    folder = write_checkpoint(tmp_path / "hub", CASES["mono"])
    with serve(FakeHub(folder, SMALL.repository)) as served:
        yield served


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models", tmp_path / "cache", tmp_path / "musicgpt")


def fetch(store: ModelStore, hub: FakeHub, **changes: object) -> None:
    client = Hub(hub.address)
    download(store, SMALL, client.list(SMALL), client, **changes)  # type: ignore[arg-type]


def test_a_download_is_whole_checked_and_only_what_is_needed(store: ModelStore, hub: FakeHub) -> None:
    seen: list[tuple[int, int]] = []
    fetch(store, hub, report=lambda done, total: seen.append((done, total)))
    here = store.look("small")
    assert here.source is not None
    assert here.source.ours
    assert here.source.revision == COMMIT
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        assert (here.source.folder / name).read_bytes() == (hub.folder / name).read_bytes()
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]
    assert not any("pytorch_model" in path for path, _ in hub.asked)
    assert [path.name for path in (store.root / "small").iterdir()] == ["source"]


def test_shards_come_by_their_index(tmp_path: Path, store: ModelStore) -> None:
    folder = write_checkpoint(tmp_path / "shards", CASES["deep"])
    with serve(FakeHub(folder, SMALL.repository)) as hub:
        fetch(store, hub)
    source = store.look("small").source
    assert source is not None
    assert Checkpoint(source.folder).shape.decoder.layers == 5


def test_a_broken_connection_is_taken_up_where_it_broke(store: ModelStore, hub: FakeHub) -> None:
    hub.breaks_after["model.safetensors"] = 100_000
    fetch(store, hub)
    starts = [offset for path, offset in hub.asked if path.endswith("model.safetensors")]
    assert starts == [0, 100_000]


def test_an_interrupted_download_is_no_model_and_resumes_later(store: ModelStore, hub: FakeHub) -> None:
    hub.breaks_after["model.safetensors"] = 50_000
    calls: list[int] = []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        fetch(store, hub, check=stop)
    assert not store.look("small").usable
    asked = len(hub.asked)
    fetch(store, hub)
    assert store.look("small").usable
    assert [offset for path, offset in hub.asked[asked:] if path.endswith("model.safetensors")] == [50_000]
    assert not any(path.endswith("config.json") for path, _ in hub.asked[asked:])


def test_wrong_bytes_are_thrown_away(store: ModelStore, hub: FakeHub) -> None:
    for name in ("config.json", "model.safetensors"):
        hub.lies_about = {name}
        with pytest.raises(BackendError, match="other bytes than announced"):
            fetch(store, hub)
        assert not store.look("small").usable
    hub.lies_about = set()
    fetch(store, hub)
    assert store.look("small").usable


def test_a_model_of_another_kind_is_not_adopted(store: ModelStore, hub: FakeHub) -> None:
    config = json.loads((hub.folder / "config.json").read_text()) | {"model_type": "llama"}
    (hub.folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="not MusicGen"):
        fetch(store, hub)
    assert not store.look("small").usable


def test_no_network_is_one_sentence_and_offline_asks_nobody(store: ModelStore, hub: FakeHub) -> None:
    nobody = Hub("http://127.0.0.1:9")
    listing = Hub(hub.address).list(SMALL)
    with pytest.raises(BackendError, match="cannot be reached") as caught:
        download(store, SMALL, listing, nobody)
    assert "\n" not in str(caught.value)
    asked = len(hub.asked)
    with pytest.raises(Offline, match="switched off"):
        Hub(hub.address, forbidden=True).list(SMALL)
    with pytest.raises(Offline):
        download(store, SMALL, listing, Hub(hub.address, forbidden=True))
    assert len(hub.asked) == asked
    assert offline({"HF_HUB_OFFLINE": "1"})
    assert not offline({"HF_HUB_OFFLINE": "0"})
    assert not offline({})


def test_a_mirror_without_the_model_says_so(hub: FakeHub) -> None:
    with pytest.raises(BackendError, match="404"):
        Hub(hub.address).list(MODELS["large"])
    with pytest.raises(BackendError, match="no web address"):
        Hub("ftp://somewhere")
    (hub.folder / "tokenizer.json").unlink()
    with pytest.raises(BackendError, match="not a whole MusicGen model"):
        Hub(hub.address).list(SMALL)


def test_a_full_disk_is_said_before_the_first_byte(
    store: ModelStore, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(store.root.parent)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _path: usage._replace(free=1 << 20))
    with pytest.raises(StoreError, match="are free"):
        fetch(store, hub)
    assert not any("/resolve/" in path for path, _ in hub.asked)


def test_the_hubs_own_cache_is_used_and_left_alone(store: ModelStore, tmp_path: Path) -> None:
    snapshot = tmp_path / "cache" / "models--facebook--musicgen-small" / "snapshots" / "abc123"
    write_checkpoint(snapshot, CASES["mono"])
    here = store.look("small")
    assert here.source is not None
    assert not here.source.ours
    assert here.source.revision == "abc123"
    convert(Checkpoint(here.source.folder), store.converted_folder("small", "int8"), "int8")
    assert set(store.look("small").converted) == {"int8"}
    assert store.delete("small") > 0
    assert store.look("small").source is not None
    assert not store.look("small").converted


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ".cache/huggingface/hub"),
        ({"HF_HOME": "/there"}, "/there/hub"),
        ({"HF_HUB_CACHE": "/else"}, "/else"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
    ],
)
def test_the_hubs_cache_is_sought_where_its_client_puts_it(
    tmp_path: Path, variables: dict[str, str], expected: str
) -> None:
    store = ModelStore.from_environment(tmp_path, {"HOME": str(tmp_path), **variables})
    assert store._hub == (Path(expected) if expected.startswith("/") else tmp_path / expected)


def test_musicgpts_models_are_listed_and_deleted_by_name(store: ModelStore, tmp_path: Path) -> None:
    folder = tmp_path / "musicgpt" / "v1" / "small_fp32"
    folder.mkdir(parents=True)
    (folder / "encodec_decode.onnx").write_bytes(bytes(1000))
    (tmp_path / "musicgpt" / "v1" / "half-made").mkdir()
    assert [(each.name, each.size) for each in store.foreign()] == [("small_fp32", 1000)]
    with pytest.raises(StoreError, match="no model"):
        store.delete_foreign("../../models")
    assert store.delete_foreign("small_fp32") == 1000
    assert store.foreign() == []


def test_consent_is_remembered_and_a_garbled_file_is_none(tmp_path: Path) -> None:
    consent = Consent(tmp_path)
    assert consent.said("small") is None
    consent.remember("small", "no")
    consent.remember("musicgpt:small", "yes")
    assert Consent(tmp_path).said("small") == "no"
    assert Consent(tmp_path).said("musicgpt:small") == "yes"
    (tmp_path / "consent.json").write_text("{")
    assert Consent(tmp_path).said("musicgpt:small") is None
    assert (tmp_path / "consent.unreadable").read_text() == "{"


def test_every_name_of_the_settings_has_a_model() -> None:
    assert {base_name(name) for name in NAMES} == set(MODELS)
    with pytest.raises(UsageError, match="choose one of small"):
        find("../small")


def test_deleting_is_by_known_names_only(store: ModelStore) -> None:
    refused: Callable[[str], int] = store.delete
    with pytest.raises(UsageError):
        refused("..")
