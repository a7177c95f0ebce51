"""Lengths of time as people write them behind `--last`."""

from __future__ import annotations

import pytest

from services.controller.cli.heard import parse_length
from shared.errors import UsageError


@pytest.mark.parametrize(
    ("words", "seconds"), [("10m", 600), ("90s", 90), ("1m30s", 90), ("1h", 3_600), ("2.5 min", 150), ("1M", 60)]
)
def test_lengths_of_time(words: str, seconds: float) -> None:
    assert parse_length(words) == seconds


@pytest.mark.parametrize("words", ["", "10", "ten", "-5m", "5m x", "0s", "25h", "m", "1e3s", "nan s"])
def test_what_is_no_length_of_time_is_one_sentence(words: str) -> None:
    with pytest.raises(UsageError, match="--last"):
        parse_length(words)
