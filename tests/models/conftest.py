"""Tiny checkpoints, converted once for all tests, and the goldens that transformers made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.generator.backends.musicgen.checkpoint import Checkpoint
from services.generator.backends.musicgen.conversion import Converted, Precision, convert
from tests.golden.make_musicgen import HERE
from tests.golden.musicgen_checkpoint import CASES, write_checkpoint


@dataclass(frozen=True)
class Case:
    """One tiny model: where it lies, and what transformers makes of it."""

    name: str
    source: Path
    converted: Converted
    golden: dict[str, Any]


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The checkpoint of a case; read only."""
    root = tmp_path_factory.mktemp("checkpoints")

    def find(name: str) -> Path:
        folder = root / name
        return folder if folder.exists() else write_checkpoint(folder, CASES[name])

    return find


@pytest.fixture(scope="session")
def converted(
    tmp_path_factory: pytest.TempPathFactory, source: Callable[[str], Path]
) -> Callable[[str, Precision], Converted]:
    """A case, converted; read only."""
    root = tmp_path_factory.mktemp("converted")
    made: dict[tuple[str, Precision], Converted] = {}

    def find(name: str, precision: Precision) -> Converted:
        if (name, precision) not in made:
            made[name, precision] = convert(Checkpoint(source(name)), root / name / precision, precision)
        return made[name, precision]

    return find


@pytest.fixture(params=sorted(CASES))
def case(
    request: pytest.FixtureRequest,
    source: Callable[[str], Path],
    converted: Callable[[str, Precision], Converted],
) -> Case:
    """Each tiny model in float32: mono, stereo, deeper; both spellings of the weight norm; three types; shards."""
    name: str = request.param
    with np.load(HERE / f"{name}.npz") as file:
        golden = {key: file[key] for key in file.files}
    return Case(name, source(name), converted(name, "fp32"), golden)
