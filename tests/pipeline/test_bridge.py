"""A model that is slower than the listener: bridged, called back, and what it made is kept."""

from __future__ import annotations

from pathlib import Path

from services.controller.library import open_library
from shared.paths import Paths
from tests.pipeline.generating import with_musicgpt
from tests.pipeline.whole import WholeStation

SLOWLY = "taking its time"


def test_a_slow_model_is_bridged_called_back_by_the_next_words_and_what_it_made_is_kept(tmp_path: Path) -> None:
    home = tmp_path / "home"
    given = with_musicgpt(Paths.under(home)) | {"INFINILOOP_GENERATOR_BACKEND": "musicgpt"}
    with WholeStation(home, **given) as station:
        station.until(station.is_up, "all five services report")
        station.until(lambda: station.controller.accepted, "something was made")
        for prompt in (f"slow piano {SLOWLY}", f"techno {SLOWLY}"):
            epoch, cancelled = station.controller.epoch, station.controller.cancelled
            assert station.ask("start", prompt)["ok"]
            station.until(lambda epoch=epoch: station.playing.epoch == epoch + 1, "the new prompt is heard")
            assert station.playing.bridge
            station.until(lambda: "MusicGPT in" in station.controller.bridge, "the bridge says what it waits for")
            assert "MusicGPT in" in station.cli("status").stdout
        assert station.controller.cancelled > cancelled
        made = station.own_song()
        assert made.recipe is not None
        assert (made.recipe.backend, made.recipe.prompt) == ("musicgpt", f"techno {SLOWLY}")
        assert station.gaps() == 0
        assert station.balances()
        assert station.cli("shutdown").returncode == 0
        kept = {loop.recipe.prompt for loop in open_library(station.paths)[0].shelf() if loop.recipe is not None}
        assert {f"slow piano {SLOWLY}", f"techno {SLOWLY}"} <= kept
