"""The house is as ARCHITECTURE.md draws it: processes, endpoints, light starts."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared.topology import CHANNELS, SERVICES

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


def _modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(run.stdout.split())


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
