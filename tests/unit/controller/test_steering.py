"""Words at any time: a new prompt, more of this, this one changed, a surprise, and the sleep timer."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import msgspec
import pytest

from services.controller.effects import ToPlayer
from services.controller.matching import likeness, matching
from services.controller.presets.store import read_catalogue
from services.controller.steering import read_span, spoken_span
from services.controller.surprises import Surprise, draw
from services.controller.wishes import nudged
from services.generator.backends.composer.backend import weak_words
from services.generator.backends.composer.plan import make_plan
from services.generator.backends.composer.style import builtin
from services.player.engine import Engine
from shared.errors import InfiniLoopError, UsageError
from shared.messages import PROMPT_LIMIT, Capabilities, Failed, Job, PlayerHello
from shared.music import Recipe
from tests.unit.controller.conftest import COMPOSER, MUSICGEN, House, a_loop, cancels, jobs, of
from tests.unit.player.material import at_once, loaded, loop, render

COMPOSING = msgspec.structs.replace(COMPOSER, kinds=("clip", "continuation"))
SAMPLING = msgspec.structs.replace(MUSICGEN, kinds=("clip", "continuation"), sample_rate=32_000, real_time_factor=0.6)


def song(house: House, *offers: Capabilities, **more: object) -> Job:
    """One song is made and sounds."""
    (job,) = jobs(house.ready("w1", *(offers or (COMPOSING,))))
    recipe = Recipe(prompt=job.prompt, backend=job.backend, seed=job.seed)
    house.deliver(job)
    house.accept(job, **{"recipe": recipe, **more})
    house.sounds(f"loop-{job.job_id}")
    return job


# -- a new prompt -----------------------------------------------------------------------------------------------------


def test_prompts_are_alike_by_their_words_and_a_refusal_is_a_word_of_its_own() -> None:
    assert likeness("calm piano, soft rain", "Calm piano with soft rain!") == 1.0
    assert likeness("calm piano no drums", "calm piano with drums") < 0.75
    assert likeness("techno 126 bpm", "techno 140 bpm") == 0.5
    assert likeness("", "techno") == 0.0


def test_the_likest_loop_is_found_and_neither_bridges_nor_start_up_loops_are() -> None:
    near, nearer = (Recipe(prompt=words, backend="composer") for words in ("calm piano", "calm piano rain"))
    loops = [
        a_loop("near", recipe=near),
        a_loop("nearer", recipe=nearer),
        a_loop("bridge", recipe=nearer, bridge=True),
        a_loop("startup", recipe=None),
        a_loop("far", recipe=Recipe(prompt="metal", backend="composer")),
    ]
    assert [found.loop_id for found in matching("calm piano, rain", loops, most=5)] == ["nearer", "near"]


def test_a_loop_of_the_library_plays_for_a_new_prompt_like_its_own_and_no_bridge_is_composed(bridging: House) -> None:
    house = bridging
    known = a_loop("known", epoch=1, recipe=Recipe(prompt="stormy techno night", backend="composer", seed=3))
    house.station.stock.shelf = {"known": known, "now": a_loop("now", epoch=1)}
    house.sounds("now")
    house.note(house.station.start("stormy techno at night", "", "", house.now))
    assert [(each.loop_id, each.epoch) for each in house.station.wanted.queue] == [("known", 2)]
    assert [job.bridge for job in jobs(house.ready("w1", COMPOSING))] == [False]
    assert house.again().station.shelf["known"].epoch == 2


def test_a_bridge_says_what_it_stands_in_for_and_how_long(bridging: House) -> None:
    house = bridging
    (bridge,) = jobs(house.ready("w1", COMPOSING, SAMPLING))
    house.deliver(bridge)
    house.accept(bridge)
    (job,) = jobs(house.ready("w1", COMPOSING, SAMPLING))
    house.sounds(house.station.wanted.queue[0].loop_id)
    assert job.backend == "musicgen"
    assert house.station.bridge_note(house.now) == "bridge, MusicGen in about 20 s"
    assert house.station.waiting.startswith("Bridge, MusicGen in about 20 s")


# -- nudge and more ---------------------------------------------------------------------------------------------------


def test_a_nudge_takes_the_song_that_sounds_and_its_words_along(house: House) -> None:
    parent = song(house)
    (old,) = jobs(house.ready("w1", COMPOSING))
    effects = house.note(house.station.nudge("darker, slower", house.now))
    assert [each.job_id for each in cancels(effects)] == [old.job_id]
    house.hear(Failed(job_id=old.job_id, token=old.token, reason="called back", retry=False), "w1")
    (job,) = jobs(house.ready("w1", COMPOSING))
    assert job.prompt == f"{parent.prompt}, darker, slower"
    assert (job.parent_clip, job.seed, job.epoch) == (f"loop-{parent.job_id}", parent.seed, 2)
    assert job.parent_recipe is not None
    assert job.prompt.startswith(job.parent_recipe.prompt)


def test_only_the_first_song_of_a_nudge_grows_out_of_what_it_changes(house: House) -> None:
    song(house)
    house.station.foreman.leases.close(jobs(house.ready("w1", COMPOSING))[0].job_id, "cancelled")
    house.note(house.station.nudge("darker", house.now))
    assert song(house).parent_clip is not None
    assert jobs(house.ready("w1", COMPOSING))[0].parent_clip is None


def test_what_a_model_made_is_not_left_for_a_bridge_while_it_is_changed(bridging: House) -> None:
    house = bridging
    song(house, COMPOSING)
    song(house, COMPOSING, SAMPLING, codes_path="/cache/clips/x.npz", source_end=320_000)
    house.station.foreman.leases.close(jobs(house.ready("w1", COMPOSING, SAMPLING))[0].job_id, "cancelled")
    house.note(house.station.nudge("darker", house.now))
    (job,) = jobs(house.ready("w1", COMPOSING, SAMPLING))
    assert (job.bridge, job.backend, job.splice_s) == (False, "musicgen", 10.0)


def test_a_long_nudged_prompt_loses_its_oldest_nudges_and_never_its_beginning() -> None:
    prompt = "calm piano"
    for number in range(400):
        prompt = nudged(prompt, f"darker {number}")
    assert len(prompt) <= PROMPT_LIMIT
    assert prompt.startswith("calm piano, darker")
    assert prompt.endswith("darker 399")


def test_more_has_two_songs_grow_out_of_this_one_and_lets_it_play_on(house: House) -> None:
    first = song(house)
    waiting = jobs(house.ready("w1", COMPOSING))[0]
    house.deliver(waiting)
    house.accept(waiting)
    house.note(house.station.more(house.now))
    grown = []
    for _ in range(2):
        (job,) = jobs(house.ready("w1", COMPOSING))
        grown.append(job)
        house.deliver(job)
        house.accept(job, recipe=Recipe(prompt=job.prompt, backend="composer", seed=job.seed))
    assert [job.parent_clip for job in grown] == [f"loop-{first.job_id}", f"loop-{grown[0].job_id}"]
    names = [each.loop_id for each in house.station.wanted.queue]
    assert names == [f"loop-{job.job_id}" for job in (first, *grown, waiting)]
    assert jobs(house.ready("w1", COMPOSING)) == []


def test_more_of_an_older_prompts_song_takes_that_prompt_and_stays_on_it(house: House) -> None:
    old = a_loop("old", epoch=0, recipe=Recipe(prompt="quiet harbour", backend="composer", seed=5))
    house.station.stock.shelf = {"old": old}
    house.sounds("old")
    house.note(house.station.more(house.now))
    (job,) = jobs(house.ready("w1", COMPOSING))
    assert (job.prompt, job.parent_clip) == ("quiet harbour", "old")
    assert house.station.wanted.queue[0].loop_id == "old"


def test_there_is_nothing_to_make_more_of_before_the_first_song(house: House) -> None:
    with pytest.raises(InfiniLoopError, match="first song"):
        house.station.more(house.now)


def test_a_parent_that_cannot_be_continued_is_tried_once(house: House) -> None:
    song(house, SAMPLING, codes_path="/cache/clips/x.npz", source_end=320_000)
    house.note(house.station.more(house.now))
    (job,) = jobs(house.ready("w1", SAMPLING))
    assert job.parent_clip is not None
    house.hear(Failed(job_id=job.job_id, token=job.token, reason="its codes are gone", retry=False), "w1")
    house.now += 5
    (job,) = jobs(house.ready("w1", SAMPLING))
    assert job.parent_clip is None


def test_a_job_that_goes_to_another_backend_leaves_its_parent_behind(house: House) -> None:
    song(house, SAMPLING, codes_path="/cache/clips/x.npz", source_end=320_000)
    house.note(house.station.more(house.now))
    (job,) = jobs(house.ready("w1", COMPOSING))
    assert (job.parent_clip, job.parent_recipe, job.splice_s) == (None, None, None)


# -- surprises --------------------------------------------------------------------------------------------------------

PRESETS = [Surprise(f"p{number}", f"P {number}", f"prompt number {number}") for number in range(6)]
WEAK = msgspec.structs.replace(COMPOSING, weak_words=("rock", "string quartet"))


def test_a_style_that_does_poorly_here_is_never_drawn(house: House) -> None:
    house.ready("w1", WEAK)
    poor = [Surprise("rock", "Rock", "hard rock, loud"), Surprise("quartet", "Quartet", "A String Quartet, slow")]
    for _ in range(60):
        drawn, effects = house.station.surprise(
            [*poor, *PRESETS, Surprise("k", "K", "rocky shore")], house.now, on=False
        )
        house.note(effects)
        assert drawn.name not in ("rock", "quartet")
    with pytest.raises(InfiniLoopError, match="presets add"):
        house.station.surprise(poor, house.now, on=False)


def test_no_preset_of_ours_can_be_drawn_whose_style_does_poorly_without_sampled_instruments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    styles = builtin()
    monkeypatch.setenv("INFINILOOP_SOUNDFONT", "/there/is/none.sf2")
    words = weak_words(styles)
    assert words
    able = dict.fromkeys(read_catalogue(), 0)
    for name, preset in read_catalogue().items():
        found = draw([Surprise(name, preset.title, preset.prompt)], words, (), Random(1))
        able[name] = found is not None
        # Each of ours names its style, so that the seed has no say in it.
        grade = styles[make_plan(preset.prompt, 1, styles).style].data.without_soundfont
        assert found is None or grade != "weakly", name
    assert sum(able.values()) > 0.7 * len(able)


def test_no_preset_comes_twice_before_the_others_have_come(house: House) -> None:
    drawn = [house.station.surprise(PRESETS, house.now, on=False)[0].name for _ in range(12)]
    assert all(len(set(drawn[start : start + 6])) == 6 for start in (0, 6))


def test_another_one_is_drawn_after_two_songs_and_lets_the_second_sound_to_its_end(house: House) -> None:
    drawn, effects = house.station.surprise(PRESETS, house.now, on=True)
    house.note(effects)
    song(house)
    assert house.station.state.prompt == drawn.prompt
    second = song(house)
    house.wait(1)
    assert house.station.state.prompt != drawn.prompt
    assert house.station.state.surprise
    (job,) = [each for each in jobs(house.done + house.ready("w1", COMPOSING)) if each.epoch == 3][:1]
    house.deliver(job)
    house.accept(job)
    assert [each.loop_id for each in house.station.wanted.queue][:2] == [f"loop-{second.job_id}", f"loop-{job.job_id}"]


def test_a_prompt_of_the_listeners_own_ends_the_surprises(house: House) -> None:
    house.note(house.station.surprise(PRESETS, house.now, on=True)[1])
    house.note(house.station.start("rain", "", "", house.now))
    assert not house.station.state.surprise


# -- sleep ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "seconds"), [("30", 1800), ("30m", 1800), ("1h30m", 5400), ("90s", 90), ("1.5h", 5400), ("2 h", 7200)]
)
def test_a_span_is_read_as_people_write_it(given: str, seconds: float) -> None:
    assert read_span(given) == seconds


@pytest.mark.parametrize("given", ["", "soon", "-5", "0", "13h", "5 parsecs", "m"])
def test_a_span_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(UsageError):
        read_span(given)


def test_spans_are_spoken() -> None:
    assert [spoken_span(s) for s in (42, 90, 1799.6, 5400)] == ["42 s", "1 min 30 s", "30 min", "1 h 30 min"]


def test_the_timer_stops_the_station_and_a_start_wakes_it(house: House) -> None:
    effects = house.note(house.station.sleep(60, house.now))
    assert of(ToPlayer, effects)
    assert house.station.wanted.fade_out_s == 60
    assert not of(ToPlayer, house.wait(58))
    assert house.station.wanted.playing
    house.wait(4)
    assert (house.station.wanted.stopped, house.station.wanted.fade_out_s) == (True, 0.0)
    house.ready()
    assert "Asleep" in house.station.waiting
    house.note(house.station.start("", "", "", house.now))
    assert (house.station.wanted.playing, house.station.wanted.fade_out_s) == (True, None)


def test_what_changes_meanwhile_is_told_with_the_time_that_is_left(house: House) -> None:
    house.note(house.station.sleep(60, house.now))
    house.wait(20)
    house.note(house.station.wish(house.now, skip=True))
    assert house.station.wanted.fade_out_s == pytest.approx(40, abs=1)
    house.wait(10)
    house.hear(PlayerHello())
    assert house.station.wanted.fade_out_s == pytest.approx(30, abs=1)
    house.note(house.station.sleep(None, house.now))
    assert house.station.wanted.fade_out_s is None
    house.wait(60)
    assert house.station.wanted.playing


def test_the_timer_outlives_the_controller(house: House) -> None:
    house.note(house.station.tick(house.now, datetime(2026, 3, 1, 22, 0, tzinfo=UTC)))
    house.note(house.station.sleep(600, house.now))
    later = house.again(today=datetime(2026, 3, 1, 22, 4, tzinfo=UTC))
    assert later.station.sleeps_in(later.now) == pytest.approx(360, abs=1)


def test_nothing_sounds_between_the_timers_silence_and_the_stop(house: House) -> None:
    """The real player's sound, told what this station tells: silent from the timer's end until the next start."""
    piece = loaded(loop("a"), 1)
    house.station.stock.shelf = {"a": piece.loop}
    house.sounds("a")
    player = Engine(piece, house.station.wanted, at_once)
    render(player, 240_000)
    house.note(house.station.sleep(10, house.now))
    player.want(house.station.wanted)
    assert abs(render(player, 480_000)[0][:4_800]).max() > 0.01
    house.now += 10
    for _ in range(8):
        house.wait(0.5)
        player.want(house.station.wanted)
        assert not render(player, 24_000)[0].any()
    assert house.station.wanted.stopped
    assert not render(player, 96_000)[0].any()
    house.note(house.station.start("", "", "", house.now))
    player.want(house.station.wanted)
    assert abs(render(player, 240_000)[0]).max() > 0.01
