"""Passes as they were played, songs in their form, whole tempi, and what only composed loops have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from msgspec.structs import replace

from services.analyzer.making import FinishedLoop, make_loop
from services.controller.cli.composed import _same_music, recompose
from services.controller.cli.song import song_blocks
from services.controller.saving import SaveOrder, read_loop, save_loop, section_of
from services.controller.saving.music import one_pass
from services.generator.backend import JobControl
from services.generator.backends.composer.backend import ComposerBackend
from services.player.engine import Engine
from services.player.store import load_loop
from shared.audio_files import write_wav
from shared.errors import InfiniLoopError, UsageError
from shared.messages import Job, Wanted
from shared.music import Jump, Loop, Section
from shared.paths import Paths
from shared.units import STATION_RATE, Audio
from tests.files.controller.saved import TILERS, loop_points, tagged
from tests.unit.player.material import loop as a_loop
from tests.unit.player.material import noise

PASS = 2 * STATION_RATE


def played(loop: Loop, frames: int) -> Audio:
    """What leaves the player at volume 100 and without variation, from its first frame on."""
    wanted = Wanted(number=1, playing=True, volume=100, variation="off", hold=True, queue=(loop,))
    engine = Engine(load_loop(loop, (Path(loop.path).parent,)), wanted, lambda _: None, block=4_096, fade_in=1)
    heard = np.empty((frames, 2), np.float32)
    for start in range(0, frames, 4_096):
        out = heard[start : start + 4_096]
        engine.render(np.empty_like(out), out)
    return heard


def stored(loop: Loop, folder: Path, audio: Audio) -> Loop:
    path = folder / f"{loop.loop_id}.wav"
    write_wav(path, audio, STATION_RATE)
    return replace(loop, path=str(path), frames=len(audio))


def on_grid(audio: Audio) -> Audio:
    return np.rint(audio * 2.0**23).astype(np.int64)  # type: ignore[return-value]


@pytest.mark.parametrize("by", TILERS)
@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize("lufs", [-16.0, -13.2, -19.5])
def test_a_saved_loop_tiled_by_another_program_is_what_was_played(
    tmp_path: Path, suffix: str, lufs: float, by: Callable[[Path, int, int, int], Audio]
) -> None:
    loop = stored(a_loop(lufs=lufs, true_peak_dbtp=-1.4), tmp_path, noise(PASS + 321, level=0.8))
    done = save_loop(SaveOrder(loop, tmp_path / f"saved.{suffix}", loudness=-16.0))
    start, frames = loop_points(done.path)
    heard = played(loop, 2 * loop.frames)[1:]  # behind the fade-in
    np.testing.assert_array_equal(on_grid(by(done.path, start, frames, 2)[1:]), on_grid(heard))


def test_minutes_are_the_song_that_the_player_makes(tmp_path: Path) -> None:
    """Sections in their form; jumps with their joins."""
    parts = tuple(
        Section(label=label, start=at * STATION_RATE, end=(at + 1) * STATION_RATE, bars=4)
        for at, label in enumerate(("A", "A'", "B"))
    )
    jumps = (Jump(source=STATION_RATE, target=STATION_RATE // 2, crossfade=960),)
    for name, extra in (("piece", {"sections": parts}), ("jumping", {"jumps": jumps}), ("plain", {})):
        loop = stored(a_loop(name, frames=3 * STATION_RATE, lufs=-14.0, **extra), tmp_path, noise(3 * STATION_RATE))  # type: ignore[arg-type]
        samples, _ = read_loop(loop, -16.0)
        song = np.concatenate(list(song_blocks(loop, samples, 20 * STATION_RATE + 17)))
        heard = played(loop, len(song))
        np.testing.assert_allclose(song[1:], heard[1:], atol=2.0**-23, err_msg=name)


# -- what only composed loops have ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """A piece of several sections, composed and analysed as in a station."""
    job = Job(
        job_id="j1",
        token="t",
        epoch=1,
        prompt="minimal techno, 150 bpm",
        backend="composer",
        seed=3,
        bars=2,
        piece=True,
    )
    generation = ComposerBackend().generate(job, JobControl())
    audio = np.concatenate(list(generation.blocks))
    facts = generation.facts()
    found = make_loop(audio, generation.sample_rate, truth=facts.truth)
    assert isinstance(found, FinishedLoop)
    loop = found.record("l1", "j1", 1, "-", facts.recipe)
    return stored(loop, tmp_path_factory.mktemp("composed"), found.samples)


def test_stems_are_the_loop_taken_apart(composed: Loop, paths: Paths) -> None:
    section = section_of(composed, "B")
    assert section is not None
    one = one_pass(read_loop(composed)[0], composed, section)
    composition = recompose(composed, section, paths, "stems")
    stems = composition.stems(one)
    assert {part.name for part in composition.part.sections[0].parts} <= set(stems)
    total = np.sum(list(stems.values()), axis=0)
    assert total.shape == one.shape
    assert max(np.abs(stem).max() for stem in stems.values()) <= 0.9
    alike = np.vdot(total, one) / np.sqrt(np.vdot(total, total) * np.vdot(one, one))
    assert alike > 0.9  # but for the mastering


def test_the_score_is_that_of_what_is_saved(composed: Loop, paths: Paths, tmp_path: Path) -> None:
    section = section_of(composed)
    assert section is not None
    assert composed.bpm is not None
    data = recompose(composed, section, paths, "midi").midi()
    assert data[:4] == b"MThd"
    assert round(60_000_000 / composed.bpm).to_bytes(3, "big") in data
    whole = recompose(composed, None, paths, "midi").midi()
    assert len(whole) > len(data)
    at_90 = recompose(composed, section, paths, "midi").midi(90.0)
    assert round(60_000_000 / 90).to_bytes(3, "big") in at_90


def test_what_nobody_wrote_down_is_one_sentence(composed: Loop, paths: Paths) -> None:
    recipe = composed.recipe
    assert recipe is not None
    foreign = replace(composed, recipe=replace(recipe, backend="musicgen"))
    for loop, error, words in (
        (foreign, UsageError, "musicgen has no midi"),
        (replace(composed, recipe=None), UsageError, "leave --midi out"),
        (replace(composed, recipe=replace(recipe, options={})), InfiniLoopError, "another version"),
        (replace(composed, sections=composed.sections[:1]), InfiniLoopError, "another version"),
    ):
        with pytest.raises(error, match=words):
            recompose(loop, None, paths, "midi")


def test_the_same_music_is_the_same_but_for_its_gain() -> None:
    one = noise(9_600)
    assert _same_music(one / 3, one)
    assert not _same_music(noise(9_600, seed=1), one)
    assert not _same_music(np.roll(one, 1, axis=0), one)


def test_a_composed_section_is_read_by_other_programs(composed: Loop, tmp_path: Path) -> None:
    done = save_loop(SaveOrder(composed, tmp_path / "piece.flac", section="B"))
    assert "no AI model" in tagged(done.path)["COMMENT"]
    assert soundfile.info(done.path).frames == done.frames == loop_points(done.path)[1]
