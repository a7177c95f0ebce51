"""The house is as ARCHITECTURE.md draws it: processes, endpoints, light starts."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from shared.paths import Paths
from shared.topology import CHANNELS, SERVICES
from tests.golden.musicgen_checkpoint import CASES, write_checkpoint
from tests.unit.analyzer.music import RATE, groove

ROOT = Path(__file__).parents[2]
SOURCES = [*ROOT.glob("services/**/*.py"), *ROOT.glob("shared/**/*.py")]


def test_the_procfile_starts_what_the_topology_names() -> None:
    lines = (ROOT / "Procfile").read_text().splitlines()
    assert lines == [f"{name}: exec infiniloop service {name}" for name in SERVICES]


def test_every_channel_is_bound_by_a_service_once() -> None:
    assert len({channel.name for channel in CHANNELS}) == len(CHANNELS)
    assert {channel.binder for channel in CHANNELS} <= set(SERVICES)


def test_endpoints_stand_in_the_topology_alone() -> None:
    for source in SOURCES:
        if source.name == "topology.py":
            continue
        assert not re.search(r"(ipc|tcp)://(?!``)", source.read_text()), source


def test_nothing_unpickles() -> None:
    for source in SOURCES:
        assert not re.search(
            r"^\s*(import|from) (pickle|marshal|shelve)\b|allow_pickle=True", source.read_text(), re.M
        ), source


def _modules_after(statement: str, **environment: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return set(run.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import services.__main__, shared.runtime.supervisor, shared.topology", {"click", "zmq", "msgspec", "numpy"}),
        ("import services.controller.cli.root", {"zmq", "numpy", "scipy", "librosa", "soundfile"}),
        ("import shared.bus, shared.settings, shared.runtime.service", {"numpy", "scipy", "librosa", "soundfile"}),
    ],
)
def test_a_start_imports_only_what_it_needs(statement: str, absent: set[str]) -> None:
    assert not _modules_after(statement) & absent


def test_the_way_to_a_first_loop_imports_nothing_heavy(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "groove.wav", groove(bars=9), RATE)
    modules = _modules_after(
        "from services.controller.cli.root import run_command; "
        f"run_command(['analyze', {str(tmp_path / 'groove.wav')!r}, '--json'])"
    )
    assert "numpy" in modules
    assert not modules & {"scipy", "librosa", "pyloudnorm", "zmq", "numba", "matplotlib", "sounddevice", "logging"}


def test_asking_what_a_model_can_do_imports_nothing_heavy(paths: Paths) -> None:
    write_checkpoint(paths.models / "small" / "source", CASES["mono"])
    modules = _modules_after(
        "from services.generator.backends.musicgen.backend import MusicGenBackend; "
        "from shared.paths import Paths; "
        "from shared.settings.generator import GeneratorSettings; "
        "assert MusicGenBackend(Paths.from_environment(), GeneratorSettings()).capabilities().available",
        INFINILOOP_HOME=str(paths.data.parent),
    )
    assert not modules & {"onnx", "onnxruntime", "tokenizers", "torch", "scipy", "librosa"}
