"""Changes between composed loops, measured where their beats are known from the score.

    python benchmarks/transitions.py [--loops 40] [--pairs 200] [--seed 1]

Loops of many styles, tempi from 70 to 174 and many keys are composed, every second one such that it can follow the
one before it. Half of the pairs can blend, the others are drawn at random. For each pair: whether the choice follows
the rule, the error of the downbeats and of the tempo (onsets of the stretched loop against those of the loop itself,
moved along the plan), level, true peak, steps and clicks at both joins, the stretch, and whether the player's programme
is the first loop, the change and the second loop, sample for sample. One JSON object per figure.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from click import command
from click import option as click_option
from msgspec.structs import replace
from numpy.typing import NDArray

from benchmarks.loop_metrics import ORDER, surprise
from services.analyzer.key import parse_key
from services.analyzer.loudness import k_weighted, true_peak
from services.analyzer.making import FinishedLoop, make_loop
from services.analyzer.transitions import Plan, plan_transition, render_transition
from services.analyzer.transitions.stretch import stretched
from services.controller.choice import neighbour
from services.generator.backends.composer.compose import compose
from services.generator.backends.composer.plan import Asked, make_plan
from services.generator.backends.composer.sound import render_piece
from services.generator.backends.composer.style import builtin
from services.generator.backends.composer.truth import truth_of
from services.player.engine import Engine
from services.player.samples import Samples
from services.player.store import LoadedLoop, LoadedTransition
from shared.messages import Wanted
from shared.music import Loop, Recipe
from shared.units import STATION_RATE, Audio

KEYS = ("C", "G", "D", "A", "F", "Bb", "Am", "Em", "Dm", "Bm", "Cm", "Gm")
MILLISECOND = STATION_RATE // 1000


def say(**figure: object) -> None:
    print(json.dumps(figure, ensure_ascii=False), flush=True)


@dataclass
class Errors:
    choice: int = 0
    downbeat_ms: list[float] = field(default_factory=list)
    level_lu: list[float] = field(default_factory=list)
    peak_dbtp: list[float] = field(default_factory=list)
    step: list[float] = field(default_factory=list)
    stretch: list[float] = field(default_factory=list)
    tempo_percent: list[float] = field(default_factory=list)
    click: list[float] = field(default_factory=list)
    touched: int = 0
    seconds: list[float] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)


def make(number: int, dice: Random, before: Loop | None) -> tuple[Loop, Audio] | None:
    styles = builtin()
    style = sorted(styles)[number % len(styles)]
    bpm = round(70 * (174 / 70) ** dice.random(), 1)
    key = dice.choice(KEYS)
    if number % 2 and before is not None and before.bpm and before.key:
        factor = dice.choice([one for one in (0.5, 1.0, 1.0, 2.0) if 70 <= before.bpm * one <= 174] or [1.0])
        bpm = round(before.bpm * factor * dice.uniform(0.95, 1.05), 1)
        key = neighbour(before.key, dice) or key
    plan = make_plan(style, dice.randrange(2**31), styles, Asked(bpm=bpm, key=key, bars=8))
    score = compose(plan, styles[plan.style])
    rendered = render_piece(score, STATION_RATE)
    found = make_loop(rendered.samples, STATION_RATE, truth=truth_of(plan, score, rendered.bounds))
    if not isinstance(found, FinishedLoop):
        return None
    recipe = Recipe(prompt=style, backend="composer", style=style)
    return found.record(f"l{number}", f"l{number}", 0, "x.wav", recipe), found.samples


def right_choice(first: Loop, second: Loop, kind: str) -> bool:
    """The rule, written again: tempi within 6 % after halving or doubling, keys the same, relative or neighbours."""
    if not first.bpm or not second.bpm or not first.key or not second.key:
        return kind == "fade"
    ratios = [second.bpm * factor / first.bpm for factor in (0.5, 1.0, 2.0)]
    near = min(max(ratio, 1 / ratio) for ratio in ratios) <= 1.06
    one, other = parse_key(first.key), parse_key(second.key)
    assert one is not None
    assert other is not None
    hours = [7 * (tonic + 3 * minor) % 12 for tonic, minor in (one, other)]
    neighbours = (hours[0] - hours[1]) % 12 in (0, 1, 11)
    return (kind == "blend") == (near and neighbours and first.beats_per_bar == second.beats_per_bar)


def onsets(audio: Audio) -> NDArray[np.float64]:
    """Rises of the energy over 10 ms, in 1 ms steps.

    Smoothed over 31 ms, a cycle of the lowest bass: each shorter cycle would be a rise of its own, and a stretch keeps
    their length and not their place.
    """
    mono = audio.mean(axis=1, dtype=np.float64)
    mono = np.diff(mono, prepend=mono[:1])
    steps = len(mono) // MILLISECOND
    energy = np.square(mono[: steps * MILLISECOND]).reshape(steps, MILLISECOND).sum(axis=1)
    level = np.log(np.convolve(energy, np.hanning(31), mode="same") + 1e-6)
    rises = np.zeros(steps)
    rises[5:-5] = np.maximum(0.0, level[10:] - level[:-10])
    return rises


def drift(plan: Plan, audio: Audio, origin: int, beat: float) -> tuple[list[float], float | None]:
    """Between the onsets of the loop along the plan's map of times and those of the stretched loop: milliseconds for
    each bar, and how much the tempo of the whole differs in percent; None where too few bars strike."""
    lines = np.concatenate([[0.0], np.cumsum(plan.beats)])
    numbers = np.arange(len(lines), dtype=np.float64)

    def read(start: int, count: int) -> Audio:
        return audio[np.arange(start, start + count) % len(audio)]

    def times(when: NDArray[np.float64]) -> NDArray[np.float64]:
        inside = np.interp(when, lines, numbers) * beat
        return np.asarray(origin + inside + np.minimum(when, 0.0) + np.maximum(when - lines[-1], 0.0), np.float64)

    heard = onsets(stretched(read, times, plan.frames))
    span = np.arange(len(heard)) * MILLISECOND
    original = onsets(read(origin, round(beat * len(plan.beats)) + STATION_RATE))
    expected = np.interp((times(span.astype(np.float64)) - origin) / MILLISECOND, np.arange(len(original)), original)
    errors, places = [], []
    window = 4 * round(plan.beats[0] / MILLISECOND)
    for start in range(0, len(heard) - window, window):
        one, other = heard[start : start + window], expected[start : start + window]
        if other.max() < 1.0:
            continue  # nothing strikes here
        lags = range(-25, 26)
        scores = [float((np.roll(one, lag)[30:-30] * other[30:-30]).sum()) for lag in lags]
        errors.append(float(lags[int(np.argmax(scores))]))
        places.append(float(start))
    slope = 100.0 * abs(float(np.polyfit(places, errors, 1)[0])) if len(places) > 2 else None
    return [abs(error) for error in errors], slope


def click(before: Audio, after: Audio, own: Audio) -> float:
    """How far a join stands out of what lies around it; above 1.5 it clicks. Where the loop itself strikes at that
    place, in the middle of ``own``, its own figure is what the join is held against."""
    return _stands_out(np.concatenate([before, after])) / max(1.0, _stands_out(own))


def _stands_out(joined: Audio) -> float:
    """How far the twenty samples after the middle stand out, at either ear."""
    index, middle = np.arange(ORDER, len(joined)), len(joined) // 2
    across = (index >= middle) & (index < middle + ORDER)
    return max(surprise(joined[:, side].astype(np.float64), across) for side in range(joined.shape[1]))


def untouched(first: tuple[Loop, Audio], second: tuple[Loop, Audio], plan: Plan, change: Audio) -> bool:
    """Whether the player's programme is the first loop, the change and the second loop, sample for sample."""
    loops = [LoadedLoop(replace(record, lufs=-16.0), Samples.of(audio)) for record, audio in (first, second)]
    queue = tuple(held.loop for held in loops)
    state = Wanted(number=1, playing=True, volume=100, queue=queue, min_duration_s=10.0, variation="off", hold=True)
    engine = Engine(loops[0], state, lambda request: request.make(), fade_in=0, block=1 << 16)
    engine.add(loops[1])
    engine.add_transition(LoadedTransition(plan.record(first[0], second[0], ""), Samples.of(change)))
    heard: list[Audio] = []
    tap, out = np.empty((1 << 16, 2), np.float32), np.empty((1 << 16, 2), np.float32)
    engine.render(tap, out)
    engine.want(replace(state, number=2, hold=False))
    while engine.report().songs < 2 or engine.report().song_frames < plan.frames + 4 * STATION_RATE:
        engine.render(tap, out)
        heard.append(tap.copy())
        if len(heard) > 200:
            return False
    sound = np.concatenate(heard)
    report = engine.report()
    at = len(sound) - report.song_frames
    after = at + plan.frames
    one, other = first[1], second[1]
    before = one[np.arange(plan.exit_frame - 4_800, plan.exit_frame) % len(one)]
    rest = other[np.arange(plan.entry_frame, plan.entry_frame + len(sound) - after) % len(other)]
    return (
        np.array_equal(sound[at - 4_800 : at], before)
        and np.array_equal(sound[at:after], change)
        and np.array_equal(sound[after:], rest)
    )


