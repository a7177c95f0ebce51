"""``infiniloop models`` as a listener meets it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from services.controller.cli.root import run_command
from services.generator.models.consent import Consent
from services.generator.models_cli import models
from shared.errors import BackendError, InfiniLoopError, UsageError
from tests.golden.musicgen_checkpoint import CASES, write_checkpoint
from tests.models.hub import FakeHub, serve

Say = Callable[..., Result]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    for name, place in (("INFINILOOP_HOME", "home"), ("HF_HOME", "hf"), ("XDG_DATA_HOME", "share")):
        monkeypatch.setenv(name, str(tmp_path / place))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(models, list(arguments))

    return run


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    folder = write_checkpoint(tmp_path / "hub", CASES["mono"])
    with serve(FakeHub(folder, "facebook/musicgen-small")) as served:
        yield served


def refused(result: Result, kind: type[InfiniLoopError]) -> str:
    assert isinstance(result.exception, kind), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


def last_line(result: Result) -> dict:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.strip().splitlines()[-1])


def test_a_model_is_downloaded_made_ready_listed_and_deleted(say: Say, hub: FakeHub, tmp_path: Path) -> None:
    facts = last_line(say("download", "small", "--mirror", hub.address, "--accept-licence", "--json"))
    assert facts["usable"]
    assert set(facts["converted"]) == {"int8"}
    listed = last_line(say("list", "--json"))
    assert listed["folder"] == str(tmp_path / "home" / "data" / "models")
    assert [each["name"] for each in listed["models"] if each["usable"]] == ["small"]
    assert "ready: int8" in say("list").stdout
    assert "CC-BY-NC 4.0, non-commercial" in say("info", "small").stdout
    assert last_line(say("delete", "small", "--source-only", "--yes", "--json"))["freed_bytes"] > 0
    assert last_line(say("info", "small", "--json"))["source"] is None
    assert last_line(say("info", "small", "--json"))["usable"]
    assert last_line(say("delete", "small", "--yes", "--json"))["freed_bytes"] > 0
    assert not last_line(say("info", "small", "--json"))["usable"]


def test_the_source_goes_after_conversion_when_asked(say: Say, hub: FakeHub) -> None:
    done = say("download", "small", "--mirror", hub.address, "--accept-licence", "--delete-source", "--json")
    facts = last_line(done)
    assert facts["source"] is None
    assert facts["usable"]
    assert facts["freed_bytes"] > 0
    # What plays already is not fetched once more.
    asked = len(hub.asked)
    assert "small is ready" in say("download", "small", "--mirror", hub.address).stdout
    assert len(hub.asked) == asked


def cut_short(source: Path) -> None:
    with (source / "model.safetensors").open("r+b") as file:
        file.truncate(100_000)


def without_words(source: Path) -> None:
    (source / "tokenizer.json").write_text("{}")


@pytest.mark.parametrize("spoil", [cut_short, without_words])
def test_weights_that_are_damaged_are_fetched_anew(say: Say, hub: FakeHub, spoil: Callable[[Path], None]) -> None:
    arguments = ("download", "small", "--mirror", hub.address, "--accept-licence", "--json")
    source = Path(last_line(say(*arguments))["source"])
    spoil(source)
    done = say(*arguments)
    assert "damaged: they are fetched anew" in done.stderr
    assert last_line(done)["usable"]
    for name in ("model.safetensors", "tokenizer.json"):
        assert (source / name).read_bytes() == (hub.folder / name).read_bytes()


def test_without_a_yes_nothing_is_fetched(say: Say, hub: FakeHub) -> None:
    sentence = refused(say("download", "small", "--mirror", hub.address), UsageError)
    assert "--accept-licence" in sentence
    assert not any("/resolve/" in path for path, _ in hub.asked)


@pytest.mark.parametrize(("answer", "expected"), [("", "no"), ("n", "no"), ("y", "yes")])
@pytest.mark.usefixtures("say")
def test_the_question_names_everything_and_its_default_is_no(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, expected: str
) -> None:
    monkeypatch.setattr("services.generator.models.asking.require_terminal", lambda _otherwise: None)
    result = CliRunner().invoke(models, ["download", "small", "--mirror", hub.address], input=f"{answer}\n")
    for part in ("GB", "free", "min", "non-commercial", "[y/N]", str(tmp_path / "home" / "data" / "models")):
        assert part in result.stderr
    assert Consent(tmp_path / "home" / "data" / "models").said("small") == expected
    if expected == "no":
        refused(result, BackendError)
        assert not any("/resolve/" in path for path, _ in hub.asked)
    else:
        assert result.exit_code == 0


def test_a_yes_is_asked_for_once(say: Say, hub: FakeHub) -> None:
    last_line(say("download", "small", "--mirror", hub.address, "--accept-licence", "--json"))
    last_line(say("delete", "small", "--yes", "--json"))
    last_line(say("download", "small", "--mirror", hub.address, "--json"))


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "INFINILOOP_GENERATOR_OFFLINE"])
def test_offline_no_network_is_touched(say: Say, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    sentence = refused(say("download", "small", "--mirror", hub.address, "--accept-licence"), BackendError)
    assert "switched off" in sentence
    assert hub.asked == []


def test_an_unreachable_hub_is_one_sentence(say: Say) -> None:
    result = say("download", "small", "--mirror", "http://127.0.0.1:9", "--accept-licence")
    assert "cannot be reached" in refused(result, BackendError)


def test_models_lie_in_a_folder_of_ones_own(say: Say, hub: FakeHub, tmp_path: Path) -> None:
    own = str(tmp_path / "own")
    arguments = ("--mirror", hub.address, "--accept-licence", "--path", own, "--json")
    facts = last_line(say("download", "small", *arguments))
    assert facts["source"] == f"{own}/small/source"
    assert not last_line(say("info", "small", "--json"))["usable"]
    assert last_line(say("info", "small", "--path", own, "--json"))["usable"]


def test_unknown_names_and_needless_deletions_are_refused(say: Say) -> None:
    assert "choose one of small" in refused(say("info", "huge"), UsageError)
    assert "Nothing of small" in refused(say("delete", "small", "--yes"), BackendError)


def test_musicgpts_models_are_shown_and_deleted(say: Say, tmp_path: Path) -> None:
    folder = tmp_path / "share" / "musicgpt" / "v1" / "small_fp32"
    folder.mkdir(parents=True)
    (folder / "decoder_model_merged.onnx").write_bytes(bytes(2_000_000))
    assert "small_fp32" in say("list").stdout
    assert last_line(say("delete", "small_fp32", "--yes", "--json"))["freed_bytes"] == 2_000_000
    assert not folder.exists()


@pytest.mark.usefixtures("say")
def test_the_command_line_leads_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["models", "info", "small"]) == 0
    assert "CC-BY-NC 4.0, non-commercial" in capsys.readouterr().out
    assert run_command(["models", "info", "huge"]) == 2
    assert "choose one of small" in capsys.readouterr().err


def test_musicgpts_own_download_is_allowed_beforehand(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "--accept-licence" in refused(say("download", "musicgpt:small"), UsageError)
    assert last_line(say("download", "musicgpt:small-quant", "--accept-licence", "--json"))["allowed"]
    consent = Consent(tmp_path / "home" / "data" / "models")
    assert consent.said("musicgpt:small-quant") == "yes"
    assert consent.said("musicgpt:small") is None
    assert "choose one of musicgpt:small" in refused(say("download", "musicgpt:huge"), UsageError)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "switched off" in refused(say("download", "musicgpt:medium", "--accept-licence"), BackendError)
