"""The first `make start` on machines that lack something: one sentence, and nothing half-built."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("sh", "cat", "cksum", "rm")


def _old(path: Path) -> None:
    """A Python 3.10, as far as it is asked: it says no to every newer version."""
    path.write_text('#!/bin/sh\ncase "$*" in *version_info*) exit 1;; esac\nexit 0\n')
    path.chmod(0o755)


def _bare(path: Path) -> None:
    """A new Python without venv, as Debian and Ubuntu bring it."""
    path.write_text('#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; esac\nexit 0\n')
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("python3", _old, "python3.11-venv"),
        ("python3.11", _bare, "apt install python3-venv"),
        ("nothing", _old, "Python 3.11 to 3.14 is needed"),
    ],
)
def test_a_python_that_is_too_old_bare_or_missing_is_said_in_one_sentence(
    tmp_path: Path, name: str, make: object, words: str
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (programs / tool).symlink_to(found)
    assert callable(make)
    make(programs / name)
    folder = tmp_path / "venv"
    done = subprocess.run(
        ["sh", "scripts/bootstrap.sh", str(folder), "requirements.lock"],
        cwd=ROOT,
        env={**os.environ, "PATH": str(programs)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("infiniloop: ")]
    assert len(said) == 1
    assert words in said[0]
    assert not folder.exists()
