"""Settings, debug, validate and completion on the command line, without a station."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from services.controller.cli import completion
from services.controller.cli.root import run_command
from shared import settings
from shared.paths import Paths


@pytest.fixture
def home(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setenv("INFINILOOP_HOME", str(paths.config.parent))
    return paths


@pytest.mark.parametrize("each", settings.fields(), ids=lambda each: each.key)
def test_every_setting_is_refused_with_its_range_and_taken_within_it(
    home: Paths, capsys: pytest.CaptureFixture[str], each: settings.Field
) -> None:
    if each.allowed not in ("any text", "a path"):
        assert run_command(["set", each.key, "no\x01such"]) == 2
        assert each.allowed in capsys.readouterr().err
    assert run_command(["set", each.key, str(each.default)]) == 0
    assert settings.read_value(settings.load(home, environment={})[0], each) == each.default


def test_set_without_a_value_says_what_is_allowed_where_nobody_can_answer(
    home: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["set", "minduration"]) == 2
    assert "10 to 300" in capsys.readouterr().err
    assert run_command(["set"]) == 2
    assert "infiniloop settings" in capsys.readouterr().err


def test_debug_is_turned_on_and_off_and_told(home: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    for words, on in ((["debug"], False), (["debug", "on"], True), (["debug"], True), (["debug", "off"], False)):
        assert run_command([*words, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["debug"] is on


def _wav(path: Path, samples: np.ndarray, loop: tuple[int, int] | None = None) -> Path:
    soundfile.write(path, samples, 48_000, subtype="PCM_24")
    if loop:
        body = struct.pack("<9I", 0, 0, 20833, 60, 0, 0, 0, 1, 0) + struct.pack("<6I", 0, 0, loop[0], loop[1] - 1, 0, 0)
        whole = path.read_bytes() + struct.pack("<4sI", b"smpl", len(body)) + body
        path.write_bytes(whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:])
    return path


def test_validate_tells_a_sound_file_from_a_broken_one(
    home: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tone = 0.3 * np.sin(np.arange(48_000) / 20)
    good = _wav(tmp_path / "gut, ü.wav", tone, (100, 40_000))
    assert run_command(["validate", str(good), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["frames"], report["loop"], report["fault"]) == (True, 48_000, [100, 40_000], "")
    cut = tmp_path / "cut.wav"
    cut.write_bytes(good.read_bytes()[:30])
    infinite = tmp_path / "infinite.wav"
    soundfile.write(infinite, np.full(100, np.inf), 48_000, subtype="FLOAT")
    for path, word in (
        (_wav(tmp_path / "out.wav", tone, (100, 50_000)), "48000 frames"),
        (_wav(tmp_path / "silent.wav", 0 * tone), "silent"),
        (cut, "cannot be read"),
        (infinite, "not numbers"),
        (tmp_path, "not a file"),
    ):
        assert run_command(["validate", str(path), "--json"]) == 1
        said = capsys.readouterr()
        assert word in said.err
        assert json.loads(said.out)["ok"] is False


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_completion_is_printed_and_installed_once(
    home: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    assert run_command(["completion"]) == 0
    script = capsys.readouterr().out
    assert completion.VARIABLE in script
    assert f"{shell}_complete" in script
    for word in ("Added", "already"):
        assert run_command(["completion", "--install"]) == 0
        assert word in capsys.readouterr().out
    (written,) = (path for path in tmp_path.rglob("*") if path.is_file() and home.config.parent not in path.parents)
    assert written.read_text().count(f"infiniloop completion {shell}") == 1
    assert run_command(["completion", shell, "--install"]) == 0


def test_completion_wants_to_know_the_shell(
    home: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert run_command(["completion"]) == 2
    assert "fish" in capsys.readouterr().err
