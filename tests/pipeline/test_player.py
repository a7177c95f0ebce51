"""The player as a process, over its real sockets, with the paced null output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from shared.bus import Bus
from shared.messages import (
    AnyMessage,
    LoopLoaded,
    LoopReady,
    LoopRefused,
    PlayerHello,
    PlayerStatus,
    Status,
    TransitionReady,
    Wanted,
    encode,
)
from shared.music import Loop, Transition
from shared.paths import Paths
from shared.tap import unpack_block
from shared.topology import LOOPS, RECEIPTS, TAP
from shared.units import STATION_RATE, TAP_BLOCK, Audio
from tests.unit.player.material import loop, noise, wanted, written

DEADLINE_S = 30.0
"""Only a hang lasts so long, on a machine that is busy with everything else too."""


class Station:
    """The player's peers, and the player's process."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.paths = Paths.under(home)
        self.paths.create()
        self._bus = Bus(self.paths)
        self.receipts = self._bus.bind(RECEIPTS)
        self.relay = self._bus.status_relay()
        self.tap = self._bus.connect(TAP)
        self.loops = self._bus.connect(LOOPS)
        self.player: subprocess.Popen[bytes] | None = None
        self.statuses: list[PlayerStatus] = []
        self.heard: list[AnyMessage] = []
        self.blocks: list[tuple[int, Audio]] = []

    def start(self, **environment: str) -> float:
        self.player = subprocess.Popen(
            [sys.executable, "-m", "services", "service", "player", "--bare"],
            env={**os.environ, "INFINILOOP_HOME": str(self.home), "INFINILOOP_PLAYER_DRIVER": "null", **environment},
            cwd=Path(__file__).parents[2],
        )
        return time.monotonic()

    def turn(self) -> None:
        for token in self._bus.wait(0.05):
            if token is self.receipts:
                while (received := self.receipts.receive()) is not None:
                    self.heard.append(received.message)
            elif token is self.tap:
                while (frames := self.tap.receive_frames()) is not None:
                    self.blocks.append(unpack_block(frames))
            elif callable(token):
                for status in token() or []:
                    self._note(status)

    def _note(self, status: Status) -> None:
        if isinstance(status.state, PlayerStatus):
            self.statuses.append(status.state)

    def until(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < end, f"waited {DEADLINE_S} s for {what}"
            assert self.player is None or self.player.poll() is None, "the player ended"
            self.turn()

    def send(self, message: AnyMessage) -> None:
        self.until(lambda: self.loops.send(message), "the player's link")

    def receipt(self, kind: type[AnyMessage], name: str) -> AnyMessage:
        def found() -> list[AnyMessage]:
            return [one for one in self.heard if isinstance(one, kind) and getattr(one, "loop_id", None) == name]

        self.until(found, f"{kind} for {name}")
        return found()[-1]

    def sounds(self, name: str) -> None:
        self.until(lambda: self.statuses and self.statuses[-1].loop_id == name, f"{name} to sound")

    def make(self, name: str, seed: int, **fields: object) -> Loop:
        return written(self.paths.loops, loop(name, **fields), noise(2 * STATION_RATE, seed))  # type: ignore[arg-type]

    def close(self) -> None:
        if self.player is not None and self.player.poll() is None:
            self.player.terminate()
            self.player.wait(DEADLINE_S)
        self._bus.close(linger_ms=0)


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path / "home")
    yield made
    made.close()


def _put(station: Station, state: Wanted) -> None:
    station.paths.wanted_file.write_bytes(encode(state))


def _numbers_rise_by_one(blocks: list[tuple[int, Audio]]) -> bool:
    return all(second[0] == first[0] + 1 for first, second in pairwise(blocks))