def level(audio: Audio) -> float:
    channels = (np.ascontiguousarray(audio[:, channel]) for channel in range(audio.shape[1]))
    power = sum(float(np.square(k_weighted(channel, STATION_RATE), dtype=np.float64).mean()) for channel in channels)
    return float(-0.691 + 10 * np.log10(power + 1e-12))


def measure(pair: tuple[tuple[Loop, Audio], tuple[Loop, Audio]], errors: Errors) -> None:
    (first, one), (second, other) = pair
    plan = plan_transition(first, second)
    errors.kinds[plan.kind] = errors.kinds.get(plan.kind, 0) + 1
    errors.choice += not right_choice(first, second, plan.kind)
    began = time.process_time()
    change = render_transition(plan, one, second, other)
    errors.seconds.append(time.process_time() - began)
    errors.peak_dbtp.append(20 * np.log10(true_peak(change)))
    leaving = one[np.arange(plan.exit_frame, plan.exit_frame + plan.frames) % len(one)]
    entering = other[np.arange(plan.begin, plan.begin + plan.frames) % len(other)]
    low, high = sorted((level(leaving), level(entering)))
    got = level(change)
    errors.level_lu.append(max(0.0, low - got, got - high))
    around = np.concatenate(
        [one[np.arange(plan.exit_frame - 400, plan.exit_frame) % len(one)], change, other[plan.entry_frame :][:400]]
    )
    curve = np.abs(np.diff(around, n=2, axis=0)).max(axis=1)
    # A stroke on the bar line is no seam: each join is held against the loop's own course at that place.
    for at, loop, frame in ((399, one, plan.exit_frame), (399 + len(change), other, plan.entry_frame)):
        own = np.abs(np.diff(loop[np.arange(frame - 390, frame + 390) % len(loop)], n=2, axis=0)).max(axis=1)
        usual = max(float(own[386:394].max()), float(np.quantile(own, 0.99)), 1e-5)
        errors.step.append(float(curve[at - 1 : at + 2].max() / usual))
    near = STATION_RATE // 40
    for loop, frame in ((one, plan.exit_frame), (other, plan.entry_frame)):
        own = loop[np.arange(frame - near, frame + near) % len(loop)]
        ends = (own[:near], change[:near]) if loop is one else (change[-near:], own[near:])
        errors.click.append(click(*ends, own))
    errors.touched += not untouched((first, one), (second, other), plan, change)
    if plan.kind == "blend":
        errors.stretch.append(max(plan.beats) / min(plan.beats) - 1)
        for audio, origin, beat in ((one, plan.exit_frame, plan.first_beat), (other, plan.begin, plan.second_beat)):
            bars, slope = drift(plan, audio, origin, beat)
            errors.downbeat_ms += bars
            errors.tempo_percent += [] if slope is None else [slope]