def test_it_sounds_by_itself_and_goes_on_with_what_was_wanted_last(station: Station) -> None:
    first, second = station.make("first", 1), station.make("second", 2)
    _put(station, wanted(7, queue=(first, second), skips=3))
    station.start()
    station.until(lambda: len(station.blocks) > 120, "2.4 s of sound")
    assert _numbers_rise_by_one(station.blocks)
    assert np.abs(station.blocks[-1][1]).max() > 0.05
    station.sounds("first")
    station.receipt(LoopLoaded, "second")
    hello = next(one for one in station.heard if isinstance(one, PlayerHello))
    assert (hello.wanted_number, hello.skips_done, hello.loop_id) == (7, 3, "first")


@pytest.mark.parametrize("content", [None, b"", b"broken", encode(PlayerHello())])
def test_without_a_wanted_state_that_can_be_read_it_plays(station: Station, content: bytes | None) -> None:
    if content is not None:
        station.paths.wanted_file.write_bytes(content)
    station.start()
    station.until(lambda: station.statuses and station.statuses[-1].playing, "a playing player")


def test_stopped_yesterday_is_silent_today(station: Station) -> None:
    _put(station, wanted(7, queue=(station.make("first", 1),), playing=False, stopped=True))
    station.start()
    station.until(lambda: len(station.blocks) > 60, "blocks of silence")
    assert not any(samples.any() for _, samples in station.blocks)
    assert not station.statuses[-1].playing
    assert _numbers_rise_by_one(station.blocks)


def test_the_tap_carries_the_loop_bit_for_bit(station: Station) -> None:
    first = station.make("first", 1, bars=1)
    _put(station, wanted(1, queue=(first,), variation="off", volume=20))
    station.start()
    station.until(lambda: station.blocks and station.blocks[-1][0] >= 250, "5 s of sound")
    audio = noise(2 * STATION_RATE, 1)
    for number, samples in station.blocks:
        if number >= 100:  # after the fade-in
            assert np.array_equal(samples, np.take(audio, np.arange(TAP_BLOCK) + number * TAP_BLOCK, 0, mode="wrap"))


def test_loops_are_taken_refused_and_played_and_nothing_is_said_twice_in_sound(station: Station) -> None:
    first, second = station.make("first", 1), station.make("second", 2)
    _put(station, wanted(1, queue=(first,), min_duration_s=300.0))
    station.start()
    station.sounds("first")
    station.send(LoopReady(loop=second))
    station.send(LoopReady(loop=second))
    station.receipt(LoopLoaded, "second")
    bad = station.make("bad", 3)
    Path(bad.path).write_bytes(b"RIFF nothing")
    station.send(LoopReady(loop=bad))
    refusal = station.receipt(LoopRefused, "bad")
    assert isinstance(refusal, LoopRefused)
    assert "cannot be read" in refusal.reason
    outside = written(station.home, loop("outside"), noise(2 * STATION_RATE, 4))
    station.send(LoopReady(loop=outside))
    station.receipt(LoopRefused, "outside")
    missing = msgspec.structs.replace(first, loop_id="missing", path=str(station.paths.loops / "missing.wav"))
    station.send(wanted(2, queue=(first, missing, second), skips=0, min_duration_s=300.0))
    station.receipt(LoopRefused, "missing")
    station.send(wanted(3, queue=(first, missing, second), skips=1, min_duration_s=300.0))
    station.sounds("second")
    assert station.statuses[-1].skips_done == 1