@command()
@click_option("--loops", "count", default=40)
@click_option("--pairs", default=200)
@click_option("--seed", default=1)
def main(count: int, pairs: int, seed: int) -> None:
    """Measure changes between composed loops."""
    dice = Random(seed)
    made: list[tuple[Loop, Audio]] = []
    for number in range(count):
        if (loop := make(number, dice, made[-1][0] if made else None)) is not None:
            made.append(loop)
    say(figure="loops_composed", value=len(made), asked=count)
    every = [(one, other) for one in made for other in made if one is not other]
    dice.shuffle(every)
    # Half of the pairs are such that they can blend, as in a station that asks for what fits.
    fitting = [pair for pair in every if plan_transition(pair[0][0], pair[1][0]).kind == "blend"][: pairs // 2]
    chosen = fitting + [pair for pair in every if not any(pair is one for one in fitting)][: pairs - len(fitting)]
    errors = Errors()
    for pair in chosen:
        measure(pair, errors)
    say(figure="pairs", value=len(chosen), kinds=errors.kinds, wrong_choices=errors.choice)
    say(figure="programme_not_sample_for_sample", value=errors.touched)
    say(figure="clicks", value=sum(figure > 1.5 for figure in errors.click), joins=len(errors.click))
    for name in ("downbeat_ms", "tempo_percent", "level_lu", "peak_dbtp", "step", "click", "stretch", "seconds"):
        values = np.array(getattr(errors, name) or [0.0])
        say(
            figure=f"transition_{name}",
            median=round(float(np.median(values)), 3),
            p95=round(float(np.quantile(values, 0.95)), 3),
            most=round(float(values.max()), 3),
            count=len(values),
        )


if __name__ == "__main__":
    main()