def _broken(station: Station, kind: str, good: Loop) -> Loop:
    """A loop whose file is not what it says, and what the receipt has to say of it."""
    path = Path(good.path)
    audio = noise(good.frames, 5)
    match kind:
        case "missing":
            path.unlink()
        case "truncated":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        case "another rate":
            soundfile.write(path, audio, 44_100, subtype="PCM_24")
        case "not a number":
            audio[good.frames // 2] = np.nan
            soundfile.write(path, audio, STATION_RATE, subtype="FLOAT")
        case "ten minutes":
            with soundfile.SoundFile(path, "w", STATION_RATE, 2, "PCM_16") as sound:
                for _ in range(60):
                    sound.write(np.zeros((10 * STATION_RATE, 2), np.int16))
            return msgspec.structs.replace(good, frames=600 * STATION_RATE)
        case "no audio":
            path.write_bytes(b"nothing of the kind" * 1_000)
        case "outside":
            outside = station.home.parent / path.name
            path.rename(outside)
            return msgspec.structs.replace(good, path=str(outside))
    return good


BROKEN = {
    "missing": "is missing",
    "truncated": "announced",
    "another rate": "44100 Hz where the station plays 48000",
    "not a number": "not samples",
    "ten minutes": "600 s long; loops are at most",
    "no audio": "cannot be read as audio",
    "outside": "outside the station's folders",
}


def test_each_kind_of_broken_loop_is_refused_in_one_sentence_and_what_plays_goes_on(station: Station) -> None:
    first, last = station.make("first", 1, bars=1), station.make("last", 2)
    _put(station, wanted(1, queue=(first,), variation="off", min_duration_s=300.0))
    station.start()
    station.sounds("first")
    for number, (kind, words) in enumerate(BROKEN.items()):
        bad = _broken(station, kind, station.make(f"bad{number}", number))
        station.send(LoopReady(loop=bad))
        refusal = station.receipt(LoopRefused, bad.loop_id)
        assert isinstance(refusal, LoopRefused)
        assert words in refusal.reason, kind
        assert refusal.reason.endswith(".")
        assert "\n" not in refusal.reason
    station.send(LoopReady(loop=last))
    station.receipt(LoopLoaded, "last")
    # What plays lies in memory: its file may be anything from now on.
    Path(first.path).write_bytes(b"replaced while it played")
    seen = len(station.blocks)
    station.until(lambda: len(station.blocks) > seen + 150, "three seconds more")
    audio = noise(2 * STATION_RATE, 1)
    for number, samples in station.blocks:
        if number >= 100:  # after the fade-in
            assert np.array_equal(samples, np.take(audio, np.arange(TAP_BLOCK) + number * TAP_BLOCK, 0, mode="wrap"))
    assert _numbers_rise_by_one(station.blocks)
    station.send(wanted(2, queue=(station.make("first", 1), last), skips=1, min_duration_s=300.0))
    station.sounds("last")


def test_it_records_while_it_plays_and_says_so(station: Station) -> None:
    first = station.make("first", 1, bars=1)
    mix = station.home / "mix.flac"
    _put(station, wanted(1, queue=(first,), variation="off", volume=5))
    station.start(INFINILOOP_PLAYER_RECORD=str(mix))
    station.until(lambda: station.statuses and "Recording to" in station.statuses[-1].recording, "the recording")
    station.until(lambda: len(station.blocks) > 150, "three seconds")
    assert station.player is not None
    station.player.terminate()
    assert station.player.wait(DEADLINE_S) == 0
    recorded, _ = soundfile.read(mix, dtype="float32")
    assert len(recorded) >= 3 * STATION_RATE
    assert np.array_equal(recorded, np.take(noise(2 * STATION_RATE, 1), np.arange(len(recorded)), 0, mode="wrap"))


def test_what_sounds_is_named_as_the_controller_named_it(station: Station) -> None:
    first = station.make("first", 1)
    named = msgspec.structs.replace(first, title="Night Ferry", artist="The Composer")
    _put(station, wanted(1, queue=(first,)))
    station.start()
    station.sounds("first")
    station.send(wanted(2, queue=(named,)))
    station.until(lambda: station.statuses[-1].wanted_number == 2, "the wish")
    station.send(wanted(3, queue=()))
    station.until(lambda: station.statuses[-1].wanted_number == 3, "an empty queue")
    for status in station.statuses[-1:]:
        assert status.loop is not None
        assert (status.loop.title, status.loop.artist) == ("Night Ferry", "The Composer")


def test_a_tap_that_cannot_be_bound_is_said_and_begun_again(station: Station) -> None:
    taken = station.paths.sockets / f"{TAP.name}.sock"
    taken.unlink(missing_ok=True)
    taken.mkdir()
    _put(station, wanted(1, queue=(station.make("first", 1),)))
    station.start()
    station.until(lambda: station.statuses and "live stream is silent" in station.statuses[-1].note, "the note")
    assert station.statuses[-1].playing
    taken.rmdir()
    station.until(lambda: station.statuses[-1].note == "", "the note's end")
    station.until(lambda: len(station.blocks) > 20, "the stream")
    assert _numbers_rise_by_one(station.blocks)


def test_pause_and_volume_are_in_the_status_and_the_tap_is_silent(station: Station) -> None:
    first = station.make("first", 1)
    _put(station, wanted(1, queue=(first,)))
    station.start()
    station.sounds("first")
    station.send(wanted(2, queue=(first,), playing=False, volume=33))
    station.until(lambda: not station.statuses[-1].playing, "a pause")
    assert station.statuses[-1].volume == 33
    seen = len(station.blocks)
    station.until(lambda: len(station.blocks) > seen + 20, "blocks while paused")
    assert not any(samples.any() for _, samples in station.blocks[-10:])
    assert _numbers_rise_by_one(station.blocks)


def test_a_rendered_transition_is_spliced_in(station: Station) -> None:
    first, second = station.make("first", 1), station.make("second", 2)
    splice = written(station.paths.transitions, loop("t"), noise(STATION_RATE, 9))
    done = Transition(
        from_loop="first",
        to_loop="second",
        kind="blend",
        path=splice.path,
        frames=STATION_RATE,
        exit_frame=STATION_RATE,
        entry_frame=0,
        reason="tempi 1 % apart",
    )
    _put(station, wanted(1, queue=(first, second), variation="off", min_duration_s=4.0))
    station.start()
    station.send(TransitionReady(transition=done))
    station.until(lambda: station.statuses and station.statuses[-1].transition.startswith("blend: tempi"), "the plan")
    station.sounds("second")
    station.until(lambda: station.blocks[-1][0] >= 310, "the splice's end")
    heard = dict(station.blocks)
    exit_block = 5 * 50
    sounded = np.concatenate([heard[number] for number in range(exit_block, exit_block + 50)])
    assert np.array_equal(sounded, noise(STATION_RATE, 9))


def test_a_malformed_message_is_dropped_and_the_music_goes_on(station: Station) -> None:
    first = station.make("first", 1)
    _put(station, wanted(1, queue=(first,)))
    station.start()
    station.sounds("first")
    station.until(lambda: station.loops.send_frames([b"\xff\x00nonsense"]), "the link")
    station.send(PlayerHello())
    station.send(wanted(2, queue=(first,), volume=11))
    station.until(lambda: station.statuses[-1].volume == 11, "the message after it")
    assert _numbers_rise_by_one(station.blocks)


def test_a_killed_player_that_is_started_again_sounds_by_itself(station: Station) -> None:
    first = station.make("first", 1)
    _put(station, wanted(1, queue=(first,)))
    station.start()
    station.sounds("first")
    assert station.player is not None
    station.player.send_signal(signal.SIGKILL)
    station.player.wait(DEADLINE_S)
    station.turn()
    station.blocks.clear()
    station.start()
    station.until(lambda: any(np.abs(samples).max() > 0.05 for _, samples in station.blocks), "sound")
    assert station.blocks[0][0] < 100


def test_it_ends_in_good_order_when_asked(station: Station) -> None:
    station.start()
    station.until(lambda: station.statuses, "a player")
    assert station.player is not None
    station.player.terminate()
    assert station.player.wait(4) == 0


def test_its_process_loads_nothing_heavy() -> None:
    check = (
        "import sys, services.player.service; "
        "heavy = {'scipy', 'librosa', 'pyloudnorm', 'soxr', 'onnxruntime', 'sounddevice', 'hashlib'}; "
        "heavy &= set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
